// A daemon under a service manager: what it tells (sd_notify), and the units that systemd gets.

import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { sendDatagram } from '../../src/native/binding.js';
import { run, sqlite3 } from '../support/client.js';
import { MAIN, TestMount } from '../support/mounted.js';
import { killTalkers, Talker } from '../support/native-process.js';

/** In the source tree, where compiled tests find them: dist/test/mount → systemd, test/support. */
const UNITS = fileURLToPath(new URL('../../../systemd/', import.meta.url));
const RECEIVER = fileURLToPath(new URL('../../../test/support/notify-socket.py', import.meta.url));

let base: string;

before(() => {
  base = mkdtempSync(join(tmpdir(), 'mvfuse-notify-'));
});

afterEach(() => killTalkers());

after(() => rmSync(base, { recursive: true, force: true }));

async function receiver(name: string): Promise<Talker> {
  const talker = new Talker('python3', [RECEIVER, name]);
  assert.equal(await talker.line(), 'bound');
  return talker;
}

for (const kind of ['a path', 'an abstract name']) {
  test(`the daemon tells when it is mounted, that it lives, and when it ends: ${kind}`, async () => {
    const name = kind === 'a path' ? join(base, 'notify') : `@mvfuse-test-${process.pid}`;
    const manager = await receiver(name);
    const mount = await TestMount.start({ environment: { NOTIFY_SOCKET: name, WATCHDOG_USEC: '400000' } });
    try {
      assert.equal(await manager.line(), `READY=1; STATUS=Mounted on ${mount.directory}`);
      // Ready means ready: the first client is served.
      await sqlite3(mount.path(), 'CREATE TABLE t(a)');
      const startMs = Date.now();
      for (let count = 0; count < 5; count += 1) assert.equal(await manager.line(), 'WATCHDOG=1');
      // Each after half of the time that the watchdog waits; on a busy machine later, never sooner.
      assert.ok(Date.now() - startMs >= 500, `${Date.now() - startMs} ms`);
      if (kind === 'a path') mount.child.kill('SIGTERM');
      else await run('fusermount3', ['-u', mount.directory]);
      let last = await manager.line();
      while (last === 'WATCHDOG=1') last = await manager.line();
      assert.equal(last, 'STOPPING=1; STATUS=Unmounting');
      assert.equal(await mount.exited(), 0);
    } finally {
      await mount.remove();
    }
  });
}

test('a daemon that stands still gives no sign of life', async () => {
  const name = join(base, 'still');
  const manager = await receiver(name);
  const mount = await TestMount.start({ environment: { NOTIFY_SOCKET: name, WATCHDOG_USEC: '200000' } });
  try {
    assert.match((await manager.line()) ?? '', /^READY=1/);
    assert.equal(await manager.line(), 'WATCHDOG=1');
    mount.child.kill('SIGSTOP');
    // What was sent before it stopped.
    await sleep(300);
    const next = manager.line();
    const sign = await Promise.race([next, sleep(1_000, 'none')]);
    const silent = sign === 'none' ? sign : await Promise.race([manager.line(), sleep(1_000, 'none')]);
    assert.equal(silent, 'none');
    mount.child.kill('SIGCONT');
    assert.equal(await next, 'WATCHDOG=1');
  } finally {
    mount.child.kill('SIGCONT');
    await mount.remove();
  }
});

test('a watchdog of another process gets no sign, and a service manager that is gone keeps nobody from mounting', async () => {
  const name = join(base, 'other');
  const manager = await receiver(name);
  const environment = { NOTIFY_SOCKET: name, WATCHDOG_USEC: '100000', WATCHDOG_PID: '1' };
  const watched = await TestMount.start({ environment });
  assert.match((await manager.line()) ?? '', /^READY=1/);
  await sleep(500);
  assert.equal(await watched.unmount(), 0);
  assert.match((await manager.line()) ?? '', /^STOPPING=1/);
  await watched.remove();

  const alone = await TestMount.start({ environment: { NOTIFY_SOCKET: join(base, 'nobody') } });
  await sqlite3(alone.path(), 'CREATE TABLE t(a)');
  assert.equal(await alone.unmount(), 0);
  assert.match(alone.log, /the service manager could not be told/);
  await alone.remove();
});

