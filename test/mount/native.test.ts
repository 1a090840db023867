// The native session against a real mount: a tiny filesystem in memory, driven by child processes.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, chownSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { OPEN_KEEP_CACHE, type Request, Session } from '../../src/native/binding.js';
import { ERRNO, ROOT } from '../support/native-memory-filesystem.js';
import {
  cleanUpMounts,
  compile,
  isMounted,
  makeDirectory,
  mountMemory,
  withoutPreload,
} from '../support/native-mount.js';
import { run, shell, Talker, until, within } from '../support/native-process.js';

const HOST = fileURLToPath(new URL('../support/native-host.js', import.meta.url));
const BINDING = fileURLToPath(new URL('../../src/native/binding.js', import.meta.url));
const NOBODY = 65534;
const LONG_MS = 3_600_000;

const programs = mkdtempSync(join(tmpdir(), 'mvfuse-programs-'));
const client = join(programs, 'native-client');
before(() => compile(client));
afterEach(cleanUpMounts);
after(() => rmSync(programs, { recursive: true }));

describe('files', () => {
  test('are created, written, read, listed, renamed, truncated and removed', async () => {
    const { directory, fs } = mountMemory();
    fs.addLink('link', 'target-ü');
    const sh = (script: string) => shell(script, directory);

    await sh('printf hello > a && printf " world" >> a && cp a b');
    assert.equal(await sh('cat a b'), 'hello worldhello world');
    assert.equal(await sh('mv b c && ls'), 'a\nc\nlink');
    assert.equal(await sh('readlink link'), 'target-ü');
    assert.equal(await sh('truncate -s 4 a && cat a'), 'hell');
    assert.equal(await sh('stat -c "%s %h %b %F" a'), '4 1 1 regular file');
    assert.equal(await sh('touch -d @-1.5 a && stat -c %.1Y a'), '-1.5');
    assert.equal(await sh('chmod 600 a && stat -c %a a'), '600');
    await sh('rm a c');
    assert.equal(await sh('ls'), 'link');
  });

  test('statfs shows the numbers that were answered', async () => {
    const { directory } = mountMemory();
    assert.equal(await shell('stat -f -c "%b %f %a %c %d %S %l" .', directory), '1000 900 800 70 60 4096 255');
  });

  test('a directory longer than one answer is listed once and completely', async () => {
    const { directory, fs } = mountMemory();
    for (let index = 0; index < 3000; index++) fs.addFile(`file-with-a-rather-long-name-${index}`, Buffer.alloc(0));
    assert.equal(await shell('ls -U | sort -u | wc -l', directory), '3000');
    assert.ok(fs.count('readdir') > 2);
  });

  test('times, sizes and identities arrive as they were stated', async () => {
    const { directory, fs } = mountMemory();
    const node = fs.addFile('a', Buffer.alloc(513));
    node.mtimeMs = 1_700_000_000_123;
    node.uid = 12;
    node.gid = 34;
    const shown = await shell('stat -c "%i %s %b %u %g %.3Y %o" a', directory);
    assert.equal(shown, `${node.nodeid} 513 2 12 34 1700000000.123 4096`);
  });

  test('a name that is not UTF-8 is refused natively', async () => {
    const { directory, fs } = mountMemory();
    const outcome = await run('bash', ['-c', `cat "${directory}/"$'\\xff\\xfe'`]);
    assert.match(outcome.stderr, /Invalid or incomplete multibyte/);
    assert.equal(fs.count('lookup'), 0);
    await shell("printf x > 'naïve-名前-😀'", directory);
    assert.ok(fs.names.has('naïve-名前-😀'));
  });

  test('offsets that JavaScript cannot hold are refused natively', async () => {
    const { directory, fs } = mountMemory();
    fs.addFile('a', Buffer.from('x'));
    const outcome = await run('dd', [`of=${directory}/a`, 'if=/dev/zero', 'bs=1', 'count=1', `seek=${2n ** 53n}`]);
    assert.match(outcome.stderr, /File too large/);
    assert.equal(fs.count('write'), 0);
  });

  test('one write of 1 MiB is one request, with every byte in place', async () => {
    const { directory, fs } = mountMemory();
    assert.equal((await run(client, ['write', `${directory}/big`, `${1 << 20}`])).stdout, '1048576\n');
    assert.equal(fs.count('write'), 1);
    const data = fs.names.get('big')?.data ?? Buffer.alloc(0);
    assert.equal(data.length, 1 << 20);
    assert.ok(data.every((byte, index) => byte === index % 251));
  });

  test('written data may be kept: a later write does not touch it', async () => {
    const { directory, fs } = mountMemory();
    await shell('printf first > a && printf secon > b', directory);
    const written = fs.seen.flatMap((request) => (request.op === 'write' ? [request.data.toString()] : []));
    assert.deepEqual(written, ['first', 'secon']);
  });

  test('an answer in 2000 pieces arrives whole', async () => {
    const { directory, fs, session } = mountMemory();
    fs.addFile('a', Buffer.alloc(100_000));
    fs.intercept = (request) => {
      if (request.op !== 'read') return false;
      const isFirst = request.offset === 0;
      session.replyData(
        request.unique,
        isFirst ? Array.from({ length: 2000 }, (_, i) => Buffer.alloc(3, i % 256)) : [],
      );
      return true;
    };
    const expected = Buffer.concat(Array.from({ length: 2000 }, (_, i) => Buffer.alloc(3, i % 256)));
    const sum = await shell('head -c 6000 a | md5sum', directory);
    assert.equal(sum.split(' ')[0], createHash('md5').update(expected).digest('hex'));
  });

  test('64 clients at once', async () => {
    const { directory, fs } = mountMemory({ queueLengthMax: 16 });
    const clients = Array.from({ length: 64 }, (_, index) => run(client, ['storm', `${directory}/f${index}`, '40']));
    for (const outcome of await Promise.all(clients)) assert.equal(outcome.stdout, 'ok\n');
    assert.ok(fs.seen.length > 64 * 40 * 5);
  });

  test('a read-only mount refuses writers by itself', async () => {
    const { directory, fs } = mountMemory({ readOnly: true });
    fs.addFile('a', Buffer.from('x'));
    const outcome = await run('bash', ['-c', `cat ${directory}/a; echo y > ${directory}/a`]);
    assert.equal(outcome.stdout, 'x');
    assert.match(outcome.stderr, /Read-only file system/);
  });
});

