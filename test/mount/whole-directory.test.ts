// A mounted directory of databases: files are made, renamed, replaced and removed there by stock programs, while others
// have them open.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Client, ClientError, run, sqlite3 } from '../support/client.js';
import { FaultMount, MAIN, TestMount } from '../support/mounted.js';

let mount: TestMount;
let local: string;

before(async () => {
  mount = await TestMount.start({ namespaces: '*=app/*,fixed=other' });
  local = mkdtempSync(join(tmpdir(), 'mvfuse-local-'));
});

after(async () => {
  await mount.remove();
  rmSync(local, { recursive: true, force: true });
});

async function shell(script: string): Promise<string> {
  const { status, stdout, stderr } = await run('bash', ['-c', `cd ${mount.directory} && L=${local} && ${script}`]);
  assert.equal(status, 0, stderr);
  return stdout.trim();
}

async function mvfuse(...args: string[]): Promise<string> {
  const { status, stdout, stderr } = await run(process.execPath, [MAIN, ...args, '--store', mount.storeUrl]);
  assert.equal(status, 0, stderr);
  return stdout;
}

async function namespaces(): Promise<string[]> {
  const list = JSON.parse(await mvfuse('ns', 'list', '--json')) as Array<{ name: string }>;
  return list.map(({ name }) => name);
}

async function files(): Promise<string[]> {
  return (await shell('ls -A')).split('\n').filter((name) => name !== '');
}

const refused = (code: string) => (error: unknown) => error instanceof ClientError && error.code === code;

test('a new name becomes a namespace with its first commit', async () => {
  const client = new Client();
  await client.open(mount.path('first.db'));
  assert.deepEqual(await files(), ['first.db', 'fixed']);
  await client.exec('BEGIN');
  await client.exec('CREATE TABLE t(a)');
  assert.deepEqual(await namespaces(), ['other']);
  await client.exec('COMMIT');
  assert.deepEqual(await namespaces(), ['app/first.db', 'other']);
  assert.equal(await sqlite3(mount.path('first.db'), 'INSERT INTO t VALUES(1); SELECT count(*) FROM t'), '1');
  assert.deepEqual(await client.exec('SELECT count(*) FROM t'), [[1]]);
  await client.kill();
});

test('who made a file and closed it finds what others find, before the kernel tells of the end of the handle', async () => {
  // SQLite's open looks at the path and then opens what it saw there.
  const script = `
import os, sqlite3, sys
path = sys.argv[1]
first, second = sqlite3.connect(path), sqlite3.connect(path)
first.execute("CREATE TABLE t(a)")
first.close()
print(os.path.islink(path))
second.close()
print(os.path.islink(path))
sqlite3.connect(path).execute("INSERT INTO t VALUES(1)").connection.commit()
`;
  const faulty = await FaultMount.startFaulty({ namespaces: '*' });
  try {
    await faulty.hold('RELEASE(db)', 2);
    const { status, stdout, stderr } = await run('timeout', ['20', 'python3', '-c', script, faulty.path('again.db')]);
    assert.equal(status, 0, stderr);
    assert.equal(stdout, 'False\nTrue\n');
    assert.equal(await faulty.hit(5_000), 'RELEASE(db)');
    await faulty.release();
  } finally {
    await faulty.remove();
  }
});

test('a program that has a file open for writing, or holds locks in it, and becomes another program', async () => {
  // The kernel closes the file in the middle of exec, and does not let anybody see the state of the process meanwhile.
  const path = mount.path('exec.bin');
  const written = 'open(sys.argv[1], "wb", 0); f.write(b"x" * 100)';
  const locked = 'open(sys.argv[1], "rb"); fcntl.lockf(f, fcntl.LOCK_SH | fcntl.LOCK_NB, 510, 0x40000002)';
  for (const opened of [written, locked]) {
    const script = `import fcntl, os, sys\nf = ${opened}\nos.execv("/bin/echo", ["echo", "done"])`;
    const { status, stdout } = await run('timeout', ['20', 'python3', '-c', script, path]);
    assert.deepEqual([status, stdout], [0, 'done\n']);
  }
  await shell('rm exec.bin');
});

