// The commands through the real binary: what they print, how they end, and that they reach the running daemon.

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Client, type Outcome, run, sqlite3 } from '../support/client.js';
import { MAIN, TestMount } from '../support/mounted.js';

const LIMIT_VARIABLES = [
  'MVFUSE_CACHE_SIZE',
  'MVFUSE_DIRTY_MEMORY',
  'MVFUSE_DIRTY_LIMIT',
  'MVFUSE_MAX_CONNECTIONS',
  'MVFUSE_QUEUE_LENGTH',
  'MVFUSE_WRITER_WAIT',
];
const ACCESS_VARIABLES = ['MVFUSE_UID', 'MVFUSE_GID', 'MVFUSE_MODE'];

let base: string;
let store: string;

before(() => {
  base = mkdtempSync(join(tmpdir(), 'mvfuse-cli-'));
  store = `sqlite:${join(base, 'store')}`;
});

after(() => rmSync(base, { recursive: true, force: true }));

function mvfuse(...args: string[]): Promise<Outcome> {
  return run(process.execPath, [MAIN, ...args]);
}

async function refused(status: number, message: RegExp, ...args: string[]): Promise<void> {
  const outcome = await mvfuse(...args);
  assert.equal(outcome.status, status, outcome.stderr);
  assert.match(outcome.stderr, message);
  assert.equal(outcome.stdout, '');
  assert.doesNotMatch(outcome.stderr, /\n\s+at /, 'a stack trace is no sentence');
}

test('--help and --version', async () => {
  const help = await mvfuse('--help');
  assert.equal(help.status, 0);
  for (const word of ['mount', 'log', 'ns', 'Exit status']) assert.ok(help.stdout.includes(word), word);
  const mount = await mvfuse('mount', '--help');
  for (const flag of [
    '--mountpoint',
    '--namespaces',
    '--store',
    '--no-create',
    '--read-only',
    '--allow-other',
    '--mode',
  ]) {
    assert.ok(mount.stdout.includes(flag), flag);
  }
  for (const name of [
    'MVFUSE_MOUNTPOINT',
    'MVFUSE_NAMESPACES',
    'MVFUSE_STORE',
    'MVFUSE_LOG_FORMAT',
    ...LIMIT_VARIABLES,
    ...ACCESS_VARIABLES,
  ]) {
    assert.ok(mount.stdout.includes(name), name);
  }
  assert.match((await mvfuse('--version')).stdout, /^\d+\.\d+\.\d+\n$/);
});

