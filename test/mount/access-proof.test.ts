// Protected namespaces: without the secret nothing is mounted, made or told; with it everything works; and the secret is nowhere
// to be seen, neither on a command line nor in an environment, a log, an error or any output.

import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { run, sqlite3 } from '../support/client.js';
import { Commands } from '../support/command.js';
import { MAIN, TestMount } from '../support/mounted.js';

/** That of the bytes de ad be ef. */
const PROOF = '53147f3ce49ed4f60dfa5b9654c36ba6103c11f5737df3dabd4cbd296c4161bd';
const NAMED = `test:${PROOF}`;
const SECRET = 'correct-horse-battery-staple';

let base: string;
let mvfuse: Commands;
let secretProof: string;

before(async () => {
  base = mkdtempSync(join(tmpdir(), 'mvfuse-proof-'));
  mvfuse = new Commands(`sqlite:${join(base, 'store')}`);
  file('binary', Buffer.from([0xde, 0xad, 0xbe, 0xef]));
  file('digits', 'hex:DEADbeef\n');
  file('words', `${SECRET}\n`);
  file('wrong', 'something else');
  secretProof = (await mvfuse.done('ns', 'proof', path('words'))).trim();
});

after(() => rmSync(base, { recursive: true, force: true }));

function path(name: string): string {
  return join(base, name);
}

function file(name: string, content: string | Buffer, mode = 0o600): string {
  writeFileSync(path(name), content);
  chmodSync(path(name), mode);
  return path(name);
}

const mounting = (namespaces: string) => ['--mountpoint', join(base, 'dbs'), '--namespaces', namespaces];
const secretFiles = (...names: string[]) => names.flatMap((name) => ['--access-secret-file', path(name)]);

async function namespaces(): Promise<string[]> {
  return ((await mvfuse.json('ns', 'list')) as Array<{ name: string }>).map(({ name }) => name);
}

/** Mounts, uses the database, and gives everything back. */
async function mounts(
  list: string,
  flags: readonly string[],
  use: (mount: TestMount) => Promise<unknown>,
): Promise<void> {
  const mount = await TestMount.start({ base, namespaces: list }, flags);
  try {
    await use(mount);
  } finally {
    assert.equal(await mount.unmount(), 0);
  }
}

test('ns proof: of a file, of standard input, in hex', async () => {
  assert.equal(await mvfuse.done('ns', 'proof', path('binary')), `${PROOF}\n`);
  assert.equal(await mvfuse.done('ns', 'proof', path('digits')), `${PROOF}\n`);
  assert.deepEqual(await mvfuse.json('ns', 'proof', path('binary')), { proof: PROOF });
  const [program, ...words] = mvfuse.words('ns', 'proof');
  const piped = (text: string, ...args: string[]) => run(program!, [...words, ...args], text);
  assert.equal((await piped('hex:deadbeef\n')).stdout, `${PROOF}\n`);
  assert.equal((await piped(SECRET, '-')).stdout, `${secretProof}\n`, 'the final newline is no part of it');
  assert.notEqual((await piped(`${SECRET}\n\n`)).stdout, `${secretProof}\n`);
  const open = await mvfuse.run('ns', 'proof', file('open', SECRET, 0o644));
  assert.match(open.stderr, /warning: .*can be read by every user: chmod 600/);
  assert.equal(open.stdout, `${secretProof}\n`);
  await mvfuse.refused(3, /cannot be read: ENOENT/, 'ns', 'proof', path('missing'));
  await mvfuse.refused(2, /no secret: it is empty/, 'ns', 'proof', file('empty', '\n'));
  await mvfuse.refused(2, /not an even number of hex digits/, 'ns', 'proof', file('odd', 'hex:abc'));
  await mvfuse.refused(2, /more than 65536 bytes/, 'ns', 'proof', file('huge', Buffer.alloc(70_000)));
  await mvfuse.refused(12, /cannot be read: EISDIR/, 'ns', 'proof', base);
  await mvfuse.explained('ns proof');
});

