// What SQLite does with locks, in every way in which they can be had, against a plain file on the local disk: the same
// script on that, on one inode of the mount that all programs share (what the symlink leads to), and on the mounted name,
// where each has a connection of its own. The first two answer the same; how the third differs is written beside.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Client, type Row, run, sqlite3 } from '../support/client.js';
import { TestMount } from '../support/mounted.js';

const RAW_LOCKS = fileURLToPath(new URL('../../../test/support/raw-locks.py', import.meta.url));
const SCHEMA = 'CREATE TABLE t(id INTEGER PRIMARY KEY, x); INSERT INTO t VALUES(1, 0)';
const READ = 'SELECT x FROM t WHERE id = 1';
const BUSY = 'SQLITE_BUSY';

let mount: TestMount;
let local: string;
let clients: Client[] = [];

before(async () => {
  local = mkdtempSync(join(tmpdir(), 'mvfuse-locks-'));
  mount = await TestMount.start({ namespaces: 'mydb=test,shared=shared,raw=raw' });
});

after(async () => {
  await mount?.remove();
  rmSync(local, { recursive: true, force: true });
});

afterEach(async () => {
  await Promise.all(clients.map((client) => client.kill()));
  clients = [];
  visitors.clear();
});

/** Rows, or the name of the error. */
type Answer = Row[] | string;

/** A process with connections, which gives up at once when something is locked. */
class Process {
  readonly client = new Client();

  constructor() {
    clients.push(this.client);
  }

  async open(path: string, c = 0): Promise<this> {
    await this.client.open(path, c, { timeout: 0, uri: path.startsWith('file:') });
    return this;
  }

  async tell(sql: string, c = 0): Promise<Answer> {
    return this.client.exec(sql, c).catch((error) => error.code as string);
  }

  async tellAll(...statements: string[]): Promise<Answer[]> {
    const answers: Answer[] = [];
    for (const sql of statements) answers.push(await this.tell(sql));
    return answers;
  }
}

const opened = (path: string): Promise<Process> => new Process().open(path);

/** For each path a process of its own. */
const visitors = new Map<string, Process>();

/** The answers of another process, which opens a connection and closes it. */
async function visit(path: string, timeout: number, statements: readonly string[]): Promise<Answer[]> {
  const visitor = visitors.get(path) ?? new Process();
  visitors.set(path, visitor);
  await visitor.client.open(path, 0, { timeout, uri: path.startsWith('file:') });
  const answers = await visitor.tellAll(...statements);
  await visitor.client.close();
  return answers;
}

const other = (path: string, ...statements: string[]): Promise<Answer[]> => visit(path, 0, statements);

/** As `other`, until it is not locked: who was killed may hold its locks for a moment. */
async function soon(path: string, sql: string): Promise<Answer> {
  return (await visit(path, 20, [sql]))[0]!;
}

interface Scenario {
  readonly name: string;
  readonly play: (path: string, uri: (options: string) => string) => Promise<unknown[]>;
  /** Answers on the mounted name that differ, by their index; with the reason. */
  readonly differs?: Readonly<Record<number, { readonly answer: unknown; readonly why: string }>>;
}

const OWN_SNAPSHOT = 'each connection reads its own snapshot: writers do not wait for readers, nor readers for writers';

/** Statements after which a process holds a lock. */
const HELD: Record<string, readonly string[]> = {
  SHARED: ['BEGIN', READ],
  RESERVED: ['BEGIN IMMEDIATE', 'UPDATE t SET x = 7'],
  EXCLUSIVE: ['BEGIN EXCLUSIVE', 'UPDATE t SET x = 7'],
  'EXCLUSIVE, with pages written': [
    'PRAGMA cache_size=1',
    'BEGIN',
    'INSERT INTO t SELECT value, zeroblob(3000) FROM (WITH RECURSIVE n(value) AS (SELECT 2 UNION ALL SELECT value + 1 FROM n WHERE value < 50) SELECT value FROM n)',
    'UPDATE t SET x = 7',
  ],
  'the exclusive locking mode': ['PRAGMA locking_mode=EXCLUSIVE', 'UPDATE t SET x = 0'],
};