test('bad input gives one clear sentence and status 2', async () => {
  const dir = join(base, 'm');
  await refused(2, /--mountpoint/, '--namespaces', 'a=b');
  await refused(2, /--namespaces/, '--mountpoint', dir);
  await refused(2, /"a" is given twice/, '--mountpoint', dir, '--namespaces', 'a=x,a=y', '--store', store);
  await refused(
    2,
    /cannot be a tag.*a moment is a version/,
    '--mountpoint',
    dir,
    '--namespaces',
    'a=x@12',
    '--store',
    store,
  );
  await refused(2, /leading dot/, '--mountpoint', dir, '--namespaces', '.a=x', '--store', store);
  await refused(2, /SQLite's own files/, '--mountpoint', dir, '--namespaces', 'a-journal=x', '--store', store);
  await refused(2, /URL of a store/, '--mountpoint', dir, '--namespaces', 'a=x', '--store', 'nonsense');
  await refused(2, /log-level/, '--mountpoint', dir, '--namespaces', 'a=x', '--log-level', 'loud');
  const mounting = ['--mountpoint', dir, '--namespaces', 'a=x', '--store', store];
  await refused(
    2,
    /'--cache-size <size>' argument 'much' .* is not a size from 0 to 1T/,
    ...mounting,
    '--cache-size',
    'much',
  );
  await refused(2, /'--max-connections <count>' .* is not a whole number/, ...mounting, '--max-connections', '0');
  await refused(2, /'--writer-wait <time>' .* is not a time/, ...mounting, '--writer-wait', '10');
  for (const mode of ['888', '755', '64', '044', '1644', 'rw']) {
    await refused(2, /'--mode <octal>' .* is not the mode of a database/, ...mounting, '--mode', mode);
  }
  await refused(
    2,
    /'--uid <user>' .* is neither a number nor the name of a user/,
    ...mounting,
    '--uid',
    'no such user',
  );
  await refused(2, /'--gid <group>' .* is neither a number nor the name of a group/, ...mounting, '--gid', '-1x');
  await refused(2, /'--uid <user>' .* is not a user or group number/, ...mounting, '--uid', '4294967295');
  await refused(2, /lies inside the mount point/, '--mountpoint', base, '--namespaces', 'a=x', '--store', store);
  await refused(2, /unknown option/, '--mountpoint', dir, '--namespaces', 'a=b', '--nonsense');
  await refused(2, /positive number/, 'log', 'x', '--limit', '0', '--store', store);
  mkdirSync(join(base, 'full'));
  writeFileSync(join(base, 'full', 'file'), '');
  await refused(2, /not empty/, '--mountpoint', join(base, 'full'), '--namespaces', 'a=x', '--store', store);
});

test('without a daemon, commands open the store themselves', async () => {
  await refused(3, /no namespace/i, 'ns', 'stat', 'test', '--store', store);
  await refused(3, /no namespace/i, 'log', 'test', '--store', store);
  assert.equal((await mvfuse('ns', 'create', 'test', '--store', store)).stdout, 'created test\n');
  await refused(4, /exists/, 'ns', 'create', 'test', '--store', store);
  await refused(2, /namespace/, 'ns', 'create', 'a@b', '--store', store);
  assert.match((await mvfuse('ns', 'list', '--store', store)).stdout, /^NAME .*\ntest .* never\n$/);
  const [listed] = JSON.parse((await mvfuse('ns', 'list', '--json', '--store', store)).stdout) as [{ name: string }];
  assert.equal(listed.name, 'test');
});

test('--no-create and a version that does not exist', async () => {
  const flags = ['--mountpoint', join(base, 'm'), '--store', store];
  await refused(3, /no namespace/i, ...flags, '--namespaces', 'a=missing', '--no-create');
  await refused(3, /has no version/, ...flags, '--namespaces', `a=test@${'0'.repeat(19)}1`);
});

test('environment variables stand for flags', async () => {
  const environment = (values: Record<string, string>): Promise<Outcome> => {
    const words = Object.entries(values).map(([name, value]) => `${name}=${value}`);
    return run('env', [...words, process.execPath, MAIN]);
  };
  const common = { MVFUSE_MOUNTPOINT: join(base, 'm'), MVFUSE_NAMESPACES: 'a=missing', MVFUSE_STORE: store };
  const refusedBy = await environment({ ...common, MVFUSE_NO_CREATE: '1' });
  assert.equal(refusedBy.status, 3, refusedBy.stderr);
  const level = await environment({ ...common, MVFUSE_NO_CREATE: '1', MVFUSE_LOG_LEVEL: 'loud' });
  assert.equal(level.status, 2);
  assert.match(level.stderr, /MVFUSE_LOG_LEVEL|log-level/);
  const size = await environment({ ...common, MVFUSE_NO_CREATE: '1', MVFUSE_DIRTY_MEMORY: '4X' });
  assert.equal(size.status, 2);
  assert.match(size.stderr, /MVFUSE_DIRTY_MEMORY.* is not a size from 1M to 1T/);
  const mode = await environment({ ...common, MVFUSE_NO_CREATE: '1', MVFUSE_MODE: '7' });
  assert.equal(mode.status, 2);
  assert.match(mode.stderr, /MVFUSE_MODE.* is not the mode of a database/);
  const off = await environment({ ...common, MVFUSE_NO_CREATE: '0', MVFUSE_NAMESPACES: 'a=x@1' });
  assert.equal(off.status, 2);
  assert.match((await mvfuse('mount', '--help')).stdout, /MVFUSE_READ_ONLY/);
});

test('with a daemon, commands go through it', async () => {
  const mount = await TestMount.start({ base, namespaces: 'mydb=test' });
  try {
    await sqlite3(mount.path(), 'CREATE TABLE t(a); INSERT INTO t VALUES(1)');
    const text = await mvfuse('log', 'test', '--store', store);
    assert.match(text.stdout, /^VERSION +TIME +PAGES +SIZE\n([0-9a-f]{20} .*\n){2}$/);
    const entries = JSON.parse((await mvfuse('log', 'test', '--json', '--limit', '1', '--store', store)).stdout);
    assert.deepEqual(Object.keys(entries[0]).sort(), [
      'bytes',
      'pageBytes',
      'pageCount',
      'sizeBytes',
      'tags',
      'timeMs',
      'version',
    ]);
    assert.match((await mvfuse('ns', 'stat', 'test', '--store', store)).stdout, /page size +4096 bytes/);
    assert.equal((await mvfuse('ns', 'create', 'second', '--store', store)).status, 0);
    await refused(3, /no namespace/i, 'log', 'missing', '--store', store);
    await refused(
      8,
      /in use by process \d+/,
      '--mountpoint',
      join(base, 'm2'),
      '--namespaces',
      'a=b',
      '--store',
      store,
    );
    const lines = mount.log
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    const commits = lines.filter((line) => line.msg === 'commit');
    assert.equal(commits.length, 2);
    for (const field of ['namespace', 'version', 'pages', 'bytes', 'ms']) assert.ok(field in commits[0]!, field);
  } finally {
    assert.equal(await mount.unmount(), 0);
  }
  assert.equal((await mvfuse('ns', 'stat', 'second', '--store', store)).status, 0);
});

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  test(`${signal} ends the daemon cleanly with a transaction open`, async () => {
    const mount = await TestMount.start({ base, namespaces: 'mydb=test' });
    const client = new Client();
    try {
      await client.open(mount.path());
      const [[before]] = (await client.exec('SELECT count(*) FROM t')) as [[number]];
      await client.exec('INSERT INTO t VALUES(2)');
      await client.exec('BEGIN IMMEDIATE');
      await client.exec('INSERT INTO t VALUES(3)');
      mount.child.kill(signal);
      assert.equal(await mount.exited(), 0);
      assert.equal(mount.mounted, false);
      await assert.rejects(client.exec('COMMIT'));
      const again = await TestMount.start({ base, namespaces: 'mydb=test' });
      try {
        assert.equal(await sqlite3(again.path(), 'SELECT count(*) FROM t'), String(before + 1));
      } finally {
        assert.equal(await again.unmount(), 0);
      }
    } finally {
      await client.kill();
      await mount.remove({ keepFiles: true });
    }
  });
}

test('--read-only refuses writes and still reads', async () => {
  const mount = await TestMount.start({ base, namespaces: 'mydb=test' }, ['--read-only']);
  try {
    assert.match(await sqlite3(mount.path(), 'SELECT count(*) FROM t'), /^\d+$/);
    assert.match((await run('sqlite3', [mount.path()], 'INSERT INTO t VALUES(1);')).stderr, /readonly database/);
  } finally {
    assert.equal(await mount.unmount(), 0);
  }
});