test('without the secret nothing is mounted, made or told', async () => {
  const protectedBy =
    /namespace "test:[0-9a-f]{64}" is protected, and none was presented: use --access-secret-file FILE, or MVFUSE_ACCESS_SECRET/;
  for (const flags of [[], ['--no-create'], ['--read-only']]) {
    await mvfuse.refused(12, protectedBy, ...mounting(`mydb=${NAMED}`), ...flags);
  }
  await mvfuse.refused(12, protectedBy, ...mounting(`other=unprotected,mydb=${NAMED}`));
  assert.deepEqual(await namespaces(), []);
  await mounts(`mydb=${NAMED}`, secretFiles('binary'), (mount) =>
    sqlite3(mount.path(), 'CREATE TABLE t(a); INSERT INTO t VALUES(1)'),
  );
  assert.deepEqual(await namespaces(), [NAMED]);
  // Now that it exists, the same words; and a version that does not exist is none the wiser.
  for (const flags of [[], ['--no-create'], ['--read-only']]) {
    await mvfuse.refused(12, protectedBy, ...mounting(`mydb=${NAMED}`), ...flags);
  }
  for (const moment of ['latest', '-1h', 'no-such-tag', `${'0'.repeat(19)}1`, 'lock:me'])
    await mvfuse.refused(12, protectedBy, ...mounting(`mydb=${NAMED}@${moment}`));
  await mvfuse.refused(
    12,
    /none that was presented is its secret/,
    ...mounting(`mydb=${NAMED}`),
    ...secretFiles('wrong'),
  );
  await mvfuse.refused(12, protectedBy, ...mounting(`other=unprotected,mydb=${NAMED}`));
  assert.deepEqual(await namespaces(), [NAMED]);
  // With the secret the usual errors come.
  const pinned = [...mounting(`mydb=${NAMED}@no-such-tag`), ...secretFiles('binary')];
  await mvfuse.refused(3, /no tag "no-such-tag"/, ...pinned);
  await mvfuse.refused(3, /no namespace/, ...mounting('mydb=missing'), ...secretFiles('binary'), '--no-create');
});

test('a proof that is set later, several secrets, a fork, and one that is taken away', async () => {
  assert.equal((await mvfuse.json('ns', 'create', 'app')).isProtected, false);
  assert.equal((await mvfuse.json('ns', 'set', 'app', `access-proof=${secretProof}`)).isProtected, true);
  assert.match(await mvfuse.done('ns', 'stat', 'app'), /\nprotected +a mount must present its secret/);
  const both = `mydb=${NAMED},app=app,old=${NAMED}@latest`;
  await mvfuse.refused(
    12,
    /"app" is protected, and none that was presented/,
    ...mounting(both),
    ...secretFiles('binary'),
  );
  await mounts(both, secretFiles('wrong', 'words', 'digits'), async (mount) => {
    await sqlite3(mount.path('app'), 'CREATE TABLE a(a)');
    assert.equal(await sqlite3(mount.path('old'), 'SELECT a FROM t'), '1');
  });
  await mvfuse.done('fork', 'app', 'fork');
  await mvfuse.refused(12, /"fork" is protected/, ...mounting('mydb=fork'));
  await mounts('mydb=fork', secretFiles('words'), (mount) => sqlite3(mount.path(), 'SELECT * FROM a'));
  await mvfuse.done('ns', 'set', 'fork', 'access-proof=none');
  await mounts('mydb=fork', [], (mount) => sqlite3(mount.path(), 'SELECT * FROM a'));
});

