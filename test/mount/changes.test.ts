// export --since and apply through the real binary: a replica in another store gets every version of a mounted database, through
// files and pipes, killed anywhere, while its source goes on; what is damaged or does not fit is refused.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  copyFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { versionBytes } from '../../src/admin/transfer.js';
import { openEngine } from '../../src/kv/open.js';
import { Client, run, sqlite3 } from '../support/client.js';
import { Commands } from '../support/command.js';
import { TestMount } from '../support/mounted.js';
import { chooseSeed, randomInteger, seededRandom } from '../support/random.js';
import { openStore } from '../support/stores.js';

const ROWS = 150;
/** One that ends before it is killed begins anew. */
const ATTEMPTS_MAX = 40;
const KILLS = 5;
const INSERTS = 200;

let base: string;
let source: Commands;
let replica: Commands;

before(async () => {
  base = mkdtempSync(join(tmpdir(), 'mvfuse-changes-'));
  source = new Commands(url('store'));
  replica = new Commands(url('replica'));
  await write(async (client) => {
    await client.script('PRAGMA page_size = 1024; CREATE TABLE t(id INTEGER PRIMARY KEY, pad TEXT)');
    const insert = { op: 'exec', sql: 'INSERT INTO t(pad) VALUES(hex(randomblob(200)))' };
    await client.steps(Array.from({ length: ROWS }, () => insert));
    await client.script('DELETE FROM t WHERE id % 3 = 0; VACUUM; PRAGMA page_size = 4096; VACUUM');
  });
  const large = join(base, 'large.db');
  await sqlite3(large, 'CREATE TABLE b(x); INSERT INTO b SELECT randomblob(900) FROM generate_series(1, 15000)');
  await source.done('import', large, 'app');
});

after(() => rmSync(base, { recursive: true, force: true }));

function url(name: string): string {
  return `sqlite:${join(base, name)}`;
}

function path(name: string): string {
  return join(base, name);
}

/** A client of `app` in the source, mounted meanwhile. */
async function write(use: (client: Client) => Promise<unknown>): Promise<void> {
  const mount = await TestMount.start({ base, namespaces: 'mydb=app' });
  const client = new Client();
  try {
    await client.open(mount.path());
    await use(client);
  } finally {
    await client.kill();
    assert.equal(await mount.unmount(), 0);
  }
}

/** Time and size of each version, and SHA-256 of every `nth`, by the name that it has in the source; the oldest first. */
async function history(store: string, namespace: string, isCopy: boolean, nth = 1): Promise<unknown[]> {
  const opened = await openStore(await openEngine(url(store), { clock: Date.now }));
  try {
    const { id } = await opened.statNamespace(namespace);
    const lines: unknown[] = [];
    for (const [index, entry] of (await opened.log(id)).reverse().entries()) {
      const hash = createHash('sha256');
      if (index % nth === 0) for await (const piece of versionBytes(opened, id, entry)) hash.update(piece);
      const { timeMs, pageBytes, sizeBytes } = entry;
      lines.push([isCopy ? entry.origin : entry.version, timeMs, pageBytes, sizeBytes, hash.digest('hex')]);
    }
    return lines;
  } finally {
    await opened.close();
  }
}

/** The replica's history is the beginning of the source's; how many versions it has. */
async function compare(store = 'replica', from = 'app', nth = 1): Promise<number> {
  const copies = await history(store, 'app', true, nth);
  assert.deepEqual(copies, (await history('store', from, false, nth)).slice(0, copies.length));
  return copies.length;
}

const newest = async (commands: Commands) => (await commands.json('log', 'app', '--limit', '1'))[0];

