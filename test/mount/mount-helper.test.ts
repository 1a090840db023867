// mount(8) and fstab: the helper for the type fuse.mvfuse, as mount calls it and directly.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type Outcome, run, sqlite3 } from '../support/client.js';
import { MAIN } from '../support/mounted.js';

const HELPER = fileURLToPath(new URL('../../../systemd/mount.fuse.mvfuse', import.meta.url));
/** mount(8) looks there, and lets the helper look for programs in the system's directories alone. */
const INSTALLED = { helper: '/sbin/mount.fuse.mvfuse', program: '/usr/local/bin/mvfuse' };
const skip = process.getuid?.() === 0 ? false : 'needs root, for mount(8)';
const skipInstalled =
  skip || (Object.values(INSTALLED).some(existsSync) ? 'an mvfuse is installed here already' : false);

let base: string;
let directory: string;
let log: string;
let options: string;
let count = 0;

before(() => {
  base = mkdtempSync(join(tmpdir(), 'mvfuse-helper-'));
  chmodSync(base, 0o755);
  const program = join(base, 'bin/mvfuse');
  mkdirSync(join(base, 'bin'));
  writeFileSync(program, `#!/bin/sh\nexec ${process.execPath} ${MAIN} "$@"\n`, { mode: 0o755 });
  if (skipInstalled === false) {
    copyFileSync(HELPER, INSTALLED.helper);
    copyFileSync(program, INSTALLED.program);
  }
});

beforeEach(() => {
  count += 1;
  directory = join(base, `dbs${count}`);
  log = join(base, `log${count}`);
  mkdirSync(directory);
  options = `store=sqlite:${join(base, `store${count}`)},log_file=${log}`;
});

afterEach(async () => {
  await run('fusermount3', ['-uzq', directory]);
});

after(() => {
  if (skipInstalled === false) for (const path of Object.values(INSTALLED)) rmSync(path);
  rmSync(base, { recursive: true, force: true });
});

function withPath(program: string, ...args: string[]): Promise<Outcome> {
  return run('env', [`PATH=${join(base, 'bin')}:${process.env.PATH}`, program, ...args]);
}

function helper(...args: string[]): Promise<Outcome> {
  return withPath(HELPER, ...args);
}

/** The line of the mount table, from the type on. */
function mounted(): string | undefined {
  const lines = readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
  return lines.find((line) => line.split(' ')[4] === directory)?.split(' - ')[1];
}

/** Until the daemon has ended, which it does after umount(8) has returned. */
async function ended(): Promise<void> {
  for (let tries = 0; tries < 200; tries += 1) {
    if (!(await running())) return;
    await sleep(25);
  }
  assert.fail('the daemon goes on');
}

/** Whether there is a daemon, mounted or not. */
async function running(): Promise<boolean> {
  return (await run('pgrep', ['-f', `mountpoint=${directory} `])).status === 0;
}

test('mount -t fuse.mvfuse mounts and returns, umount ends the daemon', { skip: skipInstalled }, async () => {
  const { status, stderr } = await withPath('mount', '-t', 'fuse.mvfuse', 'mydb=test', directory, '-o', options);
  assert.equal(status, 0, stderr);
  assert.match(mounted() ?? '', /^fuse\.mvfuse mydb=test rw/);
  await sqlite3(join(directory, 'mydb'), 'CREATE TABLE t(a); INSERT INTO t VALUES(1)');
  assert.equal((await run('umount', [directory])).status, 0);
  assert.equal(mounted(), undefined);
  await ended();
  assert.match(readFileSync(log, 'utf8'), /"msg":"mounted".*"msg":"commit".*"msg":"unmounted"/s);
});