const scenarios: Scenario[] = [
  ...Object.entries(HELD).map(
    ([lock, statements]): Scenario => ({
      name: `a process holds ${lock}, and is killed`,
      play: async (path) => {
        const holder = await opened(path);
        await holder.tellAll(...statements);
        const while_ = await other(path, READ, 'BEGIN IMMEDIATE', 'ROLLBACK', 'UPDATE t SET x = x + 1');
        await holder.client.fork();
        const afterFork = await other(path, READ, 'UPDATE t SET x = x + 1');
        await holder.client.kill();
        return [
          ...while_,
          ...afterFork,
          await soon(path, READ),
          await soon(path, 'UPDATE t SET x = 3'),
          await other(path, READ, 'PRAGMA integrity_check', 'SELECT count(*) FROM t'),
        ];
      },
      differs:
        lock === 'SHARED'
          ? {
              3: { answer: [], why: OWN_SNAPSHOT },
              4: { answer: [[1]], why: OWN_SNAPSHOT },
              5: { answer: [], why: OWN_SNAPSHOT },
              6: { answer: [[2]], why: OWN_SNAPSHOT },
            }
          : lock === 'RESERVED'
            ? {}
            : { 0: { answer: [[0]], why: OWN_SNAPSHOT }, 4: { answer: [[0]], why: OWN_SNAPSHOT } },
    }),
  ),
  {
    name: 'a process holds PENDING, since a reader is in its way, and is killed',
    play: async (path) => {
      const [reader, writer] = [await opened(path), await opened(path)];
      await reader.tellAll('BEGIN', READ);
      const commit = await writer.tellAll('BEGIN', 'UPDATE t SET x = 5', 'COMMIT');
      const newReader = await other(path, READ, 'UPDATE t SET x = 6');
      await writer.client.kill();
      const last = [await soon(path, READ), await reader.tell(READ), await reader.tell('COMMIT')];
      return [
        ...commit,
        ...newReader,
        ...last,
        await soon(path, 'UPDATE t SET x = x + 1'),
        ...(await other(path, READ)),
      ];
    },
    differs: {
      2: { answer: [], why: OWN_SNAPSHOT },
      3: { answer: [[5]], why: OWN_SNAPSHOT },
      4: { answer: [], why: OWN_SNAPSHOT },
      5: { answer: [[6]], why: OWN_SNAPSHOT },
      9: { answer: [[7]], why: OWN_SNAPSHOT },
    },
  },
  {
    name: 'two connections of one process',
    play: async (path) => {
      const process = await (await opened(path)).open(path, 1);
      return [
        await process.tell('BEGIN IMMEDIATE', 0),
        await process.tell('BEGIN IMMEDIATE', 1),
        await process.tell('UPDATE t SET x = 1', 0),
        await process.tell(READ, 1),
        await process.tell('COMMIT', 0),
        await process.tell(READ, 1),
        await process.client.close(1),
        ...(await other(path, 'UPDATE t SET x = 2')),
        await process.tell(READ, 0),
      ];
    },
  },
  {
    name: 'closing one connection of a process leaves the locks of another one alone',
    play: async (path) => {
      const process = await (await opened(path)).open(path, 1);
      await process.tell('BEGIN IMMEDIATE', 0);
      await process.tell(READ, 1);
      await process.client.close(1);
      const refused = await other(path, 'UPDATE t SET x = 2');
      return [...refused, await process.tell('COMMIT'), ...(await other(path, 'UPDATE t SET x = 2'))];
    },
  },
  {
    name: 'a shared cache',
    play: async (_path, uri) => {
      const process = await (await opened(uri('cache=shared'))).open(uri('cache=shared'), 1);
      return [
        await process.tell('BEGIN IMMEDIATE', 0),
        await process.tell('UPDATE t SET x = 4', 0),
        await process.tell(READ, 1),
        await process.tell('PRAGMA read_uncommitted=1', 1),
        await process.tell(READ, 1),
        await process.tell('BEGIN IMMEDIATE', 1),
        ...(await other(uri(''), READ, 'UPDATE t SET x = 9')),
        await process.tell('COMMIT', 0),
        await process.tell('UPDATE t SET x = x + 1', 1),
        ...(await other(uri(''), READ)),
      ];
    },
    differs: {
      2: {
        answer: [[0]],
        why: 'SQLite shares a cache between connections of one file name; here each has a name of its own',
      },
      4: { answer: [[0]], why: 'the same' },
      5: { answer: BUSY, why: 'the same' },
    },
  },
  {
    name: 'vfs=unix-excl, one process',
    play: async (_path, uri) => {
      const process = await opened(uri('vfs=unix-excl'));
      const own = [await process.tell('UPDATE t SET x = 1'), await process.tell(READ)];
      const refused = await other(uri(''), READ, 'UPDATE t SET x = 2');
      await process.tell('BEGIN');
      await process.tell('UPDATE t SET x = 8');
      await process.client.kill();
      return [
        ...own,
        ...refused,
        await soon(uri(''), READ),
        await soon(uri(''), 'UPDATE t SET x = 3'),
        await soon(uri(''), READ),
      ];
    },
    differs: { 2: { answer: [[1]], why: OWN_SNAPSHOT } },
  },
  {
    name: 'vfs=unix-excl, two connections of one process',
    play: async (_path, uri) => {
      const process = await opened(uri('vfs=unix-excl'));
      const own = [await process.tell('UPDATE t SET x = 1'), await process.tell(READ)];
      await process.open(uri('vfs=unix-excl'), 1);
      return [
        ...own,
        await process.tell(READ, 1),
        await process.tell('UPDATE t SET x = 2', 1),
        await process.tell(READ, 0),
      ];
    },
    differs: {
      2: { answer: BUSY, why: 'the connections have two inodes, and this VFS locks each for a whole process' },
      3: { answer: BUSY, why: 'the same' },
      4: { answer: [[1]], why: 'the same' },
    },
  },
  {
    name: 'vfs=unix-excl, refused while another process writes, and again',
    play: async (path, uri) => {
      const writer = await opened(path);
      await writer.tellAll('BEGIN IMMEDIATE', 'UPDATE t SET x = 1');
      const process = await opened(uri('vfs=unix-excl'));
      const refused = await process.tell('UPDATE t SET x = x + 1');
      await writer.tell('COMMIT');
      return [refused, await process.tell('UPDATE t SET x = x + 1'), await process.tell(READ)];
    },
  },
  {
    name: 'vfs=unix-excl without journal file and sync, closed in order',
    play: async (_path, uri) => {
      const process = await opened(uri('vfs=unix-excl'));
      const own = await process.tellAll(
        'PRAGMA synchronous=OFF',
        'PRAGMA journal_mode=MEMORY',
        'UPDATE t SET x = 1',
        'UPDATE t SET x = x + 1',
      );
      await process.client.close();
      return [...own, await soon(uri(''), READ), await soon(uri(''), 'PRAGMA integrity_check')];
    },
  },
  {
    name: 'vfs=unix-dotfile, two processes',
    play: async (_path, uri) => {
      const [one, two] = [await opened(uri('vfs=unix-dotfile')), await opened(uri('vfs=unix-dotfile'))];
      const answers = [await one.tell('UPDATE t SET x = 1'), await two.tell(READ)];
      answers.push(...(await one.tellAll('BEGIN', 'UPDATE t SET x = x + 1')), await two.tell(READ));
      answers.push(await two.tell('UPDATE t SET x = 9'), await one.tell('ROLLBACK'), await two.tell(READ));
      answers.push(...(await two.tellAll('BEGIN', READ)), await one.tell(READ), await two.tell('COMMIT'));
      for (const journal of ['DELETE', 'TRUNCATE', 'PERSIST', 'MEMORY', 'OFF']) {
        answers.push(...(await one.tellAll(`PRAGMA journal_mode=${journal}`, 'PRAGMA synchronous=OFF')));
        answers.push(...(await one.tellAll('UPDATE t SET x = x + 1')), await two.tell(READ));
      }
      await one.client.close();
      return [...answers, ...(await two.tellAll('UPDATE t SET x = x + 1', READ, 'PRAGMA integrity_check'))];
    },
  },
  {
    name: 'nolock=1 between the transactions of others',
    play: async (_path, uri) => {
      const process = await opened(uri('nolock=1'));
      const first = await process.tell(READ);
      const written = await other(uri(''), 'UPDATE t SET x = 1', READ);
      return [
        first,
        ...written,
        await process.tell(READ),
        await process.tell('UPDATE t SET x = x + 1'),
        ...(await other(uri(''), READ, 'PRAGMA integrity_check')),
      ];
    },
  },
  {
    name: 'immutable=1',
    play: async (_path, uri) => {
      const process = await opened(uri('immutable=1'));
      const answers = await process.tellAll(READ, 'UPDATE t SET x = 2');
      const written = await other(uri(''), 'UPDATE t SET x = 3', READ);
      return [...answers, ...written, await process.tell(READ), ...(await other(uri('immutable=1'), READ))];
    },
  },
  {
    name: 'mmap_size, with writes of others between',
    play: async (path) => {
      const process = await opened(path);
      const answers: Answer[] = await process.tellAll('PRAGMA mmap_size=1000000', READ);
      for (let i = 0; i < 5; i += 1) {
        answers.push(...(await other(path, `UPDATE t SET x = ${i}`, `INSERT INTO t(x) VALUES(zeroblob(20000))`)));
        answers.push(
          ...(await process.tellAll(
            READ,
            'SELECT count(*), sum(length(x)) FROM t',
            'UPDATE t SET x = x + 10 WHERE id = 1',
            READ,
          )),
        );
      }
      return [
        ...answers,
        ...(await other(path, READ, 'PRAGMA integrity_check', 'VACUUM')),
        await process.tell('SELECT count(*) FROM t'),
      ];
    },
  },
];