test('how many directories a directory holds is not told by its number of links', async () => {
  await shell('mkdir -p outer/inner');
  assert.equal(await shell('stat -c %h . outer outer/inner'), '1\n1\n1');
  await shell('rm -r outer');
});

test('a namespace that a command made is a file, and one that was removed is none', async () => {
  await mvfuse('ns', 'create', 'app/made');
  assert.ok((await files()).includes('made'));
  assert.equal(await sqlite3(mount.path('made'), 'CREATE TABLE t(a); SELECT 1'), '1');
  await mvfuse('ns', 'delete', 'app/made', '--yes');
  assert.ok(!(await files()).includes('made'));
  assert.notEqual((await run('cat', [mount.path('made')])).status, 0);
});

test('a database that a command deleted cannot be written by those who have it open until it is back', async () => {
  await sqlite3(mount.path('back'), 'CREATE TABLE t(a)');
  const client = new Client();
  await client.open(mount.path('back'));
  await client.exec('INSERT INTO t VALUES(1)');
  await mvfuse('ns', 'delete', 'app/back', '--yes');
  await assert.rejects(client.exec('INSERT INTO t VALUES(2)'), refused('SQLITE_READONLY_DBMOVED'));
  assert.deepEqual(await client.exec('SELECT sum(a) FROM t'), [[1]]);
  await mvfuse('ns', 'undelete', 'app/back');
  await client.exec('INSERT INTO t VALUES(4)');
  assert.equal(await sqlite3(mount.path('back'), 'INSERT INTO t VALUES(8); SELECT sum(a) FROM t'), '13');
  assert.deepEqual(await client.exec('SELECT sum(a) FROM t'), [[13]]);
  await client.kill();
});

test('the creator finds its journals beside the file, others theirs elsewhere', async () => {
  const client = new Client();
  await client.open(mount.path('creator.db'));
  await client.exec('CREATE TABLE t(a)');
  assert.equal(await shell('test -L creator.db && echo link'), 'link');
  for (const mode of ['delete', 'truncate', 'persist']) {
    await client.exec(`PRAGMA journal_mode=${mode}`);
    for (let index = 0; index < 3; index += 1) {
      await client.exec('BEGIN IMMEDIATE');
      await client.exec('INSERT INTO t VALUES(1)');
      // Nobody else sees that journal, hot as it is.
      assert.ok(!(await files()).includes('creator.db-journal'));
      assert.equal((await run('cat', [mount.path('creator.db-journal')])).status, 1);
      await client.exec(index === 1 ? 'ROLLBACK' : 'COMMIT');
      await sqlite3(mount.path('creator.db'), 'INSERT INTO t VALUES(2)');
    }
  }
  assert.deepEqual(await client.exec('SELECT count(*), sum(a) FROM t'), [[15, 24]]);
  await client.close();
  assert.equal(await sqlite3(mount.path('creator.db'), 'SELECT count(*), sum(a) FROM t'), '15|24');
  await client.kill();
});

test('several connections of the creator, and its threads, share the file as on any filesystem', async () => {
  const client = new Client();
  await client.open(mount.path('shared.db'), 0, { timeout: 0 });
  await client.exec('CREATE TABLE t(a)');
  await client.open(mount.path('shared.db'), 1, { timeout: 0 });
  await client.exec('INSERT INTO t VALUES(1)', 1);
  await client.exec('BEGIN IMMEDIATE', 0);
  await assert.rejects(client.exec('INSERT INTO t VALUES(2)', 1), refused('SQLITE_BUSY'));
  await client.exec('INSERT INTO t VALUES(3)', 0);
  await client.exec('COMMIT', 0);
  assert.deepEqual(await client.exec('SELECT sum(a) FROM t', 1), [[4]]);
  await client.kill();
});

