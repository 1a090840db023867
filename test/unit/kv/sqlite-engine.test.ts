// What is particular to the engine on disk: its files, its owner, its failures.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import Database from 'better-sqlite3';
import { isMvfuseError } from '../../../src/errors.js';
import { EmbeddedEngine } from '../../../src/kv/embedded-engine.js';
import type { Engine } from '../../../src/kv/engine.js';
import { openEngine, storeDirectory } from '../../../src/kv/open.js';
import { DATA_FORMAT } from '../../../src/kv/sqlite/data-file.js';
import { SqliteBackend } from '../../../src/kv/sqlite/sqlite-backend.js';
import { committingChildPath } from '../../support/committing-child.js';

const run = promisify(execFile);
const key = (text: string) => Buffer.from(text);
const clock = Date.now;

describe('sqlite engine', () => {
  let directory: string;
  let engines: Engine[];

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'mvfuse-sqlite-'));
    engines = [];
  });
  afterEach(async () => {
    for (const engine of engines) await engine.close();
    await rm(directory, { recursive: true, force: true });
  });

  async function open(options: { bytesMax?: number } = {}): Promise<Engine> {
    const engine = new EmbeddedEngine(await SqliteBackend.open(directory, options), { clock });
    engines.push(engine);
    return engine;
  }
  const inspect = <T>(look: (db: Database.Database) => T): T => {
    const db = new Database(join(directory, 'data.sqlite'));
    try {
      return look(db);
    } finally {
      db.close();
    }
  };

  test('the URL names the directory', async () => {
    assert.equal(storeDirectory('sqlite:/a/b'), '/a/b');
    assert.equal(storeDirectory('sqlite:b'), join(process.cwd(), 'b'));
    assert.equal(storeDirectory('memory:'), undefined);
    for (const url of ['sqlite:', 'fdb:/etc/cluster', 'memory:x', '/a/b', '']) {
      await assert.rejects(openEngine(url, { clock }), (error) => isMvfuseError(error, 'INVALID_ARGUMENT'), url);
    }
    await assert.rejects(openEngine('fdb:x', { clock }), /no cluster file/);
  });

  test('missing directories are created, an impossible one is told', async () => {
    const engine = await openEngine(`sqlite:${directory}/a/b/c`, { clock });
    await engine.close();
    await assert.rejects(openEngine('sqlite:/proc/none/store', { clock }), (error) =>
      isMvfuseError(error, 'STORE_FAILED'),
    );
  });

  test('the second owner is told who the first one is', async () => {
    await open();
    const second = run(process.execPath, [committingChildPath, directory], { encoding: 'utf8' });
    await assert.rejects(second, (error: { stderr: string }) => {
      assert.match(error.stderr, /STORE_OWNED/);
      assert.match(error.stderr, new RegExp(`is in use by process ${process.pid}\\b`));
      return true;
    });
  });

  test('a newer format, and a file of another program, are refused', async () => {
    await (await open()).close();
    inspect((db) => db.pragma(`user_version = ${DATA_FORMAT + 1}`));
    await assert.rejects(
      open(),
      (error) => isMvfuseError(error, 'STORE_FORMAT') && /newer release/.test(error.message),
    );
    inspect((db) => {
      db.pragma(`user_version = ${DATA_FORMAT}`);
      db.pragma('application_id = 1');
    });
    await assert.rejects(open(), (error) => isMvfuseError(error, 'STORE_FORMAT') && /not a store/.test(error.message));
    inspect((db) => db.pragma(`application_id = ${0x6d766673}`));
    await open();
  });

  test('what is in the way of the data file is told', async () => {
    mkdirSync(join(directory, 'data.sqlite'));
    await assert.rejects(open(), (error) => isMvfuseError(error, 'STORE_FAILED'));
  });

  test('no content row outlives its key', async () => {
    const engine = await open();
    const large = Buffer.alloc(5_000, 1);
    const contents = () => inspect((db) => db.prepare('SELECT count(*) FROM content').pluck().get());
    await engine.transact(async (t) => {
      for (const name of ['a', 'b', 'c', 'd']) t.set(key(name), large);
    });
    assert.equal(contents(), 4);
    await engine.transact(async (t) => {
      t.set(key('a'), large);
      t.set(key('b'), key('small'));
    });
    assert.equal(contents(), 3);
    await engine.transact(async (t) => t.clear(key('a')));
    assert.equal(contents(), 2);
    await engine.transact(async (t) => t.clearRange(key('a'), key('z')));
    assert.equal(contents(), 0);
  });

  test('without space a commit fails, and the store goes on', async () => {
    const engine = await open({ bytesMax: 400_000 });
    const fill = (name: string) => engine.transact(async (t) => t.set(key(name), Buffer.alloc(50_000, 1)));
    let stored = 0;
    const full = await (async () => {
      for (; stored < 100; stored++) await fill(`a${stored}`);
    })().catch((error) => error);
    assert.ok(isMvfuseError(full, 'NO_SPACE'), String(full));
    assert.ok(stored > 3);
    const pairs = await engine.read((t) => t.getRange(key('a'), key('b')));
    assert.equal(pairs.length, stored);
    await engine.transact(async (t) => {
      // What the failed commit would have written must not count as a conflict.
      assert.equal(await t.get(key(`a${stored}`)), undefined);
      t.clearRange(key('a'), key('b'));
    });
    await fill('again');
  });

  test('in a group, one that conflicts does not fail the others', async () => {
    const engine = await open();
    const attempts = await Promise.all(
      Array.from({ length: 30 }, async (_, index) => {
        let attempts = 0;
        await engine.transact(async (t) => {
          attempts++;
          if (index % 3 === 0) t.set(key('shared'), Buffer.from([((await t.get(key('shared')))?.[0] ?? 0) + 1]));
          t.set(key(`own/${index}`), Buffer.alloc(0));
        });
        return attempts;
      }),
    );
    assert.equal((await engine.read((t) => t.get(key('shared'))))?.[0], 10);
    assert.ok(attempts.every((count, index) => index % 3 === 0 || count === 1));
    assert.ok(
      attempts.some((count) => count > 1),
      'nothing conflicted: the test tests nothing',
    );
  });

  test('after a failed write every later call is refused; what was acknowledged is there afterwards', async () => {
    // The limit on file sizes makes write() fail with EFBIG, which SQLite reports as an I/O error.
    const limited = run('bash', [
      '-c',
      `ulimit -f 2000; exec "${process.execPath}" "$0" "$1" until-failure`,
      committingChildPath,
      directory,
    ]);
    const { stdout } = await limited;
    const lines = stdout.trim().split('\n');
    assert.deepEqual(
      lines.slice(-3),
      ['failed STORE_FAILED', 'commit STORE_FAILED', 'read STORE_FAILED'],
      lines.slice(-5).join('\n'),
    );
    const acknowledged = lines.slice(0, -3);
    assert.ok(acknowledged.length > 10);
    const engine = await open();
    const stored = await engine.read((t) => t.getRange(key('log/'), key('log0')));
    const versions = new Set(stored.map((pair) => pair.key.subarray(4).toString('hex')));
    assert.deepEqual(
      acknowledged.filter((line) => !versions.has(line)),
      [],
    );
  });

  test('an idle engine does not keep the process alive', async () => {
    const script = `
      const { openEngine } = await import(${JSON.stringify(fileURLToPath(new URL('../../../src/kv/open.js', import.meta.url)))});
      const engine = await openEngine('sqlite:' + ${JSON.stringify(directory)}, { clock: Date.now });
      await engine.transact(async (t) => t.set(Buffer.from('a'), Buffer.from('kept')));`;
    await run(process.execPath, ['--input-type=module', '-e', script], { timeout: 20_000 });
    const engine = await open();
    assert.equal((await engine.read((t) => t.get(key('a'))))?.toString(), 'kept');
  });
});