async function play({ play: script }: Scenario, path: string): Promise<unknown[]> {
  return script(path, (options) => `file:${path}?${options}`);
}

/** A new table; who was killed may have the write lock for a moment. */
async function begin(path: string): Promise<void> {
  await sqlite3(path, `.timeout 20000\nDROP TABLE IF EXISTS t; ${SCHEMA}`);
}

/** What the symlink leads to: one inode for everybody. */
async function sharedPath(): Promise<string> {
  return (await run('readlink', ['-f', mount.path('shared')])).stdout.trim();
}

describe('as on a local disk', () => {
  for (const [index, scenario] of scenarios.entries()) {
    test(scenario.name, async () => {
      const path = join(local, `${index}.db`);
      await Promise.all([sqlite3(path, SCHEMA), begin(mount.path()), begin(mount.path('shared'))]);
      const paths = [path, mount.path(), await sharedPath()];
      const [expected, byName, throughOne] = await Promise.all(paths.map((each) => play(scenario, each)));
      const own = [...expected!];
      for (const [at, { answer }] of Object.entries(scenario.differs ?? {})) {
        assert.notDeepEqual(own[Number(at)], answer, `${at} does not differ`);
        own[Number(at)] = answer;
      }
      assert.deepEqual(byName, own, 'by its name');
      assert.deepEqual(throughOne, expected, 'through one inode');
    });
  }
});