test('options reach the daemon: ro, allow_other, mode, limits', { skip: skipInstalled }, async () => {
  const first = await withPath('mount', '-t', 'fuse.mvfuse', 'mydb=test', directory, '-o', options);
  assert.equal(first.status, 0, first.stderr);
  await sqlite3(join(directory, 'mydb'), 'CREATE TABLE t(a); INSERT INTO t VALUES(1)');
  await run('umount', [directory]);
  await ended();
  const more = `${options},ro,allow-other,uid=20001,mode=440,max_connections=7,log_level=debug`;
  const { status, stderr } = await withPath('mount', '-t', 'fuse.mvfuse', 'mydb=test', directory, '-o', more);
  assert.equal(status, 0, stderr);
  assert.match(mounted() ?? '', /ro.*default_permissions,allow_other/);
  const path = join(directory, 'mydb');
  assert.equal((await run('stat', ['-Lc', '%a %u', path])).stdout, '440 20001\n');
  assert.match((await run('sqlite3', [path, 'INSERT INTO t VALUES(2)'])).stderr, /readonly/);
  const shown = await withPath('mvfuse', 'status', '--json', '--store', `sqlite:${join(base, `store${count}`)}`);
  assert.equal(JSON.parse(shown.stdout).mounts[0].limits.connections.max, 7);
});

test('a line of fstab: mounted by its directory, by mount -a once only', { skip: skipInstalled }, async () => {
  const fstab = join(base, 'fstab');
  const all = `defaults,nofail,_netdev,noatime,x-systemd.automount,x-systemd.mount-timeout=30s,comment=none,${options}`;
  writeFileSync(fstab, `# databases\nmydb=test,other=other ${directory} fuse.mvfuse ${all} 0 0\n`);
  const all1 = await withPath('mount', '-T', fstab, '-a');
  assert.equal(all1.status, 0, all1.stderr);
  assert.equal((await run('ls', [directory])).stdout, 'mydb\nother\n');
  const all2 = await withPath('mount', '-T', fstab, '-a');
  assert.equal(all2.status, 0, all2.stderr);
  assert.equal((await run('umount', [directory])).status, 0);
  await ended();
  writeFileSync(fstab, `mydb=test ${directory} fuse.mvfuse noauto,user,rw,${options} 0 0\n`);
  assert.equal((await withPath('mount', '-T', fstab, '-a')).status, 0);
  assert.equal(mounted(), undefined);
  const one = await withPath('mount', '-T', fstab, directory);
  assert.equal(one.status, 0, one.stderr);
  assert.match(mounted() ?? '', /^fuse\.mvfuse mydb=test/);
});

test("a mount that fails ends with status 32 and the daemon's own words", { skip: skipInstalled }, async () => {
  writeFileSync(join(directory, 'file'), '');
  const failed = await withPath('mount', '-t', 'fuse.mvfuse', 'mydb=test', directory, '-o', options);
  assert.equal(failed.status, 32);
  assert.equal(failed.stderr, `mount.fuse.mvfuse: cannot mount on ${directory}: the directory is not empty\n`);
  rmSync(join(directory, 'file'));
  const missing = await helper('mydb=missing', directory, '-o', `${options},no_create`);
  assert.equal(missing.status, 32);
  assert.match(missing.stderr, /^mount\.fuse\.mvfuse: there is no namespace "missing"\n$/i);
  const wrong = await helper('mydb=test', directory, '-o', `${options},cache_size=much`);
  assert.equal(wrong.status, 32);
  assert.match(wrong.stderr, /cache-size.*"much" is not a size/);
  const unwritable = await helper('mydb=test', directory, '-o', `log_file=${base}/absent/log`);
  assert.equal(unwritable.status, 32);
  assert.match(unwritable.stderr, /cannot write log_file: ENOENT/);
  assert.equal(mounted(), undefined);
});

