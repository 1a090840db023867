// A SQLite that waits for its locks in the kernel (F_SETLKW), as builds with SQLITE_ENABLE_SETLK_TIMEOUT do where there is
// such a call: the wait ends with the lock, with the timeout, and with a signal.

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { CLIENT_ENVIRONMENT, Client, run, sqlite3 } from '../support/client.js';
import { LockProcess } from '../support/lock-process.js';
import { FaultMount } from '../support/mounted.js';
import { waitingClient } from '../support/static-client.js';

const SQLITE_OK = 0;
const SQLITE_BUSY = 5;
const LONG_MS = 60_000;
const SHARED_FIRST = 0x4000_0002;

let mount: FaultMount;
let program: string;
let holder: Client;
let waiter: Waiter;

before(async () => {
  program = await waitingClient();
  mount = await FaultMount.startFaulty({ logLevel: 'silent' });
});

after(() => mount?.remove());

beforeEach(async () => {
  // Who was killed may have the write lock, or a reservation, for a moment.
  await sqlite3(mount.path(), '.timeout 20000\nDROP TABLE IF EXISTS t; CREATE TABLE t(x); INSERT INTO t VALUES(0)');
  holder = new Client();
});

afterEach(async () => {
  await mount.clear();
  await mount.release();
  await holder.kill();
  await waiter?.kill();
});

/** A run of waiting-client.c. */
class Waiter {
  readonly child: ChildProcess;
  readonly #lines: string[] = [];
  readonly #ended: Promise<unknown>;

  constructor(path: string, waitMs: number, sql: string) {
    const stdio = ['ignore', 'pipe', 'inherit'] as const;
    this.child = spawn(program, [path, String(waitMs), sql], { env: CLIENT_ENVIRONMENT, stdio: [...stdio] });
    const lines = createInterface({ input: this.child.stdout! });
    lines.on('line', (line) => this.#lines.push(line));
    this.#ended = once(lines, 'close');
  }

  /** What it printed in the end. */
  async result(): Promise<{ rows: string[]; code: number; ms: number }> {
    await this.#ended;
    const [code, ms] = this.#lines.at(-1)!.split(' ').map(Number);
    return { rows: this.#lines.slice(1, -1), code: code!, ms: ms! };
  }

  async kill(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.#ended;
  }
}

/** One inode for everybody. */
async function resolved(): Promise<string> {
  return (await run('readlink', ['-f', mount.path()])).stdout.trim();
}

/** Starts it and returns when it waits for a lock. */
async function startWaiting(path: string, sql: string, label: string): Promise<void> {
  await mount.hold(label, 2);
  waiter = new Waiter(path, LONG_MS, sql);
  assert.equal(await mount.hit(20_000), label, 'it was asked for, refused, and is looked at once more');
  await mount.release();
}

test('a reader waits for a writer on the same inode', async () => {
  const path = await resolved();
  await holder.open(path);
  await holder.exec('BEGIN EXCLUSIVE');
  await holder.exec('UPDATE t SET x = 1');
  await startWaiting(path, 'SELECT x FROM t', 'rPW');
  await holder.exec('COMMIT');
  const { rows, code, ms } = await waiter.result();
  assert.deepEqual([rows, code], [['1'], SQLITE_OK]);
  assert.ok(ms < LONG_MS / 2);
});

test('a writer waits for the end of a transaction that wrote nothing, through a connection of its own', async () => {
  await holder.open(mount.path());
  await holder.exec('BEGIN IMMEDIATE');
  await startWaiting(mount.path(), 'UPDATE t SET x = 5; SELECT x FROM t', 'wRW');
  await holder.exec('ROLLBACK');
  const { rows, code } = await waiter.result();
  assert.deepEqual([rows, code], [['5'], SQLITE_OK]);
});

test('a writer whose snapshot has grown old meanwhile is told at once, not after the timeout', async () => {
  await holder.open(mount.path());
  await holder.exec('BEGIN IMMEDIATE');
  await holder.exec('UPDATE t SET x = 1');
  await startWaiting(mount.path(), 'UPDATE t SET x = x + 1', 'wRW');
  await holder.exec('COMMIT');
  const { code, ms } = await waiter.result();
  assert.equal(code, SQLITE_BUSY);
  assert.ok(ms < LONG_MS / 2);
});

for (const where of ['by its name', 'on the same inode']) {
  test(`the timeout ends a wait, ${where}`, async () => {
    const path = where === 'by its name' ? mount.path() : await resolved();
    await holder.open(path);
    await holder.exec('BEGIN IMMEDIATE');
    await mount.startTrace();
    waiter = new Waiter(path, 300, 'UPDATE t SET x = 1');
    const { code, ms } = await waiter.result();
    assert.equal(code, SQLITE_BUSY);
    assert.ok(ms >= 290, `${ms} ms`);
    assert.ok((await mount.stopTrace()).includes('wRW'));
    await holder.exec('UPDATE t SET x = 7');
    await holder.exec('COMMIT');
    assert.equal(await sqlite3(mount.path(), 'SELECT x FROM t'), '7');
  });
}

test('a signal ends a wait, and leaves no lock behind', async () => {
  const path = await resolved();
  await holder.open(path);
  await holder.exec('BEGIN EXCLUSIVE');
  await startWaiting(path, 'SELECT x FROM t', 'rPW');
  waiter.child.kill('SIGUSR1');
  const { code, ms } = await waiter.result();
  assert.equal(code, SQLITE_BUSY);
  assert.ok(ms < LONG_MS / 2);
  await holder.exec('COMMIT');
  const locks = await LockProcess.open(path);
  try {
    assert.equal(await locks.get('write', SHARED_FIRST - 2, 600), null);
  } finally {
    await locks.kill();
  }
});