describe('extended attributes', () => {
  const python = (directory: string, expression: string): Promise<string> =>
    shell(`python3 -c 'import os, sys; print(${expression})' a`, directory);

  test('are listed and read, whatever room the caller has', async () => {
    const { directory, fs } = mountMemory();
    const node = fs.addFile('a', Buffer.from('x'));
    node.xattrs.set('user.first', Buffer.from('one')).set('user.a/b', Buffer.from('0001fe', 'hex'));
    node.xattrs.set('user.empty', Buffer.alloc(0)).set('user.long', Buffer.alloc(65_536, 'l'));
    assert.equal(
      await python(directory, 'sorted(os.listxattr("a"))'),
      "['user.a/b', 'user.empty', 'user.first', 'user.long']",
    );
    assert.equal(await python(directory, 'os.getxattr("a", "user.first")'), "b'one'");
    assert.equal(await python(directory, 'os.getxattr("a", "user.a/b").hex()'), '0001fe');
    assert.equal(await python(directory, 'os.getxattr("a", "user.empty")'), "b''");
    assert.equal(
      await python(directory, 'set(os.getxattr("a", "user.long")), len(os.getxattr("a", "user.long"))'),
      '{108} 65536',
    );
    const asked = async (...args: string[]): Promise<string> =>
      (await run(client, ['xattr', `${directory}/a`, ...args])).stdout;
    assert.equal(await asked('user.first', '0'), '3\n');
    assert.equal(await asked('user.first', '3'), '3 one\n');
    assert.equal(await asked('user.first', '2'), 'ERANGE\n');
    assert.equal(await asked('', '0'), '41\n');
    assert.equal(await asked('', '40'), 'ERANGE\n');
    assert.equal(await asked('user.absent', '0'), 'ENODATA\n');
    assert.equal(await asked(`user.${'n'.repeat(300)}`, '0'), 'ERANGE\n');
  });

  test('that are none of ours are refused natively, and so is setting any', async () => {
    const { directory, fs, session } = mountMemory();
    fs.addFile('a', Buffer.from('x'));
    const asked = async (name: string): Promise<string> =>
      (await run(client, ['xattr', `${directory}/a`, name, '0'])).stdout;
    assert.equal(await asked('security.capability'), 'ENODATA\n');
    assert.equal(await asked('security.selinux'), 'ENODATA\n');
    assert.equal(await asked('trusted.any'), 'ENODATA\n');
    assert.equal(await asked('system.any'), 'EOPNOTSUPP\n');
    assert.equal(await asked('nonsense'), 'EOPNOTSUPP\n');
    for (const change of ['os.setxattr("a", "user.x", b"1")', 'os.removexattr("a", "user.x")']) {
      const { stderr } = await run('python3', ['-c', `import os; os.chdir("${directory}"); ${change}`]);
      assert.match(stderr, /Operation not supported/);
    }
    assert.equal(fs.count('getxattr') + fs.count('other'), 0);
    assert.equal(session.refusedCount, 7);
  });

  test('are asked for once and not before every write through the kernel cache', async () => {
    const { directory, fs, session } = mountMemory();
    fs.openFlags = OPEN_KEEP_CACHE;
    fs.attrTtlMs = LONG_MS;
    fs.addFile('a', Buffer.alloc(8192));
    await shell('dd if=/dev/zero of=a bs=4096 count=16 conv=notrunc status=none', directory);
    assert.equal(fs.count('write'), 16);
    assert.ok(session.refusedCount <= 1, `${session.refusedCount}`);
  });

  test('with a value that is none leave the request to be answered', async () => {
    const { directory, fs, session } = mountMemory();
    fs.addFile('a', Buffer.from('x')).xattrs.set('user.a', Buffer.from('value'));
    const refused: unknown[] = [];
    fs.intercept = (request) => {
      if (request.op !== 'getxattr') return false;
      for (const value of ['text', Buffer.alloc(65_537)]) {
        try {
          session.replyXattr(request.unique, value as Buffer, request.size);
        } catch (error) {
          refused.push((error as Error).name);
        }
      }
      return false;
    };
    assert.equal((await run(client, ['xattr', `${directory}/a`, 'user.a', '100'])).stdout, '5 value\n');
    assert.deepEqual(refused, ['TypeError', 'RangeError']);
  });
});

