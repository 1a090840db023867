// mvfuse copy between two stores on disk: every version arrives, whatever kills the copy; running it again catches up;
// damage and foreign histories are found.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { versionBytes } from '../../src/admin/transfer.js';
import { openEngine } from '../../src/kv/open.js';
import type { LogEntry } from '../../src/store/types.js';
import { Client, type Outcome, run, sqlite3 } from '../support/client.js';
import { damagePage } from '../support/damage.js';
import { MAIN, TestMount } from '../support/mounted.js';
import { chooseSeed, randomInteger, seededRandom } from '../support/random.js';
import { openStore } from '../support/stores.js';

const ROWS = 400;
const KILLS = 6;

interface Result {
  readonly copiedVersions: number;
  readonly presentVersions: number;
  readonly verified: boolean;
  readonly target: { readonly first: string; readonly last: string };
}

let base: string;
let source: string;

before(async () => {
  base = mkdtempSync(join(tmpdir(), 'mvfuse-copy-'));
  source = url('store');
  await withMount(async (client, mount) => {
    await client.script('PRAGMA page_size = 1024; CREATE TABLE t(id INTEGER PRIMARY KEY, pad TEXT)');
    const insert = { op: 'exec', sql: 'INSERT INTO t(pad) VALUES(hex(randomblob(200)))' };
    await client.steps(Array.from({ length: ROWS }, () => insert));
    await client.script('DELETE FROM t WHERE id % 3 = 0; VACUUM; PRAGMA page_size = 4096; VACUUM');
    await client.close();
    await sqlite3(mount.path(), 'UPDATE t SET pad = upper(pad) WHERE id % 50 = 1');
  });
  const large = join(base, 'large.db');
  await sqlite3(large, 'CREATE TABLE b(x); INSERT INTO b SELECT randomblob(900) FROM generate_series(1, 11000)');
  await done('import', large, 'bulk', '--store', source);
  await sqlite3(large, 'UPDATE b SET x = randomblob(900); DELETE FROM b WHERE rowid > 10000; VACUUM');
  await done('import', large, 'bulk', '--store', source);
  await done('ns', 'create', 'empty', '--store', source);
});

after(() => rmSync(base, { recursive: true, force: true }));

function url(name: string): string {
  return `sqlite:${join(base, name)}`;
}

function mvfuse(...args: string[]): Promise<Outcome> {
  return run(process.execPath, [MAIN, ...args]);
}

async function done(...args: string[]): Promise<string> {
  const { status, stdout, stderr } = await mvfuse(...args);
  assert.equal(status, 0, stderr);
  return stdout;
}

async function refused(status: number, message: RegExp, ...args: string[]): Promise<void> {
  const outcome = await mvfuse('copy', ...args);
  assert.equal(outcome.status, status, outcome.stderr);
  assert.match(outcome.stderr, message);
  assert.equal(outcome.stdout, '');
  assert.doesNotMatch(outcome.stderr, /\n\s+at /, 'a stack trace is no sentence');
}

/** A client of `app` in the source, mounted meanwhile. */
async function withMount(use: (client: Client, mount: TestMount) => Promise<unknown>): Promise<void> {
  const mount = await TestMount.start({ base, namespaces: 'mydb=app' });
  const client = new Client();
  try {
    await client.open(mount.path());
    await use(client, mount);
  } finally {
    await client.kill();
    assert.equal(await mount.unmount(), 0);
  }
}

async function log(store: string, namespace: string): Promise<LogEntry[]> {
  return JSON.parse(await done('log', namespace, '--limit', '100000', '--json', '--store', store)) as LogEntry[];
}

/** Time, size and SHA-256 of each version, by the name that it has in the source. */
async function histories(store: string, namespaces: readonly string[], isCopy: boolean): Promise<unknown[]> {
  const opened = await openStore(await openEngine(store, { clock: Date.now }));
  try {
    const lines: unknown[] = [];
    for (const name of namespaces) {
      const { id } = await opened.statNamespace(name);
      for (const entry of await opened.log(id)) {
        const hash = createHash('sha256');
        for await (const piece of versionBytes(opened, id, entry)) hash.update(piece);
        const { timeMs, pageBytes, sizeBytes } = entry;
        lines.push([name, isCopy ? entry.origin : entry.version, timeMs, pageBytes, sizeBytes, hash.digest('hex')]);
      }
    }
    return lines;
  } finally {
    await opened.close();
  }
}

const NAMES = ['app', 'bulk', 'empty'];