/** Answers of raw-locks.py that differ on the mount, with the reason. */
const RAW_DIFFERS: Readonly<Record<string, { readonly answer: unknown; readonly why: string }>> = {
  'ofd, who is asked by posix': {
    answer: ['write', 100, 10, 'this process'],
    why: 'the kernel tells the filesystem who set it, but not that the file owns it',
  },
  'posix, far out': { answer: 'EFBIG', why: 'past 2^53 no byte of a database can be' },
  'posix, after another file was closed': {
    answer: ['EAGAIN', ['read', 0, 10, 'the parent']],
    why: 'locks end with the file that they were set through: what POSIX has instead is a trap',
  },
};

test('fcntl, open file description locks and flock, on one inode', async () => {
  const path = join(local, 'raw');
  await sqlite3(path, SCHEMA);
  await sqlite3(mount.path('raw'), SCHEMA);
  const ask = async (each: string): Promise<Record<string, unknown>> => {
    const { status, stdout, stderr } = await run('python3', [RAW_LOCKS, each]);
    assert.equal(status, 0, stderr);
    return JSON.parse(stdout);
  };
  const expected = await ask(path);
  for (const [step, { answer }] of Object.entries(RAW_DIFFERS)) {
    assert.notDeepEqual(expected[step], answer, `${step} does not differ`);
    expected[step] = answer;
  }
  assert.deepEqual(await ask(mount.path('raw')), expected);
});

test('mmap_size without the kernel’s cache: SQLite reads instead, and sees what others write', async () => {
  const uncached = await TestMount.start({}, ['--no-kernel-cache']);
  try {
    await sqlite3(uncached.path(), SCHEMA);
    const process = await opened(uncached.path());
    await process.tell('PRAGMA mmap_size=1000000');
    for (let i = 1; i <= 3; i += 1) {
      assert.deepEqual(
        await other(uncached.path(), `UPDATE t SET x = ${i}`, 'INSERT INTO t(x) VALUES(zeroblob(20000))'),
        [[], []],
      );
      assert.deepEqual(await process.tellAll(READ, 'SELECT count(*) FROM t'), [[[i]], [[i + 1]]]);
      assert.deepEqual(await process.tell('UPDATE t SET x = x WHERE id = 1'), []);
    }
    assert.deepEqual(await process.tell('PRAGMA integrity_check'), [['ok']]);
  } finally {
    await uncached.remove();
  }
});