describe('locks', () => {
  test('exclude each other between processes and are described to who asks', async () => {
    const { directory, fs } = mountMemory();
    const path = `${directory}/a`;
    fs.addFile('a', Buffer.from('x'));
    const holder = new Talker(client, ['hold', path, 'write', '10', '20']);
    assert.equal(await holder.line(), 'locked');

    const once = async (command: string, ...lock: string[]) => (await run(client, [command, path, ...lock])).stdout;
    assert.equal(await once('ask', 'read', '0', '0'), 'write 10 20\n');
    const refused = new Talker(client, ['hold', path, 'read', '29', '1']);
    assert.equal(await refused.line(), 'EAGAIN');
    const beside = new Talker(client, ['hold', path, 'write', '30', '0']);
    assert.equal(await beside.line(), 'locked');
    assert.equal(await once('ask', 'read', '30', '5'), 'write 30 0\n');

    await Promise.all([holder.end(), refused.end(), beside.end()]);
    assert.equal(await once('ask', 'write', '0', '0'), 'free\n');
    const seen = fs.seen.find((request) => request.op === 'setlk' && request.start === 30);
    assert.ok(seen?.op === 'setlk');
    assert.equal(seen.end, Number.MAX_SAFE_INTEGER);
    assert.equal(seen.lockPid, beside.child.pid);
    assert.equal(typeof seen.owner, 'bigint');
  });

  test('a waiting lock is granted when the other is given up', async () => {
    const { directory, fs } = mountMemory();
    fs.addFile('a', Buffer.from('x'));
    const holder = new Talker(client, ['hold', `${directory}/a`, 'write', '0', '1']);
    assert.equal(await holder.line(), 'locked');
    const waiter = new Talker(client, ['wait', `${directory}/a`, 'write', '0', '1']);
    assert.equal(await waiter.line(), 'waiting');
    await until(() => fs.count('setlkw') === 1, 'the SETLKW');
    const granted = waiter.line();
    const first = await Promise.race([granted, new Promise((resolve) => setTimeout(resolve, 100, 'still waiting'))]);
    assert.equal(first, 'still waiting');
    await holder.end();
    assert.equal(await granted, 'locked');
    await waiter.end();
  });

  test('a waiting lock is interrupted by a signal', async () => {
    const { directory, fs } = mountMemory();
    fs.addFile('a', Buffer.from('x'));
    const holder = new Talker(client, ['hold', `${directory}/a`, 'write', '0', '1']);
    assert.equal(await holder.line(), 'locked');
    const waiter = new Talker(client, ['wait', `${directory}/a`, 'write', '0', '1']);
    await until(() => fs.count('setlkw') === 1, 'the SETLKW');
    waiter.child.kill('SIGUSR1');
    assert.equal(await waiter.line(), 'waiting');
    assert.equal(await waiter.line(), 'EINTR');
    const interrupt = fs.seen.find((request) => request.op === 'interrupt');
    const waiting = fs.seen.find((request) => request.op === 'setlkw');
    assert.ok(interrupt?.op === 'interrupt');
    assert.equal(interrupt.target, waiting?.unique);
    await Promise.all([holder.end(), waiter.end()]);
  });
});

