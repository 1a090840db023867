// A store that fails, is slow or hangs for one namespace: the others go on at their speed, nobody is told of
// corruption, a client that waits can be killed, and so can the daemon be told to stop.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, afterEach, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { MOUNT_CLOSE_WAIT_MS_MAX, STORE_CLOSE_WAIT_MS_MAX } from '../../src/limits.js';
import { Bystander } from '../support/bystander.js';
import { Client, ClientError, run } from '../support/client.js';
import { LEDGER_READ, LEDGER_SCHEMA, LedgerState, ledgerTransaction } from '../support/ledger.js';
import { FaultMount, MAIN } from '../support/mounted.js';
import type { StoreAccess, StoreFault } from '../support/store-faults.js';

const NAMESPACES = 'ill=ill,sick=sick,well=well';
const MET_MS_MAX = 20_000;
/** A killed client must be gone by then. */
const GONE_MS_MAX = 15_000;

let mount: FaultMount;
let bystander: Bystander;
let state = new LedgerState();
let clients: Client[] = [];

before(async () => {
  mount = await FaultMount.startFaulty({ namespaces: NAMESPACES, logLevel: 'silent' });
  bystander = await Bystander.start(mount.path('well'));
  const client = newClient();
  for (const name of ['ill', 'sick']) {
    await client.open(mount.path(name));
    await client.script(LEDGER_SCHEMA);
    await client.close();
  }
  await client.end();
});

afterEach(async () => {
  if (mount.child.exitCode === null) await mount.clear();
  await Promise.all(clients.map((client) => client.kill()));
  clients = [];
});

after(async () => {
  await bystander.kill();
  await mount.remove();
});

function newClient(): Client {
  const client = new Client();
  clients.push(client);
  return client;
}

/** A daemon that has read nothing of `ill` yet, so that every read of it reaches the store; then the fault. */
async function restartWithFault(access: StoreAccess, fault: StoreFault): Promise<void> {
  await bystander.kill();
  await mount.unmount();
  mount = await FaultMount.startFaulty({ base: mount.base, namespaces: NAMESPACES, logLevel: 'silent' });
  bystander = await Bystander.start(mount.path('well'));
  await mount.failStore('ill', access, fault);
}

async function met(access: StoreAccess): Promise<void> {
  assert.equal(await mount.hit(MET_MS_MAX), access);
}

/** The ledger holds what it should, through a client of its own. */
async function checkLedger(): Promise<void> {
  const client = newClient();
  await client.open(mount.path('ill'));
  assert.equal(JSON.stringify((await client.exec(LEDGER_READ))[0]), String(state));
  assert.deepEqual(await client.exec('PRAGMA integrity_check'), [['ok']]);
  await client.end();
}

async function commit(client: Client, id: number, c = 0): Promise<void> {
  for (const sql of ledgerTransaction(id)) await client.exec(sql, c);
  state = state.with(id);
}

/** Ends a client by a signal while it waits for an answer. */
async function killed(client: Client, signal: NodeJS.Signals): Promise<void> {
  const exit = once(client.child, 'exit');
  client.child.kill(signal);
  const gone = await Promise.race([exit.then(() => true), sleep(GONE_MS_MAX, false)]);
  assert.ok(gone, `a client is still there ${GONE_MS_MAX} ms after ${signal}`);
}

const isIoError = (error: unknown): boolean => error instanceof ClientError && error.code.startsWith('SQLITE_IOERR');

test('reads that fail are I/O errors, of one namespace, for as long as they fail', async () => {
  const client = newClient();
  await client.open(mount.path('ill'));
  await commit(client, 1);
  await client.end();
  await restartWithFault('reads', 'fail');
  const reader = newClient();
  // Page 1 is read when the file is opened.
  await assert.rejects(
    reader.open(mount.path('ill')).then(() => reader.exec(LEDGER_READ)),
    (error: ClientError) => /^SQLITE_(IOERR|CANTOPEN)/.test(error.code),
  );
  await bystander.goesOn();
  await mount.clear();
  await reader.open(mount.path('ill'), 1);
  await reader.exec('SELECT count(*) FROM sqlite_schema', 1);
  await mount.failStore('ill', 'reads', 'fail');
  for (let tries = 0; tries < 3; tries += 1) await assert.rejects(reader.exec(LEDGER_READ, 1), isIoError);
  await bystander.goesOn();
  await mount.clear();
  assert.equal(JSON.stringify((await reader.exec(LEDGER_READ, 1))[0]), String(state));
  // The connection that got the errors goes on.
  await commit(reader, 2, 1);
});

test('commits that fail are I/O errors, of one namespace, and leave nothing behind', async () => {
  const client = newClient();
  await client.open(mount.path('ill'));
  await mount.failStore('ill', 'commits', 'fail');
  await assert.rejects(commit(client, 3), isIoError);
  await bystander.goesOn();
  await mount.clear();
  if (await client.inTransaction()) await client.exec('ROLLBACK');
  await checkLedger();
  await commit(client, 4);
  await checkLedger();
});

test('slow reads slow down nobody else', async () => {
  await restartWithFault('reads', { delayMs: 300 });
  const client = newClient();
  await client.open(mount.path('ill'));
  const slow = client.exec(LEDGER_READ);
  await bystander.goesOn();
  assert.equal(JSON.stringify((await slow)[0]), String(state));
});