test('all namespaces, every version, and what came later at the next run', async () => {
  const target = url('all');
  assert.match(
    await done('copy', source, target),
    /^app: \d+ versions copied .*; verified; newest .*\nbulk: .*\nempty: /,
  );
  assert.deepEqual(await histories(target, NAMES, true), await histories(source, NAMES, false));
  assert.match(await done('check', 'app', '--store', target), /ok/);
  await withMount((client) => client.exec("INSERT INTO t(pad) VALUES('later')"));
  const again = JSON.parse(await done('copy', source, target, 'app', 'empty', '--json'));
  assert.equal(again.source, source);
  const [app, empty] = again.namespaces as Result[];
  const entries = await log(target, 'app');
  assert.deepEqual(app, {
    namespace: 'app',
    targetNamespace: 'app',
    copiedVersions: 1,
    presentVersions: entries.length - 1,
    copiedBytes: entries[0]!.bytes,
    source: { first: entries.at(-1)!.origin, last: entries[0]!.origin },
    target: { first: entries.at(-1)!.version, last: entries[0]!.version },
    verified: true,
  });
  assert.deepEqual([empty!.copiedVersions, empty!.target], [0, { first: null, last: null }]);
  assert.deepEqual(await histories(target, NAMES, true), await histories(source, NAMES, false));
  const text = await done('log', 'app', '--limit', '1', '--store', target);
  assert.match(text, new RegExp(`^VERSION .* ORIGIN\n${entries[0]!.version} .* ${entries[0]!.origin}\n$`));
});

test('killed at any time, it goes on from there', async (context) => {
  const random = seededRandom(chooseSeed('copies killed'));
  const target = url('killed');
  const full = (await log(source, 'app')).map(({ version }) => version);
  let reached = 0;
  for (let kill = 0; kill < KILLS; kill++) {
    const child = startCopy(target);
    await started(target);
    await sleep(randomInteger(random, 0, 250));
    child.kill('SIGKILL');
    await once(child, 'exit');
    const listed = await mvfuse('log', 'app', '--limit', '100000', '--json', '--store', target);
    const origins = listed.status === 3 ? [] : (JSON.parse(listed.stdout) as LogEntry[]).map(({ origin }) => origin);
    assert.deepEqual(origins, full.slice(full.length - origins.length));
    assert.ok(origins.length >= reached);
    reached = origins.length;
  }
  context.diagnostic(`${reached} of ${full.length} versions after ${KILLS} kills`);
  const { namespaces } = JSON.parse(await done('copy', source, target, '--json')) as { namespaces: Result[] };
  assert.equal(namespaces[0]!.presentVersions, reached);
  assert.equal(namespaces[0]!.copiedVersions, full.length - reached);
  assert.deepEqual(await histories(target, NAMES, true), await histories(source, NAMES, false));
});

test('SIGINT breaks it off, says so, and loses nothing', async () => {
  const target = url('broken-off');
  const child = startCopy(target);
  let stderr = '';
  child.stderr!.on('data', (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  await started(target);
  child.kill('SIGINT');
  await once(child, 'close');
  assert.equal(child.exitCode, 11, stderr);
  assert.match(stderr, /^mvfuse: broken off: the same command goes on from here\n$/);
  await done('copy', source, target);
});

function startCopy(target: string) {
  return spawn(process.execPath, [MAIN, 'copy', source, target], { stdio: ['ignore', 'ignore', 'pipe'] });
}

/** Waits until a copy into `target` has opened it. */
async function started(target: string): Promise<void> {
  const pid = join(target.slice('sqlite:'.length), 'owner.pid');
  for (let tries = 0; !existsSync(pid); tries++) {
    assert.ok(tries < 2_000, 'the copy did not start');
    await sleep(5);
  }
}

test('a damaged page in the target is found, by name', async () => {
  const target = url('damaged');
  await done('copy', source, target, 'app', '--no-verify');
  const listed = JSON.parse(await done('ns', 'list', '--json', '--store', target)) as Array<{ id: number }>;
  damagePage(join(base, 'damaged'), listed[0]!.id, 2);
  await refused(9, /"app" in the target cannot be read at version [0-9a-f]{20}: page 2 .* is damaged/, source, target);
  assert.match(await done('copy', source, target, 'app', '--no-verify'), /^app: 0 versions copied .* not verified/);
});

test('another name, and histories that went different ways', async () => {
  const target = url('ways');
  assert.match(await done('copy', source, target, 'app', '--as', 'moved'), /^app as moved: /);
  await done('import', join(base, 'large.db'), 'moved', '--store', target);
  await done('import', join(base, 'large.db'), 'bulk', '--store', target);
  const before = await done('ns', 'list', '--store', target);
  await refused(5, /"moved" in the target is no copy .*; --as/, source, target, 'app', '--as', 'moved');
  await refused(4, /"bulk" with a history of its own.*; --as/, source, target);
  assert.equal(await done('ns', 'list', '--store', target), before, 'nothing is copied before all may be');
});

test('what cannot be copied', async () => {
  const target = url('never');
  await refused(3, /no store/, url('missing'), target);
  await refused(3, /no namespace "missing"/, source, target, 'missing');
  await refused(2, /the same store/, source, `${source}/../store`);
  await refused(2, /exactly one/, source, target, '--as', 'x');
  await refused(2, /named twice/, source, target, 'app', 'app');
  await refused(2, /URL of a store/, source, 'nonsense');
  await refused(2, /missing required argument/, source);
  assert.ok(!existsSync(join(base, 'missing')), 'a missing source is not made');
  await withMount(async () => {
    await refused(8, /the source cannot be opened: .* in use by process \d+, which must be stopped/, source, target);
    await refused(8, /the target cannot be opened: .* in use by process \d+, which must be/, url('all'), source);
  });
  mkdirSync(join(base, 'bare'));
  assert.equal(await done('copy', url('bare'), url('bare-copy')), 'the source has no namespaces\n');
});