describe('answers', () => {
  /** A client whose read is held back. */
  async function heldRead(mounted: ReturnType<typeof mountMemory>): Promise<{ talker: Talker; held: Request }> {
    const { directory, fs } = mounted;
    if (!fs.names.has('a')) fs.addFile('a', Buffer.from('content'));
    let held: Request | undefined;
    fs.intercept = (request) => {
      if (request.op !== 'read' || held !== undefined) return false;
      held = request;
      return true;
    };
    const talker = new Talker(client, ['read', `${directory}/a`, '100']);
    assert.equal(await talker.line(), 'open');
    talker.say('now');
    await until(() => held !== undefined, 'a READ');
    return { talker, held: held as unknown as Request };
  }
  const notPending = { code: 'ERR_NOT_PENDING' };

  test('are taken exactly once', async () => {
    const mounted = mountMemory();
    const { session } = mounted;
    const { talker, held } = await heldRead(mounted);
    session.replyData(held.unique, [Buffer.from('once')]);
    assert.throws(() => session.replyData(held.unique, [Buffer.from('twice')]), notPending);
    assert.throws(() => session.replyError(held.unique, ERRNO.EIO), notPending);
    assert.throws(() => session.replyOk(123_456_789), notPending);
    assert.equal(await talker.line(), 'o');
    await talker.end();
  });

  test('with wrong arguments leave the request to be answered', async () => {
    const mounted = mountMemory();
    const { session } = mounted;
    const { talker, held } = await heldRead(mounted);
    const wrong = (value: unknown) => value as never;
    assert.throws(() => session.replyData(held.unique, wrong('text')), TypeError);
    assert.throws(() => session.replyData(held.unique, wrong([new Float64Array(1)])), TypeError);
    assert.throws(() => session.replyError(held.unique, 0), RangeError);
    assert.throws(() => session.replyError(held.unique, 512), RangeError);
    assert.throws(() => session.replyWrite(held.unique, 1.5), RangeError);
    assert.throws(() => session.replyEntry(held.unique, wrong({ nodeid: 3 })), TypeError);
    assert.throws(() => session.replyOpen(wrong(undefined), 1, 0), TypeError);
    session.replyData(held.unique, [Buffer.from('right')]);
    assert.equal(await talker.line(), 'r');
    await talker.end();
  });

  test('that the kernel refuses throw, and the caller gets EIO', async () => {
    const mounted = mountMemory();
    const { talker, held } = await heldRead(mounted);
    assert.throws(() => mounted.session.replyData(held.unique, [Buffer.alloc(1 << 16)]), { code: 'EINVAL' });
    assert.equal(await talker.line(), 'EIO');
    await talker.end();
  });

  test('to a killed client are dropped silently, and the session goes on', async () => {
    const mounted = mountMemory();
    const { talker, held } = await heldRead(mounted);
    talker.child.kill('SIGKILL');
    await until(() => mounted.fs.count('interrupt') > 0, 'the INTERRUPT');
    mounted.session.replyData(held.unique, [Buffer.from('late')]);
    assert.throws(() => mounted.session.replyOk(held.unique), notPending);
    await talker.end();
    assert.equal(await shell('cat a', mounted.directory), 'content');
  });

  test('back-pressure: no more requests than the limit wait in JavaScript', async () => {
    const { directory, fs } = mountMemory({ queueLengthMax: 3 });
    fs.addFile('a', Buffer.from('content'));
    const talkers = Array.from({ length: 10 }, () => new Talker(client, ['read', `${directory}/a`, '100']));
    for (const talker of talkers) assert.equal(await talker.line(), 'open');
    const held: Request[] = [];
    fs.intercept = (request) => request.op === 'read' && held.push(request) > 0;
    for (const talker of talkers) talker.say('now');
    await until(() => held.length >= 3, 'three READs');
    await new Promise((resolve) => setTimeout(resolve, 100));
    assert.equal(held.length, 3);
    while (fs.count('read') < 10 || held.length > 0) {
      await until(() => held.length > 0, 'a READ');
      const next = held.shift();
      if (next !== undefined) fs.handle(next);
      await new Promise((resolve) => setTimeout(resolve, 5));
      assert.ok(held.length <= 3);
    }
    for (const talker of talkers) assert.equal(await talker.line(), 'c');
    await Promise.all(talkers.map((talker) => talker.end()));
  });

  test('back-pressure: waiting locks do not count', async () => {
    const { directory, fs } = mountMemory({ queueLengthMax: 2 });
    fs.addFile('a', Buffer.from('content'));
    const holder = new Talker(client, ['hold', `${directory}/a`, 'write', '0', '1']);
    assert.equal(await holder.line(), 'locked');
    const waiters = Array.from({ length: 5 }, () => new Talker(client, ['wait', `${directory}/a`, 'read', '0', '1']));
    await until(() => fs.count('setlkw') === 5, 'the SETLKWs');
    assert.equal(await shell('cat a', directory), 'content');
    for (const waiter of waiters) waiter.child.kill('SIGUSR1');
    for (const waiter of waiters) {
      assert.equal(await waiter.line(), 'waiting');
      assert.equal(await waiter.line(), 'EINTR');
    }
    await Promise.all([...waiters, holder].map((talker) => talker.end()));
  });
});