test('what cannot be right is refused by name with status 1', async () => {
  const refused = async (message: RegExp, source: string, given: string, ...more: string[]): Promise<void> => {
    const { status, stderr } = await helper(source, directory, '-o', given, ...more);
    assert.equal(status, 1, stderr);
    assert.match(stderr, message);
    assert.doesNotMatch(stderr, /\n\s+at /);
    assert.equal(mounted(), undefined);
  };
  await refused(/unknown mount option "nonsense"; there are .*allow_other, .*store/, 'mydb=test', 'rw,nonsense');
  await refused(/unknown mount option "remount"/, 'mydb=test', 'remount,ro');
  await refused(/unknown mount option "namespaces=x"/, 'mydb=test', 'namespaces=x');
  await refused(/mount option store needs a value/, 'mydb=test', 'store');
  await refused(/mount option allow_other takes no value/, 'mydb=test', 'allow_other=1');
  await refused(/mount option store needs an absolute path/, 'mydb=test', 'store=sqlite:here');
  await refused(/mount option log_file needs an absolute path/, 'mydb=test', 'log_file=here');
  await refused(/leading dot/, '.mydb=test', options);
  await refused(/unknown option '-z'/, 'mydb=test', options, '-z');
  const missing = await helper('mydb=test');
  assert.equal(missing.status, 1);
  assert.match(missing.stderr, /missing required argument 'directory'/);
});

test('-s ignores what is unknown, -f mounts nothing, variables of flags do not count', { skip }, async () => {
  assert.equal((await helper('mydb=test', directory, '-f', '-o', options)).status, 0);
  assert.equal(mounted(), undefined);
  const args = ['-s', '-n', '-v', '-t', 'fuse.mvfuse', '-o', 'nonsense', '-o', options];
  const { status, stderr } = await run('env', [
    'MVFUSE_READ_ONLY=1',
    'MVFUSE_MODE=600',
    `PATH=${join(base, 'bin')}:${process.env.PATH}`,
    HELPER,
    'mydb=test',
    directory,
    ...args,
  ]);
  assert.equal(status, 0, stderr);
  assert.match(mounted() ?? '', /^fuse\.mvfuse mydb=test rw/);
  assert.equal((await run('stat', ['-Lc', '%a', join(directory, 'mydb')])).stdout, '644\n');
});

test('without log_file the log goes to the journal that the helper writes to, and nowhere else', { skip }, async () => {
  const journal = join(base, 'journal');
  const bare = `store=sqlite:${join(base, `store${count}`)}`;
  const command = (stream: string): string[] => [
    '-c',
    `export PATH=${join(base, 'bin')}:$PATH; exec 2>>${journal}
     export JOURNAL_STREAM=${stream}; exec ${HELPER} mydb=test ${directory} -o ${bare}`,
  ];
  assert.equal((await run('bash', command('1:1'))).status, 0);
  await run('umount', [directory]);
  await ended();
  assert.equal(readFileSync(journal, 'utf8'), '');
  assert.equal((await run('bash', command('$(stat -Lc %d:%i /proc/self/fd/2)'))).status, 0);
  await run('umount', [directory]);
  await ended();
  assert.match(readFileSync(journal, 'utf8'), /"msg":"unmounted"/);
});

test('a helper that is told to stop leaves no daemon behind', { skip }, async () => {
  // The store waits for a cluster that is not there.
  const cluster = join(base, 'fdb.cluster');
  writeFileSync(cluster, 'none:none@127.0.0.1:1');
  const path = `${join(base, 'bin')}:${process.env.PATH}`;
  const waiting = spawn(HELPER, ['mydb=test', directory, '-o', `store=fdb:${cluster}`], {
    env: { ...process.env, PATH: path },
    stdio: 'ignore',
  });
  while (!(await running())) {
    assert.equal(waiting.exitCode, null, 'it ended by itself');
    await sleep(25);
  }
  waiting.kill('SIGTERM');
  const [status] = (await once(waiting, 'exit')) as [number];
  assert.equal(status, 32);
  await ended();
});

test('the helper is two lines and finds mvfuse on the path', () => {
  assert.equal(readFileSync(HELPER, 'utf8'), '#!/bin/sh\nexec mvfuse mount-helper "$@"\n');
});
