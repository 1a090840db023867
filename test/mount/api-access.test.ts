// Who may call the API: the modes of its unix socket, and the token on TCP, which guards every call of the document and is
// found nowhere else.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import type { RequestOptions } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type CheckedApi, openApi, operations, send, socketOf, startEmbedded } from '../support/api.js';
import { type Outcome, run, sqlite3 } from '../support/client.js';
import { MAIN, type TestMount } from '../support/mounted.js';

const TOKEN = 'a-token-of-the-tests-1234567890';
let base: string;
let tokenFile: string;
let mount: TestMount;
let socket: CheckedApi;
let tcp: RequestOptions;

before(async () => {
  base = mkdtempSync(join(tmpdir(), 'mvfuse-access-'));
  tokenFile = join(base, 'token');
  writeFileSync(tokenFile, `${TOKEN}\n`, { mode: 0o600 });
  mount = await startEmbedded({ base }, [
    ...['--admin', '127.0.0.1:0', '--admin-token-file', tokenFile, '--log-level', 'trace'],
  ]);
  socket = await openApi(socketOf(mount));
  tcp = { host: '127.0.0.1', port: portOf(mount) };
  await sqlite3(mount.path(), 'CREATE TABLE t(a); INSERT INTO t VALUES(1)');
});

after(async () => {
  await mount.remove();
  rmSync(base, { recursive: true, force: true });
});

function portOf({ log }: TestMount): number {
  return Number(/127\.0\.0\.1:(\d+)/.exec(log)![1]);
}

function mvfuse(...args: string[]): Promise<Outcome> {
  return run(process.execPath, [MAIN, ...args]);
}

async function refused(status: number, message: RegExp, ...args: string[]): Promise<void> {
  const outcome = await mvfuse(...args);
  assert.equal(outcome.status, status, outcome.stderr);
  assert.match(outcome.stderr, message);
}

/** A call that would do something, were it let in. */
function exampleOf(method: string, route: string): { path: string; body: unknown } {
  const path = route
    .replace('{namespace}', 'test')
    .replace('{tag}', 'unwanted')
    .replace('{moment}', 'latest')
    .concat(route.endsWith('/diff') ? '?from=test&to=test' : route === '/time2version' ? '?t=0' : '');
  const everything = {
    ...{ name: 'unwanted', key: 'unwanted', old_key: 'test', new_key: 'unwanted', moment: 'latest', owner: 'unwanted' },
    ...{ how: 'commit', proof: 'ab'.repeat(32), before_version: '0'.repeat(20), apply: true },
  };
  const key = /truncate|delete|stat/.test(route) && { key: 'test' };
  return { path, body: method === 'GET' ? undefined : { ...everything, ...key } };
}

test('on TCP every call of the document is refused without the token and with a wrong one, and does nothing', async () => {
  const state = async (): Promise<unknown> => {
    const stat = await socket.expect(200, 'GET', '/api/v1/namespaces/test');
    const all = await socket.expect(200, 'GET', '/api/v1/namespaces');
    const retention = await socket.expect(200, 'GET', '/api/v1/retention');
    return [stat.json, all.json, retention.json];
  };
  const before = await state();
  const wrong = [
    undefined,
    'Bearer ',
    `Bearer ${TOKEN}x`,
    `Bearer ${TOKEN.slice(1)}`,
    `Basic ${TOKEN}`,
    TOKEN,
    `Bearer ${TOKEN} x`,
  ];
  const all = operations(socket.document);
  assert.ok(all.length > 30);
  for (const { method, route } of all) {
    const { path, body } = exampleOf(method, route);
    for (const authorization of wrong) {
      const headers = authorization === undefined ? {} : { authorization };
      const answer = await send(tcp, method, path, { body, headers });
      assert.equal(answer.status, 401, `${method} ${path} ${authorization}`);
      assert.match(String(answer.headers['www-authenticate']), /^Bearer/);
      socket.check(method, path, answer);
    }
  }
  for (const path of ['/', '/nothing', '//metrics', '/healthz?token=x', '/%2e/metrics']) {
    assert.equal((await send(tcp, 'GET', path)).status, 401, path);
  }
  for (const method of ['OPTIONS', 'HEAD', 'TRACE'])
    assert.equal((await send(tcp, method, '/metrics')).status, 401, method);
  assert.deepEqual(await state(), before);
});