test('a replica follows, link by link; a mount of it shows each version', async () => {
  const first = await source.json('export', 'app', '--since', 'first', path('1'));
  assert.deepEqual([first.namespace, first.from, first.to], ['app', '0'.repeat(20), (await newest(source)).version]);
  assert.equal(first.bytes, statSync(path('1')).size);
  const applied = await replica.json('apply', path('1'), 'app');
  assert.deepEqual([applied.created, applied.to, applied.presentVersions], [true, first.to, 0]);
  assert.equal(await compare(), applied.appliedVersions);

  await write((client) => client.script("CREATE TABLE u(a); INSERT INTO u VALUES('later')"));
  await source.done('rollback', 'app@-1ms');
  const { origin } = await newest(replica);
  assert.match(
    await source.done('export', 'app', '--since', origin, path('2')),
    new RegExp(`the versions after ${origin}, up to`),
  );
  assert.match(
    await replica.done('apply', path('2'), 'app'),
    /^app: 2 versions applied \(\d+ bytes\); newest .*, here /,
  );
  assert.match(
    await replica.done('apply', path('2'), 'app'),
    /^app: 0 versions applied \(0 bytes\), 2 were there already/,
  );
  await compare();
  const mount = await TestMount.start({ base, storeUrl: url('replica'), namespaces: 'mydb=app' });
  try {
    assert.equal(await sqlite3(mount.path(), 'SELECT a FROM u; PRAGMA integrity_check'), 'later\nok');
    const [, , third] = JSON.parse(await replica.done('log', 'app', '--json')) as Array<{ version: string }>;
    assert.equal(await sqlite3(mount.path(`mydb@${third!.version}`), 'SELECT count(*) FROM b'), '15000');
  } finally {
    await mount.unmount();
  }
  assert.match(await replica.done('check', 'app'), /ok/);
});

test('through a pipe, with a tag as the note of where it ended', async () => {
  const pipe = (since: string, ...args: string[]) => {
    const [from, to] = [
      source.words('export', 'app', '--since', since, '-'),
      replica.words('apply', '-', 'app', ...args),
    ];
    const script = `set -o pipefail; n=${from.length}; "\${@:1:$n}" | "\${@:$((n + 1))}"`;
    return run('bash', ['-c', script, 'bash', ...from, ...to]);
  };
  await source.done('tag', 'add', 'app', 'shipped');
  await write((client) => client.script('INSERT INTO u VALUES(1); INSERT INTO u VALUES(2); INSERT INTO u VALUES(3)'));
  // The tag keeps the base of the next link, and what follows is one version less.
  await source.done('truncate', 'app', '--before', 'latest');
  const piped = await pipe('shipped', '--json');
  assert.equal(piped.status, 0, piped.stderr);
  const applied = JSON.parse(piped.stdout);
  assert.deepEqual([applied.appliedVersions, applied.head.sizeBytes], [1, (await newest(source)).sizeBytes]);
  assert.match(piped.stderr, /^-: the versions after .*, up to .*; \d+ bytes\n$/);
  const nothing = await pipe('latest');
  assert.equal(nothing.status, 0, nothing.stderr);
  assert.match(nothing.stdout, /^app: 0 versions applied/);
  assert.equal((await newest(replica)).origin, (await newest(source)).version);
  const out = path('piped.db');
  for (const commands of [source, replica]) {
    await commands.done('export', 'app', out, '--force');
    assert.match(await sqlite3(out, 'SELECT sum(a) FROM u'), /^6/);
  }
  // A version by itself goes through a pipe, too.
  const script = `"$@" > ${path('whole.db')}`;
  assert.equal((await run('bash', ['-c', script, 'bash', ...source.words('export', 'app', '-')])).status, 0);
  await source.done('export', 'app', out, '--force');
  assert.ok(readFileSync(path('whole.db')).equals(readFileSync(out)));
});

test('killed anywhere, and applied again', async () => {
  const random = seededRandom(chooseSeed('killed applies'));
  const words = (store: string, file: string) => new Commands(url(store)).words('apply', file, 'app');
  await source.done('fork', 'app', 'long');
  const large = path('large.db');
  await sqlite3(large, 'UPDATE b SET x = randomblob(900)');
  await source.done('import', large, 'long');
  const mount = await TestMount.start({ base, namespaces: 'mydb=long' });
  const client = new Client();
  await client.open(mount.path());
  await client.steps(
    Array.from({ length: INSERTS }, () => ({ op: 'exec', sql: 'INSERT INTO b VALUES(randomblob(2000))' })),
  );
  await client.kill();
  assert.equal(await mount.unmount(), 0);
  await source.done('export', 'long', '--since', 'first', path('long'));
  const startMs = performance.now();
  await new Commands(url('timed')).done('apply', path('long'), 'app');
  const durationMs = performance.now() - startMs;
  let [killed, reached] = [0, 0];
  for (let attempt = 0; killed < KILLS && attempt < ATTEMPTS_MAX; attempt += 1) {
    const [program, ...args] = words('killed', path('long'));
    const child = spawn(program!, args, { stdio: 'ignore' });
    const exited = once(child, 'exit');
    await sleep(randomInteger(random, 250, Math.round(durationMs)));
    child.kill('SIGKILL');
    await exited;
    if (child.signalCode !== 'SIGKILL') {
      // It was done before: there is nothing left to break off.
      rmSync(path('killed'), { recursive: true });
      reached = 0;
      continue;
    }
    killed += 1;
    const commands = new Commands(url('killed'));
    if (!existsSync(path('killed')) || !(await commands.json('ns', 'list')).length) continue;
    const versions = await compare('killed', 'long', 100);
    assert.ok(versions >= reached, 'nothing is taken back');
    reached = versions;
  }
  assert.ok(killed > 0);
  await new Commands(url('killed')).done('apply', path('long'), 'app');
  assert.equal(await compare('killed', 'long', 40), INSERTS + 2);
  assert.match(await new Commands(url('killed')).done('check', 'app'), /ok/);
});

