// Clients that take all that they can get, or stop in the middle of a transaction: others go on, and who waits for a
// stopped one is told whom it waits for.

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Bystander } from '../support/bystander.js';
import { CLIENT_ENVIRONMENT, Client, sqlite3 } from '../support/client.js';
import { TestMount } from '../support/mounted.js';

const FLOOD = fileURLToPath(new URL('../../../test/support/flood.py', import.meta.url));
const RESIDENT_BYTES_MAX = 512 * 1024 * 1024;
/** How long a flood lasts before anything is measured. */
const FLOOD_MS = 1_000;

let mount: TestMount;
let bystander: Bystander;
const client = new Client();

before(async () => {
  mount = await TestMount.start({ namespaces: 'flooded=flooded,well=well' });
  await sqlite3(
    mount.path('flooded'),
    'CREATE TABLE big(a); INSERT INTO big SELECT zeroblob(10000) FROM generate_series(1, 500); CREATE TABLE t(a)',
  );
  bystander = await Bystander.start(mount.path('well'));
});

after(async () => {
  await Promise.all([client.kill(), bystander.kill()]);
  await mount.remove();
});

function startFlood(kind: string, threads: number): ChildProcess {
  return spawn('python3', [FLOOD, mount.path('flooded'), kind, String(threads)], { env: CLIENT_ENVIRONMENT });
}

/** Ends a flood; how many rounds it did. */
async function endFlood(flood: ChildProcess): Promise<number> {
  let output = '';
  let errors = '';
  flood.stdout!.on('data', (chunk: Buffer) => {
    output += chunk.toString();
  });
  flood.stderr!.on('data', (chunk: Buffer) => {
    errors += chunk.toString();
  });
  flood.stdin!.end();
  await once(flood, 'close');
  assert.equal(flood.exitCode, 0, errors);
  return Number(output);
}

function residentBytesMax(): number {
  const [, kibibytes] = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${mount.child.pid}/status`, 'utf8'))!;
  return Number(kibibytes) * 1024;
}

for (const [kind, threads] of [
  ['opens', 8],
  ['writes', 8],
  ['locks', 4],
  ['journals', 40],
  ['reads', 8],
] as const) {
  test(`a flood of ${kind}: others go on, and memory stays bounded`, async (t) => {
    const flood = startFlood(kind, threads);
    try {
      await sleep(FLOOD_MS);
      const startMs = performance.now();
      // They share two processors with the flood.
      await bystander.goesOn(40);
      const reader = new Client();
      await reader.open(mount.path('flooded'), 0, { timeout: 30 });
      assert.deepEqual(await reader.exec('SELECT count(*) FROM big'), [[500]]);
      await reader.end();
      t.diagnostic(`${Math.round(performance.now() - startMs)} ms for the others`);
    } finally {
      if (flood.exitCode === null) t.diagnostic(`${await endFlood(flood)} rounds of the flood`);
    }
    assert.ok(residentBytesMax() < RESIDENT_BYTES_MAX, `${residentBytesMax()} bytes were resident`);
    t.diagnostic(`${Math.round(residentBytesMax() / 2 ** 20)} MiB resident at the most`);
    await sqlite3(mount.path('flooded'), 'INSERT INTO t VALUES(1)');
  });
}

test('a client stopped in the middle of a transaction: readers go on, writers are busy and the log says why', async () => {
  const stopped = new Client();
  await stopped.open(mount.path('flooded'));
  await stopped.exec('BEGIN IMMEDIATE');
  await stopped.exec('DELETE FROM t');
  stopped.child.kill('SIGSTOP');
  try {
    await bystander.goesOn();
    await client.open(mount.path('flooded'), 0, { timeout: 0.5 });
    const before = await client.exec('SELECT count(*) FROM t');
    assert.notDeepEqual(before, [[0]]);
    await assert.rejects(client.exec('INSERT INTO t VALUES(2)'), { code: 'SQLITE_BUSY' });
    assert.deepEqual(await client.exec('SELECT count(*) FROM t'), before);
    await bystander.goesOn();
  } finally {
    stopped.child.kill('SIGCONT');
  }
  const busy = mount.log
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
    .filter((line) => line.msg === 'busy' && line.holder.pid === stopped.child.pid);
  assert.equal(busy.length, 1);
  assert.equal(busy[0].namespace, 'flooded');
  assert.equal(busy[0].pid, client.child.pid);
  assert.match(busy[0].holder.command, /^python/);
  await stopped.exec('COMMIT');
  assert.deepEqual(await client.exec('SELECT count(*) FROM t'), [[0]]);
  await stopped.end();
});

test('a client killed while it is stopped gives its lock back', async () => {
  const stopped = new Client();
  await stopped.open(mount.path('flooded'));
  await stopped.exec('BEGIN IMMEDIATE');
  await stopped.exec('INSERT INTO t VALUES(3)');
  stopped.child.kill('SIGSTOP');
  await stopped.kill();
  await client.exec('PRAGMA busy_timeout=20000');
  await client.exec('INSERT INTO t VALUES(4)');
  assert.deepEqual(await client.exec('SELECT a FROM t'), [[4]]);
});