describe('kernel caches', () => {
  const lookups = (seen: Request[]) => seen.filter((request) => request.op === 'lookup' && request.name === 'x').length;

  test('a negative entry is remembered until it is invalidated', async () => {
    const { directory, fs, session } = mountMemory();
    fs.negativeTtlMs = LONG_MS;
    const exists = async () => (await run('test', ['-e', `${directory}/x`])).code === 0;
    assert.equal(await exists(), false);
    assert.equal(await exists(), false);
    assert.equal(lookups(fs.seen), 1);
    fs.addFile('x', Buffer.alloc(0));
    assert.equal(await exists(), false);
    await session.notifyInvalidEntry(ROOT, 'x');
    assert.equal(await exists(), true);
    assert.equal(lookups(fs.seen), 2);
  });

  test('without a timeout a missing name is asked for each time', async () => {
    const { directory, fs } = mountMemory();
    await run('test', ['-e', `${directory}/x`]);
    await run('test', ['-e', `${directory}/x`]);
    assert.equal(lookups(fs.seen), 2);
  });

  test('cached pages are kept until they are invalidated', async () => {
    const { directory, fs, session } = mountMemory();
    fs.openFlags = OPEN_KEEP_CACHE;
    const node = fs.addFile('a', Buffer.alloc(8192, 'o'));
    const reader = new Talker(client, ['read', `${directory}/a`, '8192']);
    assert.equal(await reader.line(), 'open');
    const read = async () => {
      reader.say('now');
      return reader.line();
    };
    assert.equal(await read(), 'o');
    // Not even attributes that tell of a change make the kernel drop them by itself.
    node.data = Buffer.alloc(8192, 'n');
    node.mtimeMs += 5000;
    await shell('stat a', directory);
    assert.equal(await read(), 'o');
    assert.equal(fs.count('read'), 1);
    await session.notifyInvalidInode(node.nodeid, 0, 0);
    assert.equal(await read(), 'n');
    await reader.end();
  });

  test('a deleted name is gone at once', async () => {
    const { directory, fs, session } = mountMemory();
    fs.entryTtlMs = LONG_MS;
    fs.attrTtlMs = LONG_MS;
    const node = fs.addFile('a', Buffer.from('x'));
    const exists = async () => (await run('test', ['-e', `${directory}/a`])).code === 0;
    assert.equal(await exists(), true);
    fs.names.delete('a');
    assert.equal(await exists(), true);
    await session.notifyDelete(ROOT, node.nodeid, 'a');
    assert.equal(await exists(), false);
  });

  test('what the kernel does not know is fine; what it cannot be told is an error', async () => {
    const { session } = mountMemory();
    await session.notifyInvalidInode(4711, 0, 0);
    await session.notifyInvalidEntry(4711, 'x');
    await session.notifyInvalidEntry(ROOT, 'never-seen');
    await session.notifyDelete(ROOT, 4711, 'never-seen');
    await assert.rejects(session.notifyInvalidEntry(ROOT, 'n'.repeat(5000)), { code: 'ENAMETOOLONG' });
    assert.throws(() => session.notifyInvalidEntry(ROOT, 'a/b'), RangeError);
  });
});