test('with the token TCP serves what the socket serves', async () => {
  const headers = { authorization: `Bearer ${TOKEN}` };
  for (const path of [
    '/healthz',
    '/readyz',
    '/metrics',
    '/openapi.json',
    '/api/v1/namespaces',
    '/api/list_namespace',
  ]) {
    assert.equal((await send({ ...tcp, headers }, 'GET', path)).status, 200, path);
  }
});

test('commands reach a daemon by --api, with a token over TCP', async () => {
  const { socketPath } = socketOf(mount);
  const url = `http://127.0.0.1:${tcp.port}`;
  assert.match((await mvfuse('ns', 'list', '--api', `unix:${socketPath}`)).stdout, /\ntest /);
  assert.match((await mvfuse('log', 'test', '--api', url, '--api-token-file', tokenFile)).stdout, /^VERSION/);
  await refused(12, /valid token/, 'ns', 'list', '--api', url);
  await refused(2, /--api and --store exclude/, 'ns', 'list', '--api', url, '--store', mount.storeUrl);
  await refused(2, /is no API/, 'ns', 'list', '--api', 'ftp://x');
  await refused(11, /cannot be reached/, 'ns', 'list', '--api', 'http://127.0.0.1:1');
  await refused(11, /cannot be reached/, 'ns', 'list', '--api', `unix:${join(base, 'nothing.sock')}`);
  const file = join(base, 'out.db');
  await mvfuse('export', 'test', file, '--api', url, '--api-token-file', tokenFile);
  assert.equal(await sqlite3(file, 'SELECT a FROM t'), '1');
  const variables = [`MVFUSE_API=${url}`, `MVFUSE_API_TOKEN_FILE=${tokenFile}`];
  const byVariable = await run('env', [...variables, process.execPath, MAIN, 'import', file, 'copied']);
  assert.equal(byVariable.status, 0, byVariable.stderr);
  const store = `sqlite:${join(base, 'another')}`;
  const flagWins = await run('env', [...variables, process.execPath, MAIN, 'ns', 'list', '--json', '--store', store]);
  assert.equal(flagWins.stdout, '[]\n');
});

test('the token is in no log, no process list and no error', async () => {
  await send({ ...tcp, headers: { authorization: `Bearer ${TOKEN}` } }, 'GET', '/api/v1/nothing');
  await send({ ...tcp, headers: { authorization: `Bearer ${TOKEN}` } }, 'POST', '/api/v1/namespaces', { raw: 'x' });
  assert.ok(mount.log.includes('"msg":"api"'), 'calls are logged at this level');
  assert.ok(!mount.log.includes(TOKEN));
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    let seen = '';
    try {
      seen = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
    } catch {
      // It ended meanwhile.
    }
    assert.ok(!seen.includes(TOKEN), pid);
  }
  const metrics = await socket.expect(200, 'GET', '/metrics');
  assert.ok(!metrics.text.includes(TOKEN));
});

test('what is no token, or open to others, is refused at the start', async () => {
  const flags = ['--mountpoint', join(base, 'm2'), '--namespaces', 'a=x', '--store', `sqlite:${join(base, 'store2')}`];
  const start = (...more: string[]): string[] => [...flags, '--admin', '127.0.0.1:0', ...more];
  await refused(2, /--admin needs --admin-token-file/, ...start());
  await refused(3, /cannot be read/, ...start('--admin-token-file', join(base, 'missing')));
  const file = join(base, 'bad-token');
  writeFileSync(file, 'short', { mode: 0o600 });
  await refused(2, /less than 16 bytes/, ...start('--admin-token-file', file));
  writeFileSync(file, 'with blanks in the middle of it');
  await refused(2, /visible ASCII/, ...start('--admin-token-file', file));
  writeFileSync(file, TOKEN);
  for (const mode of [0o644, 0o640, 0o604]) {
    chmodSync(file, mode);
    await refused(2, new RegExp(`chmod 600 ${file}`), ...start('--admin-token-file', file));
  }
  await refused(2, /HOST:PORT/, ...flags, '--admin', '7001', '--admin-token-file', tokenFile);
  await refused(
    2,
    /cannot be served at 127\.0\.0\.1/,
    ...flags,
    '--admin',
    `127.0.0.1:${tcp.port}`,
    '--admin-token-file',
    tokenFile,
  );
  assert.ok(!existsSync(join(base, 'store2', 'control.sock')), 'nothing stays behind');
});