test('vfs=unix-dotfile of the creator, whose lock is a directory beside the file', async () => {
  const path = `file:${mount.path('dotfile.db')}?vfs=unix-dotfile`;
  const creator = new Client();
  for (const c of [0, 1]) await creator.open(path, c, { uri: true, timeout: 0 });
  await creator.script('CREATE TABLE t(a); BEGIN; INSERT INTO t VALUES(1)');
  await assert.rejects(creator.exec('SELECT * FROM t', 1), refused('SQLITE_BUSY'));
  assert.equal(await sqlite3(mount.path('dotfile.db'), 'SELECT count(*) FROM t'), '0');
  await assert.rejects(sqlite3(path, 'SELECT count(*) FROM t'), /locked/);
  await creator.exec('COMMIT');
  assert.deepEqual(await creator.exec('SELECT * FROM t', 1), [[1]]);
  await creator.script('BEGIN; INSERT INTO t VALUES(2)');
  await creator.kill();
  assert.equal(await sqlite3(path, 'INSERT INTO t VALUES(3); SELECT group_concat(a) FROM t'), '1,3');
  assert.equal(await shell('ls -d dotfile.db*; rm dotfile.db'), 'dotfile.db');
});

test('a transaction over a database that is there and one that is made by it', async () => {
  const client = new Client();
  await sqlite3(mount.path('old.db'), 'CREATE TABLE t(a)');
  await client.open(mount.path('old.db'));
  await client.exec(`ATTACH '${mount.path('attached.db')}' AS other`);
  await client.exec('BEGIN');
  await client.exec('CREATE TABLE other.t(a)');
  await client.exec('INSERT INTO t VALUES(1)');
  await client.exec('COMMIT');
  // Both ways round: the main database is the one that was made.
  await client.open(mount.path('main.db'), 1);
  await client.exec(`ATTACH '${mount.path('old.db')}' AS other`, 1);
  await client.exec('CREATE TABLE t(a)', 1);
  await client.exec('BEGIN', 1);
  await client.exec('INSERT INTO t VALUES(5)', 1);
  await client.exec('INSERT INTO other.t VALUES(6)', 1);
  await client.exec('COMMIT', 1);
  await client.kill();
  assert.equal(await sqlite3(mount.path('attached.db'), 'SELECT count(*) FROM sqlite_schema'), '1');
  assert.equal(await sqlite3(mount.path('old.db'), 'SELECT group_concat(a) FROM t'), '1,6');
  assert.equal(await sqlite3(mount.path('main.db'), 'SELECT group_concat(a) FROM t'), '5');
  const log = async (name: string) => JSON.parse(await mvfuse('log', name, '--json')) as Array<{ version: string }>;
  assert.equal((await log('app/main.db'))[0]!.version, (await log('app/old.db'))[0]!.version);
});

test('a transaction that locks two databases that were made by it, and changes one of them', async () => {
  const client = new Client();
  await client.open(mount.path('changed.db'));
  await client.exec(`ATTACH '${mount.path('locked.db')}' AS other`);
  await client.exec('CREATE TABLE t(a)');
  await client.exec('CREATE TABLE other.u(a)');
  await client.exec('BEGIN IMMEDIATE');
  await client.exec('INSERT INTO t VALUES(1)');
  await client.exec('COMMIT');
  await client.kill();
  assert.equal(await sqlite3(mount.path('changed.db'), 'SELECT count(*) FROM t'), '1');
});

