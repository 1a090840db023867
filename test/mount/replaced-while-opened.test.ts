// A name that another file is put at is never gone, for who opens it in the middle of that either.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Outcome, run, sqlite3 } from '../support/client.js';
import { FaultMount } from '../support/mounted.js';

/** What opens a file, by the name of what resolves its symlink. */
const OPENERS = {
  SQLite: (path: string) =>
    run('python3', ['-c', `import sqlite3; print(*sqlite3.connect('${path}').execute('SELECT a FROM t').fetchone())`]),
  'the kernel': (path: string) => run('python3', ['-c', `print(open('${path}', 'rb').read(15).decode())`]),
};

describe('a file that is opened', () => {
  let mount: FaultMount;

  before(async () => {
    mount = await FaultMount.startFaulty({ namespaces: '*' });
  });

  after(() => mount?.remove());

  /** Opens `name`, and does `meanwhile` after its symlink was resolved. */
  async function opened(
    opener: keyof typeof OPENERS,
    name: string,
    meanwhile: () => Promise<unknown>,
  ): Promise<Outcome> {
    await mount.hold('OPEN(db)', 1);
    const outcome = OPENERS[opener](mount.path(name));
    assert.equal(await mount.hit(20_000), 'OPEN(db)');
    await meanwhile();
    await mount.release();
    return outcome;
  }

  async function make(name: string, value: string): Promise<void> {
    await sqlite3(mount.path(name), `CREATE TABLE t(a); INSERT INTO t VALUES('${value}')`);
  }

  const move = (name: string, to: string): Promise<Outcome> => run('mv', [mount.path(name), mount.path(to)]);

  for (const opener of Object.keys(OPENERS) as Array<keyof typeof OPENERS>) {
    for (const isRemadeOften of [false, true]) {
      const name = `${opener.replace(' ', '-')}-${isRemadeOften}.db`;

      test(`is the new one when it was replaced${isRemadeOften ? ' before, too' : ''}: resolved by ${opener}`, async () => {
        await make(name, 'old');
        // What was opened before is given out again, and the kernel knows it.
        if (isRemadeOften) {
          for (let count = 0; count < 3; count += 1) {
            await OPENERS[opener](mount.path(name));
            await make('other.db', 'between');
            await move('other.db', name);
          }
        }
        await make('new.db', 'new');
        const { status, stdout, stderr } = await opened(opener, name, () => move('new.db', name));
        assert.deepEqual([status, stderr], [0, '']);
        assert.equal(stdout.trim(), opener === 'SQLite' ? 'new' : 'SQLite format 3');
        assert.equal(await sqlite3(mount.path(name), 'SELECT a FROM t'), 'new');
        assert.equal(await sqlite3(mount.path(name), 'UPDATE t SET a = 1; SELECT a FROM t'), '1');
      });

      test(`is not there when it was removed${isRemadeOften ? ' and made before' : ''}: resolved by ${opener}`, async () => {
        if (isRemadeOften) {
          for (let count = 0; count < 2; count += 1) {
            await run('rm', [mount.path(name)]);
            await make(name, 'again');
          }
        }
        const { status, stderr } = await opened(opener, name, () => run('rm', [mount.path(name)]));
        assert.notEqual(status, 0);
        assert.match(stderr, opener === 'SQLite' ? /unable to open database/ : /No such file/);
        await make(name, 'again');
      });
    }
  }
});