test('secrets from the environment; files that cannot be read', async () => {
  const started = async (environment: string[], list: string): Promise<void> => {
    const names = environment.map((word) => word.slice(0, word.indexOf('=')));
    for (const word of environment) process.env[word.slice(0, word.indexOf('='))] = word.slice(word.indexOf('=') + 1);
    try {
      await mounts(list, [], (mount) => sqlite3(mount.path(), 'SELECT count(*) FROM sqlite_schema'));
    } finally {
      for (const name of names) delete process.env[name];
    }
  };
  await started([`MVFUSE_ACCESS_SECRET=${SECRET}`], 'mydb=app');
  await started(['MVFUSE_ACCESS_SECRET=hex:deadbeef'], `mydb=${NAMED}`);
  await started([`MVFUSE_ACCESS_SECRET_FILE=${path('words')}:${path('binary')}`], `mydb=${NAMED},app=app`);
  await mvfuse.refused(
    3,
    /secret file .*missing cannot be read: ENOENT/,
    ...mounting('mydb=x'),
    ...secretFiles('missing'),
  );
  const empty = new Commands(`sqlite:${join(base, 'store')}`, ['MVFUSE_ACCESS_SECRET=']);
  await empty.refused(2, /MVFUSE_ACCESS_SECRET is no secret: it is empty/, ...mounting('mydb=x'));
  assert.equal((await namespaces()).includes('x'), false);
  file('open', SECRET, 0o644);
  await mounts('mydb=app', secretFiles('open'), async (mount) => {
    const warnings = mount.log.split('\n').filter((line) => line.includes('"level":40'));
    assert.equal(warnings.length, 1);
    assert.match(warnings[0]!, /can be read by every user: chmod 600/);
  });
});

test('the secret is nowhere to be seen', async () => {
  process.env.MVFUSE_ACCESS_SECRET = SECRET;
  const flags = ['--log-level', 'trace', ...secretFiles('binary')];
  let mount: TestMount;
  try {
    mount = await TestMount.start({ base, namespaces: `mydb=app,other=${NAMED}` }, flags);
  } finally {
    delete process.env.MVFUSE_ACCESS_SECRET;
  }
  const seen: string[] = [];
  try {
    await sqlite3(mount.path(), 'INSERT INTO a VALUES(1)');
    for (const args of [['status'], ['status', '--json'], ['ns', 'list', '--json'], ['ns', 'stat', 'app', '--json']])
      seen.push(await mvfuse.done(...args));
    seen.push((await mvfuse.run('doctor', '--json')).stdout);
    for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
      if (existsSync(`/proc/${pid}/cmdline`)) seen.push(readFileSync(`/proc/${pid}/cmdline`, 'utf8'));
      // What the daemon itself was started with stays in its own: the manual says so.
      if (parentOf(pid) === mount.child.pid) seen.push(readFileSync(`/proc/${pid}/environ`, 'utf8'));
    }
  } finally {
    assert.equal(await mount.unmount(), 0);
  }
  seen.push(mount.log);
  for (const text of seen) assert.doesNotMatch(text, new RegExp(`${SECRET}|deadbeef|\xde\xad\xbe\xef`, 'i'));
  assert.ok(mount.log.includes('"msg":"commit"'));
});

/** What a command starts has the environment without the secret. */
test('programs that a command starts do not get the secret', async () => {
  const directory = path('bin');
  await run('mkdir', ['-p', directory]);
  file('bin/sqldiff', `#!/bin/sh\nenv > ${path('child-environment')}\n`, 0o755);
  await sqlite3(path('one.db'), 'CREATE TABLE one(a)');
  await mvfuse.done('import', path('one.db'), 'one');
  const given = new Commands(`sqlite:${join(base, 'store')}`, [
    `PATH=${directory}:/usr/bin:/bin`,
    `MVFUSE_ACCESS_SECRET=${SECRET}`,
  ]);
  await given.done('diff', 'one', 'app');
  const environment = readFileSync(path('child-environment'), 'utf8');
  assert.match(environment, /^MVFUSE_STORE=/m);
  assert.doesNotMatch(environment, /MVFUSE_ACCESS_SECRET/);
});

function parentOf(pid: string): number | undefined {
  try {
    return Number(/^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
  } catch {
    return undefined;
  }
}

test('the manual page of mount names the option and both variables', async () => {
  const help = (await run(process.execPath, [MAIN, 'mount', '--help'])).stdout.replace(/\s+/g, ' ');
  for (const word of ['--access-secret-file <file>', 'MVFUSE_ACCESS_SECRET_FILE', 'MVFUSE_ACCESS_SECRET is'])
    assert.ok(help.includes(word), word);
});