for (const creates of [true, false]) {
  const who = creates ? 'its creator' : 'others';
  const name = creates ? 'created.db' : 'opened.db';

  test(`rm: a database goes on for ${who} as an unlinked file does, and comes back with undelete`, async () => {
    const client = new Client();
    if (!creates) await sqlite3(mount.path(name), 'CREATE TABLE t(a); INSERT INTO t VALUES(1)');
    await client.open(mount.path(name));
    if (creates) await client.script('CREATE TABLE t(a); INSERT INTO t VALUES(1)');
    await client.cursor('SELECT a FROM t', 'reader');
    await shell(`rm ${name}`);
    assert.ok(!(await files()).includes(name));
    assert.ok(!(await namespaces()).includes(`app/${name}`));
    assert.deepEqual(await client.fetch('reader'), [[1]]);
    assert.deepEqual(await client.exec('SELECT count(*) FROM t'), [[1]]);
    await assert.rejects(client.exec('INSERT INTO t VALUES(2)'), refused('SQLITE_READONLY_DBMOVED'));
    // Another database has the name now.
    assert.equal(await sqlite3(mount.path(name), 'CREATE TABLE u(b); SELECT name FROM sqlite_schema'), 'u');
    assert.deepEqual(await client.exec('SELECT count(*) FROM t'), [[1]]);
    await client.kill();
    await shell(`rm ${name}`);
    await mvfuse('ns', 'undelete', `app/${name}`);
    assert.equal(await sqlite3(mount.path(name), 'SELECT name FROM sqlite_schema'), 'u');
    await mvfuse('ns', 'undelete', `app/${name}`, '--as', `app/again-${name}`);
    assert.equal(await sqlite3(mount.path(`again-${name}`), 'SELECT a FROM t; PRAGMA integrity_check'), '1\nok');
  });

  test(`mv: ${who} cannot write under the old name, and again once it is back`, async () => {
    const client = new Client();
    const moved = `moved-${name}`;
    await shell(`rm -f ${name}`);
    if (!creates) await sqlite3(mount.path(name), 'CREATE TABLE t(a); INSERT INTO t VALUES(1)');
    await client.open(mount.path(name));
    if (creates) await client.script('CREATE TABLE t(a); INSERT INTO t VALUES(1)');
    await shell(`mv ${name} ${moved}`);
    await assert.rejects(client.exec('INSERT INTO t VALUES(2)'), refused('SQLITE_READONLY_DBMOVED'));
    assert.deepEqual(await client.exec('SELECT a FROM t'), [[1]]);
    assert.equal(await sqlite3(mount.path(moved), 'INSERT INTO t VALUES(3); SELECT sum(a) FROM t'), '4');
    assert.deepEqual(await client.exec('SELECT sum(a) FROM t'), [[4]]);
    await shell(`mv ${moved} ${name}`);
    await client.exec('INSERT INTO t VALUES(2)');
    await client.kill();
    assert.equal(await sqlite3(mount.path(name), 'SELECT sum(a) FROM t'), '6');
  });

  test(`rename-over: ${who} keep the replaced database, new openers find the new one`, async () => {
    const client = new Client();
    await shell(`rm -f ${name}`);
    if (!creates) await sqlite3(mount.path(name), "CREATE TABLE t(a); INSERT INTO t VALUES('old')");
    await client.open(mount.path(name));
    if (creates) await client.script("CREATE TABLE t(a); INSERT INTO t VALUES('old')");
    await sqlite3(mount.path('next.db'), "CREATE TABLE t(a); INSERT INTO t VALUES('new')");
    await shell(`mv next.db ${name}`);
    assert.deepEqual(await client.exec('SELECT a FROM t'), [['old']]);
    await assert.rejects(client.exec('INSERT INTO t VALUES(2)'), refused('SQLITE_READONLY_DBMOVED'));
    assert.equal(await sqlite3(mount.path(name), 'SELECT a FROM t'), 'new');
    assert.ok(!(await files()).includes('next.db'));
    await client.close();
    await client.open(mount.path(name));
    await client.exec('INSERT INTO t VALUES(2)');
    await client.kill();
    await mvfuse('ns', 'undelete', `app/${name}`, '--as', `app/replaced-${name}`);
    assert.equal(await sqlite3(mount.path(`replaced-${name}`), 'SELECT a FROM t'), 'old');
  });
}

test('files that are no databases keep their bytes', async () => {
  const script = `
    printf 'one\\n' > f; printf 'two\\n' >> f; cp f g; mv g h; cat f h
    truncate -s 3 f; printf 'X' | dd of=f bs=1 seek=10 conv=notrunc status=none; od -c f
    truncate -s 100000 f; printf 'end' >> f; wc -c < f; tail -c 3 f; tail -c +4 h
    head -c 300000 /etc/ld.so.cache /dev/zero > big; head -c 300000 /etc/ld.so.cache /dev/zero | cmp - big; rm big f
    sed -i s/one/three/ h; cat h; ls f g h big 2>&1; true`;
  const expected = await run('bash', ['-c', `mkdir ${local}/same && cd ${local}/same && ${script}`]);
  assert.equal(await shell(script), expected.stdout.trim());
  await shell('rm h');
});