test('reads that hang: others go on, clients that wait can be killed, the rest goes on afterwards', async () => {
  await restartWithFault('reads', 'hang');
  const [patient, killedOne, interruptedOne] = [newClient(), newClient(), newClient()];
  const answers = [patient, killedOne, interruptedOne].map((client) =>
    client.open(mount.path('ill'), 0, { timeout: 30 }).then(() => client.exec(LEDGER_READ)),
  );
  for (const answer of answers) answer.catch(() => undefined);
  await met('reads');
  const cat = run('timeout', ['--signal=TERM', '1', 'cat', mount.path('ill')], '', 10_000);
  await bystander.goesOn();
  await killed(killedOne, 'SIGKILL');
  // As the kernel does at Ctrl-C for a program that has no handler.
  await killed(interruptedOne, 'SIGTERM');
  assert.equal((await cat).status, 124, 'cat ends by its signal');
  // A signal that the process survives is none of SQLite's business.
  patient.child.kill('SIGSTOP');
  await sleep(500);
  patient.child.kill('SIGCONT');
  await sleep(500);
  await bystander.goesOn();
  await mount.clear();
  // A hang may be too long for the store's own transactions; then the read failed, and the next one does not.
  const [first] = await Promise.allSettled(answers);
  if (first!.status === 'rejected') assert.match(String(first!.reason), /SQLITE_(IOERR|CANTOPEN)/);
  else assert.equal(JSON.stringify(first!.value[0]), String(state));
  await checkLedger();
  const writer = newClient();
  await writer.open(mount.path('ill'));
  await commit(writer, 5);
  await checkLedger();
});

test('a commit that hangs: others go on, its client can be killed, and it is there as a whole or not at all', async () => {
  const client = newClient();
  await client.open(mount.path('ill'));
  await mount.failStore('ill', 'commits', 'hang');
  commit(client, 6).catch(() => undefined);
  await met('commits');
  const reader = newClient();
  await reader.open(mount.path('ill'));
  assert.equal(JSON.stringify((await reader.exec(LEDGER_READ))[0]), String(state), 'readers see the version before');
  await bystander.goesOn();
  await killed(client, 'SIGKILL');
  // What its end is, nobody knows yet: the write lock stays where it is.
  const writer = newClient();
  await writer.open(mount.path('ill'), 0, { timeout: 0.2 });
  await assert.rejects(writer.exec('BEGIN IMMEDIATE'), { code: 'SQLITE_BUSY' });
  await mount.clear();
  await writer.exec('PRAGMA busy_timeout=20000');
  await writer.exec('BEGIN IMMEDIATE');
  const [row] = await writer.exec(LEDGER_READ);
  await writer.exec('ROLLBACK');
  const after = state.with(6);
  assert.ok([String(state), String(after)].includes(JSON.stringify(row)), JSON.stringify(row));
  if (JSON.stringify(row) === String(after)) state = after;
  await commit(writer, 7);
  await checkLedger();
});

test('nothing stays behind of clients that were killed while they waited', async () => {
  for (const access of ['reads', 'commits'] as const) {
    await restartWithFault(access, 'hang');
    const waiting = Array.from({ length: 5 }, newClient);
    for (const client of waiting) {
      const work = client.open(mount.path('ill'), 0, { timeout: 30 }).then(() => client.exec('DELETE FROM log'));
      work.catch(() => undefined);
    }
    await met(access);
    await sleep(300);
    for (const client of waiting) await killed(client, 'SIGKILL');
    await mount.clear();
    const idle = async (): Promise<boolean> => {
      const { stdout } = await run(process.execPath, [MAIN, 'status', '--store', mount.storeUrl, '--json']);
      const [file] = JSON.parse(stdout).mounts[0].files;
      return file.connections.length === 0 && file.writer === undefined;
    };
    const deadlineMs = Date.now() + MET_MS_MAX;
    while (!(await idle())) assert.ok(Date.now() < deadlineMs, 'connections of killed clients are still open');
    const client = newClient();
    await client.open(mount.path('ill'));
    const [[log] = []] = await client.exec('SELECT count(*) FROM log');
    if (log === 0) state = new LedgerState(state.gen, state.big);
    await client.end();
    await checkLedger();
  }
});

test('a daemon that is told to stop does, whatever hangs, and its clients get errors', async () => {
  await restartWithFault('commits', 'hang');
  const writer = newClient();
  await writer.open(mount.path('ill'));
  const commits = commit(writer, 8);
  commits.catch(() => undefined);
  await met('commits');
  await mount.failStore('sick', 'reads', 'hang');
  const reader = newClient();
  const reads = reader.open(mount.path('sick')).then(() => reader.exec(LEDGER_READ));
  reads.catch(() => undefined);
  await met('reads');
  const startMs = Date.now();
  mount.child.kill('SIGTERM');
  for (const work of [commits, reads]) {
    await assert.rejects(work, (error: ClientError) => /^SQLITE_(IOERR|CANTOPEN)/.test(error.code));
  }
  assert.equal(await mount.exited(), 0);
  const msMax = MOUNT_CLOSE_WAIT_MS_MAX + 2 * STORE_CLOSE_WAIT_MS_MAX + 5_000;
  assert.ok(Date.now() - startMs < msMax, `the daemon took ${Date.now() - startMs} ms to end`);
  assert.ok(!mount.mounted);
  await bystander.kill();
  mount = await FaultMount.startFaulty({ base: mount.base, namespaces: NAMESPACES, logLevel: 'silent' });
  bystander = await Bystander.start(mount.path('well'));
  await checkLedger();
});