describe('the end', () => {
  test('fusermount -u ends the session', async () => {
    const { directory, ended, endCount, session } = mountMemory();
    assert.ok(await isMounted(directory));
    assert.equal((await run('fusermount', ['-u', directory])).code, 0);
    assert.equal(await within(ended, 'onEnd'), undefined);
    session.unmount();
    session.close();
    await session.notifyInvalidInode(ROOT, 0, 0);
    assert.equal(endCount(), 1);
    assert.equal(await isMounted(directory), false);
  });

  test('unmount leaves open files usable, close ends them', async () => {
    const { directory, fs, session, ended, endCount } = mountMemory();
    fs.addFile('a', Buffer.from('content'));
    const reader = new Talker(client, ['read', `${directory}/a`, '100']);
    assert.equal(await reader.line(), 'open');
    session.unmount();
    assert.equal(await isMounted(directory), false);
    session.unmount();
    reader.say('now');
    assert.equal(await reader.line(), 'c');
    assert.equal(endCount(), 0);
    session.close();
    assert.equal(await within(ended, 'onEnd'), undefined);
    reader.say('now');
    assert.match((await reader.line()) ?? '', /ENOTCONN|ECONNABORTED/);
    await reader.end();
  });

  test('unmount does not take away another mount on the same path', async () => {
    const first = mountMemory();
    // Synchronously, so that the end of the first session was not heard yet: the kernel gives its device number away.
    execFileSync('fusermount', ['-u', '-z', first.directory]);
    const second = mountMemory({ mountpoint: first.directory });
    first.session.unmount();
    assert.ok(await isMounted(first.directory));
    second.session.unmount();
    assert.equal(await isMounted(first.directory), false);
  });

  test('close answers what is unanswered with ENOTCONN, once', async () => {
    const { directory, fs, session, ended, endCount } = mountMemory();
    fs.addFile('a', Buffer.from('content'));
    const held: Request[] = [];
    fs.intercept = (request) => request.op === 'read' && held.push(request) > 0;
    const reader = new Talker(client, ['read', `${directory}/a`, '100']);
    assert.equal(await reader.line(), 'open');
    reader.say('now');
    await until(() => held.length === 1, 'a READ');
    const unique = held[0]?.unique ?? 0;

    session.close();
    session.close();
    assert.equal(await reader.line(), 'ENOTCONN');
    const seenCount = fs.seen.length;
    session.replyData(unique, [Buffer.from('late')]);
    assert.throws(() => session.replyOk(unique), { code: 'ERR_NOT_PENDING' });
    assert.equal(await within(ended, 'onEnd'), undefined);
    await reader.end();
    assert.equal(endCount(), 1);
    assert.equal(fs.seen.length, seenCount);
  });

  test('close does not hang on a notification that waits for a read in flight', async () => {
    const { directory, fs, session, ended } = mountMemory();
    fs.openFlags = OPEN_KEEP_CACHE;
    const node = fs.addFile('a', Buffer.alloc(4096, 'x'));
    const held: Request[] = [];
    fs.intercept = (request) => request.op === 'read' && held.push(request) > 0;
    const reader = new Talker(client, ['read', `${directory}/a`, '4096']);
    assert.equal(await reader.line(), 'open');
    reader.say('now');
    await until(() => held.length === 1, 'a READ');
    let isSettled = false;
    const notified = session.notifyInvalidInode(node.nodeid, 0, 0).then(() => {
      isSettled = true;
    });
    const later = Array.from({ length: 10 }, () => session.notifyInvalidInode(node.nodeid, 0, 0));
    await new Promise((resolve) => setTimeout(resolve, 100));
    assert.equal(isSettled, false);
    session.close();
    await within(ended, 'onEnd');
    await within(Promise.all([notified, ...later]), 'the notifications');
    assert.match((await reader.line()) ?? '', /ENOTCONN|EIO/);
    await reader.end();
  });

  for (const way of ['close', 'exit', 'worker']) {
    test(`a process that ends by "${way}" does so cleanly and by itself`, async () => {
      const directory = makeDirectory();
      const outcome = await run(process.execPath, [HOST, way, directory]);
      assert.equal(outcome.signal, null, outcome.stderr);
      assert.equal(outcome.code, way === 'exit' ? 7 : 0, outcome.stderr);
      const expected = { close: 'mounted\nended\n', exit: 'mounted\n', worker: 'mounted\nheld\nterminated\n' }[way];
      assert.equal(outcome.stdout, expected);
    });
  }

  test('a handler that throws is an uncaught exception, not a silent loss', async () => {
    const outcome = await run(process.execPath, [HOST, 'throw', makeDirectory()]);
    assert.equal(outcome.stdout, 'mounted\nuncaught: defect\nended\n', outcome.stderr);
    assert.equal(outcome.code, 0);
  });
});