test('files that are no databases have bytes where databases have their lock bytes', async () => {
  // The lock bytes lie 1 GiB into the file; this daemon has them where SQLite's own tests have theirs.
  const environment = { NODE_OPTIONS: `--import ${new URL('../sqlite-suite/moved-lock-bytes.js', import.meta.url)}` };
  const moved = await TestMount.start({ namespaces: '*', environment });
  const command = async (...args: string[]): Promise<string> => {
    const { status, stdout, stderr } = await run(process.execPath, [MAIN, ...args, '--store', moved.storeUrl]);
    assert.equal(status, 0, stderr);
    return stdout;
  };
  try {
    const files = `one=${moved.path('one.bin')} L=${local}/random.bin`;
    const { status, stderr } = await run('bash', [
      '-ec',
      `${files}; head -c 100000 /dev/urandom >$L; cp $L $one; cmp $L $one; tail -c +2 $L >$one`,
    ]);
    assert.equal(status, 0, stderr);
    const versions = JSON.parse(await command('log', 'one.bin', '--json')) as Array<{ version: string }>;
    await command('rollback', `one.bin@${versions.at(-1)!.version}`);
    await command('fork', 'one.bin', 'fork.bin');
    const compared = await run('bash', ['-ec', `${files}; cmp $L $one; cmp $L ${moved.path('fork.bin')}`]);
    assert.equal(compared.status, 0, compared.stdout);
  } finally {
    await moved.remove();
  }
});

test('a damaged database that is copied in keeps its bytes, a copy that is killed leaves nothing', async () => {
  await sqlite3(join(local, 'whole.db'), 'CREATE TABLE t(a); INSERT INTO t VALUES(zeroblob(100000))');
  await shell('head -c 50000 $L/whole.db > $L/damaged.db; cp $L/damaged.db . && cmp $L/damaged.db damaged.db');
  // What was there before is worth more.
  await shell('cp $L/whole.db . && cp $L/damaged.db whole.db; sleep 0; cmp $L/whole.db whole.db');
  const copy =
    "import os, signal; f = open('killed.db', 'wb', 0); f.write(open(os.environ['L'] + '/damaged.db', 'rb').read())";
  await shell(`export L; python3 -c "${copy}; os.kill(os.getpid(), signal.SIGKILL)" || test ! -s killed.db`);
  await shell('rm -f damaged.db whole.db killed.db');
});

test('what cannot be a name of a database, and what a directory cannot hold', async () => {
  const errnos = (script: string) =>
    run('python3', ['-c', `import os, sys\nos.chdir(sys.argv[1])\n${script}`, mount.directory]);
  const attempt = `
def attempt(call):
  try: call(); print('ok')
  except OSError as error: print(os.strerror(error.errno))
for name in ['a@b', 'a\\nb', 'x-wal', 'x-shm', 'n' * 201, '.c', 'a=b']: attempt(lambda: open(name, 'w'))
attempt(lambda: os.symlink('a', 'b')); attempt(lambda: os.rename('fixed', 'b'))
open('here', 'w').close(); attempt(lambda: os.mkdir('here.lock')); attempt(lambda: os.mkdir('here'))
attempt(lambda: os.link('here', 'b')); attempt(lambda: os.rename('here', 'fixed')); attempt(lambda: os.unlink('fixed'))
attempt(lambda: os.rename('here', 'x@1')); attempt(lambda: os.open('here', os.O_CREAT | os.O_EXCL)); attempt(lambda: os.rename('none', 'b'))
attempt(lambda: os.unlink('none')); os.unlink('here')`;
  const invalid = 'Invalid argument';
  const denied = 'Permission denied';
  const not = 'Operation not permitted';
  assert.equal(
    (await errnos(attempt)).stdout.trim(),
    [
      ...[denied, invalid, denied, denied, 'File name too long', 'Is a directory', invalid],
      ...[not, denied, not, 'File exists'],
      ...[not, denied, denied, denied, 'File exists', 'No such file or directory', 'No such file or directory'],
    ].join('\n'),
  );
});