test('the socket is for its owner alone, also at a long path', async () => {
  const isSocket = (path: string): void => {
    const { mode } = statSync(path);
    assert.equal(mode & 0o777, 0o600);
    assert.equal(mode & 0o170000, 0o140000);
  };
  isSocket(String(socketOf(mount).socketPath));
  const deep = join(base, ...Array.from({ length: 6 }, (_, index) => `${'d'.repeat(24)}${index}`));
  mkdirSync(deep, { recursive: true });
  const beforehand = readdirSync(tmpdir()).filter((name) => name.startsWith('mvfuse') && name.endsWith('.sock'));
  const long = await startEmbedded({ base: deep });
  try {
    isSocket(join(deep, 'store', 'control.sock'));
    assert.equal((await mvfuse('ns', 'stat', 'test', '--store', long.storeUrl)).status, 0);
    const status = JSON.parse((await mvfuse('status', '--json', '--store', long.storeUrl)).stdout);
    assert.equal(status.daemon.pid, long.child.pid);
    const now = readdirSync(tmpdir()).filter((name) => name.startsWith('mvfuse') && name.endsWith('.sock'));
    assert.deepEqual(now, beforehand, 'nothing lies in the shared directory');
  } finally {
    await long.unmount();
  }
  assert.ok(!existsSync(join(deep, 'store', 'control.sock')));
});

test('--admin-socket: another path, which commands on the store still find', async () => {
  const own = join(base, 'own');
  mkdirSync(own);
  const path = join(own, 'run', 'api.sock');
  const flags = ['--admin-socket', path];
  const other = await startEmbedded({ base: own }, flags);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.equal(statSync(join(own, 'run')).mode & 0o777, 0o700);
  assert.match((await mvfuse('ns', 'list', '--api', `unix:${path}`)).stdout, /\ntest /);
  assert.match((await mvfuse('ns', 'list', '--store', other.storeUrl)).stdout, /\ntest /);
  const second = ['--mountpoint', join(base, 'm3'), '--namespaces', 'a=x', '--store', `sqlite:${join(base, 'store3')}`];
  await refused(4, /another daemon serves/, ...second, ...flags);
  // A dead daemon's socket is not in the way.
  await other.kill();
  assert.ok(existsSync(path));
  const again = await startEmbedded({ base: own }, flags);
  assert.match((await mvfuse('ns', 'list', '--store', again.storeUrl)).stdout, /\ntest /);
  assert.equal(await again.unmount(), 0);
  assert.ok(!existsSync(path) && !existsSync(join(own, 'store', 'control.sock')));
  writeFileSync(path, 'a file');
  await refused(2, /no socket of this user/, ...second, ...flags);
  assert.equal(readFileSync(path, 'utf8'), 'a file');
});

test('a store that is nowhere has its socket in the user’s own directory, dead ones are swept away', async () => {
  const runtime = join(base, 'runtime');
  mkdirSync(runtime, { mode: 0o700 });
  const environment = { XDG_RUNTIME_DIR: runtime };
  const start = () => startEmbedded({ base: join(base, 'mem'), storeUrl: 'memory:', environment });
  mkdirSync(join(base, 'mem'));
  const first = await start();
  assert.equal(statSync(join(runtime, 'mvfuse')).mode & 0o777, 0o700);
  const sockets = () => readdirSync(join(runtime, 'mvfuse'));
  assert.equal(sockets().length, 1);
  assert.match(sockets()[0]!, new RegExp(`-${first.child.pid}\\.sock$`));
  await first.kill();
  assert.equal(sockets().length, 1);
  const second = await start();
  assert.match(sockets().join(), new RegExp(`^[0-9a-f]+-${second.child.pid}\\.sock$`));
  assert.equal(await second.unmount(), 0);
  assert.deepEqual(sockets(), []);
  // What leads elsewhere is not used; the mount does without.
  rmSync(join(runtime, 'mvfuse'), { recursive: true });
  symlinkSync(tmpdir(), join(runtime, 'mvfuse'));
  const without = await start();
  assert.match(without.log, /the API has no unix socket/);
  assert.equal(await without.unmount(), 0);
});

test('a credential of systemd shows its access list as bits of the group', () => {
  const file = join(base, 'credential');
  writeFileSync(file, TOKEN);
  chmodSync(file, 0o440);
  const read = (environment: Record<string, string>) => {
    const script = `import('${new URL('../../src/admin/api/token.js', import.meta.url)}').then(({ readToken }) => readToken(process.argv[1]))`;
    return spawnSync(process.execPath, ['-e', script, file], { env: { ...process.env, ...environment } }).status;
  };
  assert.notEqual(read({}), 0);
  assert.equal(read({ CREDENTIALS_DIRECTORY: base }), 0);
});