test('files that are damaged, cut off, or of another chain; targets that have changes of their own', async () => {
  const fresh = new Commands(url('fresh'));
  const damaged = readFileSync(path('1'));
  damaged[Math.floor(damaged.length / 2)]! ^= 1;
  writeFileSync(path('damaged'), damaged);
  await fresh.refused(
    9,
    /damaged: version [0-9a-f]{20} is not what was written; the versions up to .* were applied before/,
    'apply',
    path('damaged'),
    'app',
  );
  const good = await compareFresh();
  assert.ok(good > 0);
  writeFileSync(path('cut'), readFileSync(path('1')).subarray(0, -20));
  await fresh.refused(9, /cut off, in or after/, 'apply', path('cut'), 'app');
  assert.ok((await compareFresh()) > good);
  // The whole file goes on from there.
  await fresh.done('apply', path('1'), 'app');
  await fresh.refused(5, /has no version yet: apply the file that begins the chain first/, 'apply', path('2'), 'other');
  await fresh.refused(3, /no namespace "other"/, 'ns', 'stat', 'other');
  await fresh.done('import', path('large.db'), 'other');
  await fresh.refused(
    5,
    /does not fit "other": its newest version, .* is its own and no copy/,
    'apply',
    path('1'),
    'other',
  );

  await fresh.done('import', path('large.db'), 'app');
  await fresh.refused(5, /its own and no copy/, 'apply', path('2'), 'app');
  copyFileSync(path('large.db'), path('database'));
  await fresh.refused(2, /no change file: mvfuse export --since makes them/, 'apply', path('database'), 'x');
  await fresh.refused(3, /cannot be read: ENOENT/, 'apply', path('missing'), 'x');
  await fresh.refused(2, /is a directory/, 'apply', base, 'x');
  await fresh.refused(2, /cannot name a namespace/, 'apply', path('1'), 'a@b');
  await source.refused(4, /exists: --force replaces it/, 'export', 'app', '--since', 'first', path('1'));
  await source.refused(3, /no tag "nothing"/, 'export', 'app', '--since', 'nothing', path('x'));
  await source.refused(
    3,
    /was removed.*a new chain begins with --since first/,
    'export',
    'app',
    '--since',
    await removed(),
    path('x'),
  );
  await source.refused(2, /is newer than/, 'export', 'app@shipped', '--since', 'latest', path('x'));
  await source.refused(2, /a moment is a version/, 'export', 'app', '--since', '-5x', path('x'));
  await source.refused(3, /no version as old as|was removed/, 'export', 'app', '--since', '-5m', path('x'));
  await source.explained('export', 'apply');
  assert.deepEqual(
    readdirSync(base).filter((name) => name.includes('partial') || name === 'x'),
    [],
  );

  /** The versions of `fresh`, against the same versions of the replica, which has all that the first file has. */
  async function compareFresh(): Promise<number> {
    const copies = await history('fresh', 'app', true);
    assert.deepEqual(copies, (await history('replica', 'app', true)).slice(0, copies.length));
    return copies.length;
  }

  /** A version that the source had. */
  async function removed(): Promise<string> {
    return (await replica.json('log', 'app', '--limit', '10000')).at(-1).origin;
  }
});