test('a backup of an empty database over another one leaves what it leaves on a local disk', async () => {
  const script = `
import sqlite3, sys, os
old = sqlite3.connect(sys.argv[1])
old.executescript('PRAGMA page_size=4096; CREATE TABLE t(a); INSERT INTO t VALUES(zeroblob(20000))')
empty = sqlite3.connect(':memory:')
empty.execute('PRAGMA page_size=1024')
empty.backup(old)
# SQLite cuts the file shorter than the page that it states.
print(os.stat(sys.argv[1]).st_size, old.execute('SELECT count(*) FROM sqlite_schema').fetchall())
old.close()
print(os.stat(sys.argv[1]).st_size)`;
  const [expected, actual] = [
    await run('python3', ['-c', script, join(local, 'backup.db')]),
    await run('python3', ['-c', script, mount.path('backup.db')]),
  ];
  assert.match(expected.stdout, /^1024 /);
  assert.equal(actual.stdout, expected.stdout, actual.stderr);
  assert.equal(await sqlite3(mount.path('backup.db'), 'CREATE TABLE again(a); PRAGMA integrity_check'), 'ok');
});

test('copies of the symlinks are databases of their own', async () => {
  await shell(`
    sqlite3 origin.db "CREATE TABLE t(a); INSERT INTO t VALUES(1)"; mkdir copies
    cp -a origin.db copies/first.db; sqlite3 origin.db "INSERT INTO t VALUES(2)"; rsync -a origin.db copies/
    tar c origin.db | tar x -C copies --transform s/origin/third/`);
  assert.equal(
    await shell('for f in copies/*; do sqlite3 $f "INSERT INTO t VALUES(10); SELECT sum(a) FROM t"; done'),
    '11\n13\n13',
  );
  assert.equal(await sqlite3(mount.path('origin.db'), 'SELECT sum(a) FROM t'), '3');
  // One after the other, deeper than forks go; over one that is there; and of nothing.
  await shell(
    'cp -a origin.db d0; for i in 1 2 3 4 5 6 7 8 9 10; do cp -a d$((i-1)) d$i; done; cp -a --remove-destination origin.db d10',
  );
  assert.equal(await sqlite3(mount.path('d9'), 'SELECT sum(a) FROM t; PRAGMA integrity_check'), '3\nok');
  await shell('touch nothing; cp -a nothing copies/; test -e copies/nothing -a ! -s copies/nothing');
  await shell('cp -a copies elsewhere; rm -r copies; test "$(sqlite3 elsewhere/first.db "SELECT sum(a) FROM t")" = 11');
  assert.match((await run('ln', ['-s', 'd1', mount.path('alias')])).stderr, /not permitted/);
  await shell('mv elsewhere/third.db .; rm -r elsewhere d? d10 nothing origin.db third.db');
});