test('datagrams: whole, and refused with the name of the errno', async () => {
  const path = join(base, 'datagrams');
  const manager = await receiver(path);
  sendDatagram(path, Buffer.from('one ü'));
  assert.equal(await manager.line(), 'one ü');
  manager.child.kill('SIGKILL');
  await sleep(100);
  assert.throws(() => sendDatagram(path, Buffer.from('x')), { code: 'ECONNREFUSED' });
  assert.throws(() => sendDatagram(join(base, 'absent'), Buffer.from('x')), { code: 'ENOENT' });
  assert.throws(() => sendDatagram(`/${'x'.repeat(108)}`, Buffer.from('x')), { code: 'ENAMETOOLONG' });
  assert.throws(() => sendDatagram('relative', Buffer.from('x')), RangeError);
  assert.throws(() => sendDatagram(path, 'text' as never), TypeError);
  assert.throws(() => sendDatagram(undefined as never, Buffer.from('x')), TypeError);
});

test('datagrams: a receiver without room is never waited for', async () => {
  const path = join(base, 'full');
  const script =
    'import socket, sys, time; s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.bind(sys.argv[1]); print("bound", flush=True); time.sleep(60)';
  const deaf = new Talker('python3', ['-c', script, path]);
  assert.equal(await deaf.line(), 'bound');
  assert.throws(
    () => {
      for (let count = 0; count < 100_000; count += 1) sendDatagram(path, Buffer.alloc(100));
    },
    { code: 'EAGAIN' },
  );
});

const verify = (await run('systemd-analyze', ['--version'])).status === 0;
test('systemd finds nothing wrong with the units', {
  skip: verify ? false : 'systemd-analyze is missing',
}, async () => {
  // It wants a program that exists: the one that was compiled, under the name that it is installed by.
  const directory = join(base, 'units');
  mkdirSync(join(directory, 'mvfuse@.service.d'), { recursive: true });
  const program = join(base, 'mvfuse');
  writeFileSync(program, `#!/bin/sh\nexec ${process.execPath} ${MAIN} "$@"\n`, { mode: 0o755 });
  const unit = readFileSync(join(UNITS, 'mvfuse@.service'), 'utf8');
  assert.match(unit, /^ExecStart=mvfuse mount$/m);
  writeFileSync(join(directory, 'mvfuse@.service'), unit.replace('ExecStart=mvfuse', `ExecStart=${program}`));
  const verified = async (): Promise<string> => {
    const { status, stdout, stderr } = await run('systemd-analyze', [
      'verify',
      '--man=no',
      join(directory, 'mvfuse@apps.service'),
    ]);
    return `${status}${stdout}${stderr}`;
  };
  assert.equal(await verified(), '0');
  copyFileSync(join(UNITS, 'mvfuse@.service.d/user.conf.example'), join(directory, 'mvfuse@.service.d/user.conf'));
  assert.equal(await verified(), '0');
  writeFileSync(join(directory, 'mvfuse@.service.d/wrong.conf'), '[Service]\nNoSuchSetting=1\n');
  assert.match(await verified(), /NoSuchSetting/);
});

test('no setting of the unit keeps the mount to itself', () => {
  const unit = readFileSync(join(UNITS, 'mvfuse@.service'), 'utf8');
  // Those that systemd.exec(5) names under PrivateMounts=, and more of their kind.
  const own =
    /^(Protect(System|Home|KernelTunables|KernelModules|KernelLogs|ControlGroups|Proc)|Private(Tmp|Devices|Users)|(ReadWrite|ReadOnly|Inaccessible|Exec|NoExec|Bind|BindReadOnly)Paths|TemporaryFileSystem|RootDirectory|RootImage|MountFlags|MountAPIVFS|DynamicUser)=(?!no)/m;
  assert.doesNotMatch(unit, own);
  assert.match(unit, /^PrivateMounts=no$/m);
});

test('every variable of the example environment file is one of a flag', async () => {
  const help = (await run(process.execPath, [MAIN, 'mount', '--help'])).stdout;
  const names = readFileSync(join(UNITS, 'example.env'), 'utf8').match(/^#?MVFUSE_[A-Z_]+(?==)/gm) ?? [];
  assert.ok(names.length >= 6);
  for (const name of names) assert.ok(help.includes(name.replace('#', '')), name);
});
