// Programs that move a file to another filesystem copy the symlink that a database is, and then remove the database: that is
// refused. Whoever just removes it is not, and files are moved into the mounted directory as into any.

import assert from 'node:assert/strict';
import { existsSync, lstatSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { run, sqlite3 } from '../support/client.js';
import { TestMount } from '../support/mounted.js';

let mount: TestMount;
let local: string;

before(async () => {
  mount = await TestMount.start({ namespaces: '*' });
  local = mkdtempSync(join(tmpdir(), 'mvfuse-local-'));
});

after(async () => {
  await mount?.remove();
  rmSync(local, { recursive: true, force: true });
});

async function make(...names: string[]): Promise<void> {
  for (const name of names) {
    await run('rm', ['-f', mount.path(name)]);
    const sql = 'CREATE TABLE t(a); INSERT INTO t VALUES(1)';
    await sqlite3(mount.path(name), sql);
    // The kernel knows where the next opener is led to.
    for (let count = 0; count < 2; count += 1) await sqlite3(mount.path(name), 'SELECT a FROM t');
  }
}

async function files(): Promise<string> {
  return (await run('ls', ['-A', mount.directory])).stdout;
}

const MOVERS = {
  mv: (path: string) => run('mv', [path, local]),
  'shutil.move': (path: string) => run('python3', ['-c', `import shutil; shutil.move('${path}', '${local}')`]),
};

for (const [mover, move] of Object.entries(MOVERS)) {
  test(`${mover} to another filesystem takes nothing away`, async () => {
    await make('moved.db');
    const { status, stderr } = await move(mount.path('moved.db'));
    assert.notEqual(status, 0);
    assert.match(stderr, /Device or resource busy/);
    assert.match(mount.log, /not removed: only its symlink was copied elsewhere/);
    assert.equal(await sqlite3(mount.path('moved.db'), 'SELECT a FROM t'), '1');
    assert.ok(lstatSync(join(local, 'moved.db')).isSymbolicLink());
    rmSync(join(local, 'moved.db'));
    // It was seen, and is meant.
    assert.equal((await run('rm', [mount.path('moved.db')])).status, 0);
    assert.equal(await files(), '');
  });
}

test('mv into the mounted directory, and in it, and cp out of it', async () => {
  await sqlite3(join(local, 'come.db'), 'CREATE TABLE t(a); INSERT INTO t VALUES(1)');
  const script = `mv ${local}/come.db come.db && mv come.db went.db && cp went.db ${local}/copy.db && rm went.db`;
  const { status, stderr } = await run('env', [`--chdir=${mount.directory}`, 'bash', '-ec', script]);
  assert.deepEqual([status, stderr], [0, '']);
  assert.ok(!existsSync(join(local, 'come.db')));
  assert.equal(await sqlite3(join(local, 'copy.db'), 'SELECT a FROM t'), '1');
  assert.equal(await files(), '');
});

test('rsync and tar into the mounted directory', async () => {
  const from = join(local, 'from');
  mkdirSync(from);
  for (const name of ['one.db', 'two.db']) {
    await sqlite3(join(from, name), `CREATE TABLE t(a); INSERT INTO t VALUES('${name}')`);
  }
  const steps = [
    'rsync -a $L/from/ .',
    'rsync -a $L/from/ .',
    'rsync -a --inplace $L/from/ .',
    'tar -C $L/from -c . | tar -x',
  ];
  for (const step of steps) {
    const { status, stderr } = await run('env', [`--chdir=${mount.directory}`, `L=${local}`, 'bash', '-ec', step]);
    assert.deepEqual([status, stderr], [0, ''], step);
    for (const name of ['one.db', 'two.db']) {
      assert.equal((await run('cmp', [join(from, name), mount.path(name)])).status, 0, step);
    }
    assert.equal(await files(), 'one.db\ntwo.db\n');
  }
  await run('rm', [mount.path('one.db'), mount.path('two.db')]);
});

/** Each looks at a file, or just lists it, before the same process removes it. */
const REMOVERS = {
  rm: 'rm removed.db',
  'rm -i': 'rm -i removed.db <<< y',
  'rm on a terminal': 'script -qec "rm removed.db" /dev/null < /dev/null',
  'find -delete': 'find . -name removed.db -delete',
  'access and unlink': `python3 -c 'import os; assert os.access("removed.db", os.W_OK); os.unlink("removed.db")'`,
  'stat and unlink': `python3 -c 'import os; assert os.path.exists("removed.db"); os.unlink("removed.db")'`,
  'realpath and unlink': `python3 -c 'import os; os.path.realpath("removed.db"); os.unlink("removed.db")'`,
  'xattr, access and unlink': `python3 -c 'import os; os.listxattr("removed.db"); os.access("removed.db", 0); os.unlink("removed.db")'`,
  'existsSync and unlinkSync': `node -e 'fs.existsSync("removed.db") && fs.unlinkSync("removed.db")'`,
  'open and unlink': `python3 -c 'import os; open("removed.db").close(); os.unlink("removed.db")'`,
  'SQLite and unlink': `python3 -c 'import os, sqlite3; sqlite3.connect("removed.db").execute("SELECT 1 FROM t").fetchall(); os.unlink("removed.db")'`,
  'rsync --delete': 'rsync -a --delete $L/empty/ .',
};

for (const [remover, script] of Object.entries(REMOVERS)) {
  test(`${remover} removes a database`, async () => {
    mkdirSync(join(local, 'empty'), { recursive: true });
    await make('removed.db');
    const environment = [`--chdir=${mount.directory}`, `L=${local}`];
    const { status, stdout, stderr } = await run('env', [...environment, 'bash', '-ec', script]);
    assert.equal(status, 0, `${stdout}${stderr}`);
    assert.equal(await files(), '', `${stdout}${stderr}`);
  });
}