test('subdirectories are the slashes in the names of namespaces', async () => {
  await mvfuse('ns', 'create', 'app/tenants/a/made.db');
  assert.equal(await shell('ls tenants; ls tenants/a'), 'a\nmade.db');
  await shell('mkdir -p tenants/b/deep empty');
  const client = new Client();
  const path = mount.path('tenants/b/deep/new.db');
  await client.open(path);
  await client.script('PRAGMA journal_mode=persist; CREATE TABLE t(a)');
  await client.exec(`ATTACH '${mount.path('tenants/a/made.db')}' AS other`);
  await client.script('BEGIN; CREATE TABLE other.t(a); INSERT INTO t VALUES(1); COMMIT');
  assert.equal(await sqlite3(path, 'INSERT INTO t VALUES(2); SELECT sum(a) FROM t'), '3');
  await client.kill();
  assert.equal(await sqlite3(mount.path('tenants/a/made.db'), 'SELECT name FROM sqlite_schema'), 't');
  assert.ok((await namespaces()).includes('app/tenants/b/deep/new.db'));
  // A relative path from inside, and a file that moves between directories while it is open.
  await shell(
    'cd tenants/b/deep && cp new.db ../copy.db && cd .. && sqlite3 copy.db "INSERT INTO t VALUES(3)" && cp /etc/hostname text',
  );
  const other = new Client();
  await other.open(path);
  await shell('mv tenants/b/deep/new.db tenants/moved.db');
  await assert.rejects(other.exec('INSERT INTO t VALUES(9)'), refused('SQLITE_READONLY_DBMOVED'));
  await other.kill();
  assert.equal(
    await shell('find tenants empty | sort'),
    'empty\ntenants\ntenants/a\ntenants/a/made.db\ntenants/b\ntenants/b/copy.db\ntenants/b/deep\ntenants/b/text\ntenants/moved.db',
  );
  assert.equal(await shell('sqlite3 tenants/b/copy.db "SELECT sum(a) FROM t"; cmp /etc/hostname tenants/b/text'), '6');
  const errnos = `
import os, errno, sys
os.chdir(sys.argv[1])
def attempt(call):
  try: call(); print('ok')
  except OSError as error: print(errno.errorcode[error.errno])
attempt(lambda: os.rmdir('tenants')); attempt(lambda: os.mkdir('empty')); attempt(lambda: os.rename('tenants/moved.db', 'empty'))
attempt(lambda: os.rmdir('none')); attempt(lambda: os.rename('tenants', 'other')); attempt(lambda: os.mkdir('none/a'))
attempt(lambda: os.mkdir('tenants/moved.db')); attempt(lambda: os.open('tenants', os.O_RDWR)); attempt(lambda: os.mkdir('x-journal'))`;
  assert.equal(
    (await run('python3', ['-c', errnos, mount.directory])).stdout.trim(),
    'ENOTEMPTY EEXIST EISDIR ENOENT EXDEV ENOENT EEXIST EISDIR EACCES'.replaceAll(' ', '\n'),
  );
  await shell('rm -r tenants; rmdir empty');
  assert.ok(!(await files()).includes('tenants') && !(await files()).includes('empty'));
});

test('what was made is there after a restart, and what was only opened is not', async () => {
  await sqlite3(mount.path('stays.db'), 'CREATE TABLE t(a); INSERT INTO t VALUES(1)');
  await shell('touch touched; echo text > stays.txt; sqlite3 untouched.db "PRAGMA user_version"');
  const before = await files();
  assert.ok(before.includes('untouched.db') && before.includes('touched'));
  const { base } = mount;
  assert.equal(await mount.unmount(), 0);
  mount = await TestMount.start({ base, namespaces: '*=app/*,fixed=other' });
  assert.deepEqual(
    await files(),
    before.filter((name) => name !== 'untouched.db'),
  );
  assert.equal(await shell('cat stays.txt'), 'text');
  assert.equal(await sqlite3(mount.path('stays.db'), 'SELECT a FROM t'), '1');
});

test('wait and status know what is shown because of its name', async () => {
  await mvfuse('wait', 'app/stays.db', '--ready', '--timeout', '10s');
  const late = await run(process.execPath, [
    MAIN,
    'wait',
    'app/none',
    '--ready',
    '--timeout',
    '1s',
    '--store',
    mount.storeUrl,
  ]);
  assert.equal(late.status, 13);
  assert.match(late.stderr, /there is no namespace "app\/none"/);
  const client = new Client();
  await client.open(mount.path('unfinished.db'));
  const status = JSON.parse(await mvfuse('status', '--json')) as { mounts: Array<{ files: Array<{ name: string }> }> };
  const names = status.mounts[0]!.files.map(({ name }) => name);
  assert.ok(names.includes('stays.db') && names.includes('unfinished.db') && names.includes('fixed'), names.join());
  await client.kill();
});

test('past versions and .snapshots of what comes and goes', async () => {
  await sqlite3(mount.path('timed.db'), 'CREATE TABLE t(a)');
  await sqlite3(mount.path('timed.db'), 'INSERT INTO t VALUES(1)');
  const [, first] = (await shell('ls -1U .snapshots/timed.db')).split('\n');
  assert.equal(await sqlite3(mount.path(`timed.db@${first}`), 'SELECT count(*) FROM t'), '0');
  await shell('mv timed.db later.db');
  assert.equal(await sqlite3(mount.path(`later.db@${first}`), 'SELECT count(*) FROM t'), '0');
  assert.equal((await run('ls', [mount.path('.snapshots/timed.db')])).status, 2);
  assert.ok((await shell('ls .snapshots')).split('\n').includes('later.db'));
});
