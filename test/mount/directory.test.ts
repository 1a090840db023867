// The mounted directory under ordinary tools: what they list, copy and archive is one consistent version, and a
// file copied in is one atomic commit.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { run, sqlite3 } from '../support/client.js';
import { MAIN, TestMount } from '../support/mounted.js';

let mount: TestMount;
let local: string;

before(async () => {
  mount = await TestMount.start({ namespaces: 'mydb=test,other=other,raw=raw' });
  local = mkdtempSync(join(tmpdir(), 'mvfuse-local-'));
  await sqlite3(
    join(local, 'source.db'),
    'CREATE TABLE t(a, b); INSERT INTO t SELECT value, hex(randomblob(40)) FROM generate_series(1, 20000);',
  );
});

after(async () => {
  await mount.remove();
  rmSync(local, { recursive: true, force: true });
});

interface LogEntry {
  version: string;
  timeMs: number;
  sizeBytes: number;
}

async function log(namespace: string): Promise<LogEntry[]> {
  const { stdout } = await run(process.execPath, [MAIN, 'log', namespace, '--json', '--store', mount.storeUrl]);
  return JSON.parse(stdout) as LogEntry[];
}

async function shell(script: string): Promise<string> {
  const { status, stdout, stderr } = await run('bash', ['-c', `cd ${mount.base} && L=${local} && ${script}`]);
  assert.equal(status, 0, stderr);
  return stdout;
}

function digest(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}

test('cp into the mount is one commit, and cp out gives the same bytes', async () => {
  await shell('cp $L/source.db dbs/mydb');
  assert.equal((await log('test')).length, 1);
  await shell('cp dbs/mydb $L/copy.db && cmp $L/copy.db $L/source.db');
});

test('copying the same bytes again commits nothing', async () => {
  await shell('cp $L/source.db dbs/mydb');
  assert.equal((await log('test')).length, 1);
});

test('ls shows size and time of the last commit through the symlink', async () => {
  const [head] = await log('test');
  const fields = (await shell('stat -L -c "%s %.3Y %h %F" dbs/mydb')).trim();
  assert.equal(fields, `${head!.sizeBytes} ${(head!.timeMs / 1000).toFixed(3)} 1 regular file`);
  assert.match(await shell('ls -lL dbs'), new RegExp(` ${head!.sizeBytes} .* mydb\n`));
  assert.match(await shell('ls -l dbs'), / mydb -> \.c\/[0-9a-f]{12}\/mydb\n/);
  assert.equal(await shell('ls -A dbs'), 'mydb\nother\nraw\n');
});

test('cat, dd, rsync, tar, sha256sum and find see the same version', async () => {
  const expected = digest(join(local, 'source.db'));
  await shell('cat dbs/mydb > $L/cat.db && dd if=dbs/mydb of=$L/dd.db bs=1000 status=none');
  await shell('mkdir -p $L/rsync $L/tar && rsync -aL dbs/ $L/rsync/ && tar -chf - -C dbs . | tar -xf - -C $L/tar');
  for (const copy of ['cat.db', 'dd.db', 'rsync/mydb', 'tar/mydb']) assert.equal(digest(join(local, copy)), expected);
  assert.equal((await shell('sha256sum < dbs/mydb')).split(' ')[0], expected);
  assert.equal(await shell('find -L dbs -type f | sort'), 'dbs/mydb\ndbs/other\ndbs/raw\n');
});

test('a copy keeps to the version that it opened while the database is changed', async () => {
  const before = digest(join(local, 'source.db'));
  // The reader holds the file open, another client commits, then the reader reads on.
  const script = `exec 3< dbs/mydb; head -c 4096 <&3 > $L/held.db
    sqlite3 dbs/mydb "UPDATE t SET b = 'changed'; VACUUM" && cat <&3 >> $L/held.db`;
  await shell(script);
  assert.equal(digest(join(local, 'held.db')), before);
  assert.notEqual((await shell('sha256sum < dbs/mydb')).split(' ')[0], before);
});

test('.restore is one commit', async () => {
  const before = (await log('other')).length;
  await shell('sqlite3 dbs/other ".restore $L/source.db"');
  assert.equal((await log('other')).length, before + 1);
  assert.equal(await sqlite3(mount.path('other'), 'SELECT count(*) FROM t; PRAGMA integrity_check;'), '20000\nok');
});

test('a copy that is cut off in the middle is not committed', async () => {
  const before = await log('test');
  await shell('head -c 100000 $L/source.db > dbs/mydb');
  // The last close is answered before the kernel releases the file; the next opener waits for the write lock.
  await shell('cp $L/source.db dbs/mydb');
  assert.equal((await log('test')).length, before.length + 1);
});

test('bytes that are no database are kept exactly', async () => {
  for (const bytes of [Buffer.from('hello\n'), Buffer.alloc(5000, 'x'), Buffer.alloc(4096, 1)]) {
    writeFileSync(join(local, 'bytes'), bytes);
    const before = (await log('raw')).length;
    await shell('cp $L/bytes dbs/raw');
    // Committed when the kernel releases the handle, shortly after cp has ended.
    for (let tries = 0; tries < 200 && (await log('raw')).length === before; tries += 1);
    assert.equal((await run('cmp', [mount.path('raw'), join(local, 'bytes')])).status, 0, `${bytes.length} bytes`);
  }
});

test('bytes that are no database can be cut and appended to', async () => {
  await shell('head -c 10000 /dev/urandom > $L/bytes && cp $L/bytes dbs/raw');
  for (const change of [
    'truncate -s 5000 FILE',
    'echo more >> FILE',
    'truncate -s 4096 FILE',
    'truncate -s 9000 FILE',
    // Nothing but zeros is cut off.
    'truncate -s 8500 FILE',
  ]) {
    const before = (await log('raw')).length;
    await shell(`${change.replace('FILE', '$L/bytes')} && ${change.replace('FILE', 'dbs/raw')}`);
    for (let tries = 0; tries < 200 && (await log('raw')).length === before; tries += 1);
    assert.equal((await run('cmp', [mount.path('raw'), join(local, 'bytes')])).status, 0, change);
  }
});

test('what the mount does not do is refused clearly', async () => {
  const refused = async (script: string, message: RegExp): Promise<void> => {
    const { status, stderr } = await run('bash', ['-c', `cd ${mount.base} && LC_ALL=C ${script}`]);
    assert.notEqual(status, 0, script);
    assert.match(stderr, message);
  };
  await refused('touch dbs/new', /Permission denied/);
  await refused('mkdir dbs/new', /Operation not permitted/);
  await refused('rm dbs/mydb', /Permission denied/);
  await refused('mv dbs/mydb dbs/renamed', /Permission denied/);
  await refused('cat dbs/missing', /No such file/);
  await refused('cat dbs/mydb@00000000000000000001', /No such file/);
  await refused('cat dbs/mydb@nonsense', /No such file/);
});

test('df answers', async () => {
  assert.match(await shell('df --output=fstype dbs'), /fuse\.mvfuse/);
});

test('two hundred files opened at once', async () => {
  mkdirSync(join(local, 'many'), { recursive: true });
  await shell('for i in $(seq 200); do cat dbs/mydb > $L/many/$i & done; wait; cmp $L/many/1 $L/many/200');
});