describe('mounting', () => {
  const options = { fsName: 'mvfuse-test', subtype: 'mvfuse', allowOther: false, defaultPermissions: true };
  const limits = { readOnly: false, writeBytesMax: 65536, queueLengthMax: 8, cachesLists: true };
  const mount = (mountpoint: string, overrides = {}) => {
    const session = Session.mount(
      { ...options, ...limits, mountpoint, ...overrides },
      () => {},
      () => {},
    );
    session.unmount();
    session.close();
  };

  test('fails with the name of the errno', () => {
    const directory = makeDirectory();
    assert.throws(() => mount(join(directory, 'missing')), { code: 'ENOENT', message: /missing/ });
    writeFileSync(join(directory, 'file'), '');
    assert.throws(() => mount(join(directory, 'file')), { code: 'ENOTDIR' });
  });

  test('refuses options that make no sense', () => {
    const directory = makeDirectory();
    assert.throws(() => mount('relative'), RangeError);
    assert.throws(() => mount(directory, { writeBytesMax: 100 }), RangeError);
    assert.throws(() => mount(directory, { writeBytesMax: (1 << 20) + 1 }), RangeError);
    assert.throws(() => mount(directory, { queueLengthMax: 0 }), RangeError);
    assert.throws(() => mount(directory, { fsName: 'a\0b' }), RangeError);
    assert.throws(() => mount(directory, { allowOther: 'yes' }), TypeError);
    assert.throws(() => new (Session as unknown as new () => unknown)(), TypeError);
  });

  test('a path with blanks and a source with commas', async () => {
    const directory = join(makeDirectory(), 'a b\\c');
    await run('mkdir', [directory]);
    const { session, fs, ended } = mountMemory({ mountpoint: directory, fsName: 'one,two' });
    fs.addFile('a', Buffer.from('x'));
    assert.equal(await shell('cat a', directory), 'x');
    session.unmount();
    await within(ended, 'onEnd');
  });

  const skip = process.getuid?.() === 0 ? false : 'needs root, to become another user';
  test('an ordinary user mounts through fusermount3, and is told why it cannot', { skip }, async () => {
    const directory = makeDirectory();
    chmodSync(directory, 0o755);
    // Some systems give /dev/fuse to root alone: in a mount namespace of its own, a node that is for everybody.
    const script =
      'mknod -m 666 "$0" c 10 229 && mount --bind "$0" /dev/fuse && ' +
      'exec setpriv --reuid 65534 --regid 65534 --clear-groups "$@"';
    const asNobody = (path: string) => {
      const command = ['bash', '-c', script, join(makeDirectory(), 'fuse'), process.execPath, HOST, 'close', path];
      return run('unshare', ['--mount', ...command]);
    };
    const refused = await asNobody(directory);
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /code: 'EPERM'/);
    assert.match(refused.stderr, /fusermount3: user has no write access to mountpoint/);
    chownSync(directory, NOBODY, NOBODY);
    const mounted = await asNobody(directory);
    assert.equal(mounted.stdout, 'mounted\nended\n', mounted.stderr);
    assert.equal(await isMounted(directory), false);
  });

  test('an addon that was not built is named in the error', async () => {
    const script = `import(${JSON.stringify(BINDING)}).catch((e) => console.log(e.code, /run "npm run setup"/.test(e.message)))`;
    const env = { ...process.env, MVFUSE_NATIVE: '/nonexistent.node' };
    const outcome = await run(process.execPath, ['--input-type=module', '-e', script], { env });
    assert.equal(outcome.stdout, 'MOUNT_FAILED true\n', outcome.stderr);
  });
});

test('the parser survives random messages under the sanitizers', async () => {
  const seed = process.env.MVFUSE_TEST_SEED ?? String(Date.now());
  const sources = ['init', 'parse', 'utf8', 'xattr'].map((name) => `native-shim/src/protocol/${name}.cc`);
  const flags = ['-g', '-fsanitize=address,undefined', '-fno-sanitize-recover=all'];
  const fuzzer = join(programs, 'native-parse-fuzz');
  await compile(fuzzer, flags, sources);
  const outcome = await run(fuzzer, [seed, '1000000'], { env: withoutPreload() });
  assert.equal(outcome.stdout, 'ok\n', `MVFUSE_TEST_SEED=${seed}: ${outcome.stderr}`);
});
