// Clients of the API that stall, flood or only hold connections: those of the mount, and commands, do not notice.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, type NetConnectOpts, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { socketOf, startEmbedded } from '../support/api.js';
import { Client, run, sqlite3 } from '../support/client.js';
import { MAIN, type TestMount } from '../support/mounted.js';

const TOKEN = 'a-token-of-the-tests-1234567890';
let base: string;
let mount: TestMount;
const client = new Client();
const sockets: Socket[] = [];

before(async () => {
  base = mkdtempSync(join(tmpdir(), 'mvfuse-load-'));
  const tokenFile = join(base, 'token');
  writeFileSync(tokenFile, TOKEN, { mode: 0o600 });
  const flags = ['--admin', '127.0.0.1:0', '--admin-token-file', tokenFile];
  mount = await startEmbedded({ base, namespaces: 'mydb=test,big=big' }, flags);
  await sqlite3(mount.path('big'), 'CREATE TABLE t AS SELECT randomblob(3000) FROM generate_series(1, 10000)');
  await sqlite3(mount.path(), 'CREATE TABLE t(a)');
  await client.open(mount.path());
});

after(async () => {
  for (const socket of sockets) socket.destroy();
  await client.kill();
  await mount.remove();
  rmSync(base, { recursive: true, force: true });
});

async function open(target: NetConnectOpts, text: string): Promise<Socket> {
  const socket = connect(target);
  sockets.push(socket);
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  socket.write(text);
  return socket;
}

/** Whether in order or not. */
function closing(socket: Socket): Promise<unknown> {
  // Unread bytes would keep the end back.
  socket.resume();
  return socket.closed ? Promise.resolve() : new Promise((resolve) => socket.once('close', resolve));
}

const unix = (): NetConnectOpts => ({ path: String(socketOf(mount).socketPath) });
const tcp = (): NetConnectOpts => ({ host: '127.0.0.1', port: Number(/127\.0\.0\.1:(\d+)/.exec(mount.log)![1]) });

/** The longest of some transactions, in milliseconds. */
async function longestMs(): Promise<number> {
  let longest = 0;
  for (let round = 0; round < 20; round += 1) {
    const startMs = performance.now();
    await client.exec('INSERT INTO t VALUES(1)');
    await client.exec('SELECT count(*) FROM t');
    longest = Math.max(longest, performance.now() - startMs);
  }
  return longest;
}

test('readers and senders that stall hold up nobody', async () => {
  const get = 'GET /api/v1/namespaces/big/content HTTP/1.1\r\nhost: x\r\n\r\n';
  const put = 'PUT /api/v1/namespaces/big/content HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\nSQLite';
  for (let index = 0; index < 20; index += 1) {
    const socket = await open(unix(), get);
    socket.pause();
    await open(unix(), put);
  }
  const ms = await longestMs();
  assert.ok(ms < 2_000, `${ms} ms`);
  const { status, stderr } = await run(process.execPath, [MAIN, 'ns', 'list', '--store', mount.storeUrl]);
  assert.equal(status, 0, stderr);
  for (const socket of sockets.splice(0)) socket.destroy();
});

test('connections over TCP that say nothing take none from commands, and end by themselves', async () => {
  const closed: Array<Promise<unknown>> = [];
  for (let index = 0; index < 80; index += 1) closed.push(closing(await open(tcp(), '')));
  for (let round = 0; round < 3; round += 1) {
    const { status, stderr } = await run(process.execPath, [MAIN, 'ns', 'list', '--store', mount.storeUrl]);
    assert.equal(status, 0, stderr);
  }
  const ms = await longestMs();
  assert.ok(ms < 2_000, `${ms} ms`);
  const refused = await open(tcp(), 'GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n');
  await closing(refused);
  // Each is given ten seconds for the head of a request.
  await Promise.all(closed);
  const served = await open(tcp(), `GET /healthz HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${TOKEN}\r\n\r\n`);
  const [answer] = (await once(served, 'data')) as [Buffer];
  assert.match(answer.toString(), /^HTTP\/1\.1 200/);
});

test('a flood of calls leaves room for transactions', async () => {
  const headers = 'host: x\r\n\r\n';
  const flooding = await Promise.all(Array.from({ length: 30 }, () => open(unix(), '')));
  for (const socket of flooding) {
    socket.resume();
    socket.write(`GET /api/v1/namespaces HTTP/1.1\r\n${headers}`.repeat(200));
  }
  const ms = await longestMs();
  assert.ok(ms < 5_000, `${ms} ms`);
});
