// One of several processes that make, rename, replace and remove databases in one directory, with better-sqlite3.
//
// usage: directory-churn-child.js DIRECTORY WORKER STEPS SEED
//
// A process has names of its own, where each step has one right outcome, which is printed; and names that it shares, where
// any version that somebody put there is right, if it is whole. Prints JSON.

import { copyFileSync, existsSync, renameSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { type Churned, ROWS, SHARED_NAMES } from './directory-churn.js';
import { randomInteger, seededRandom } from './random.js';

const OWN_NAMES = 3;

const [directory, worker, steps, seed] = process.argv.slice(2) as [string, string, string, string];
const random = seededRandom(Number(seed) + Number(worker));
const pathOf = (name: string): string => join(directory, name);
const ownPath = (): string => pathOf(`own-${worker}-${randomInteger(random, 1, OWN_NAMES)}.db`);
/** Tags that were given, on names of its own and on shared ones. */
let [tags, sharedTags] = [0, 0];

function outcomeOf(action: () => unknown): string {
  try {
    return String(action() ?? 'done');
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  }
}

/** A database that is whole has ROWS rows with one tag. */
function make(path: string, tag: string): void {
  const database = new Database(path);
  try {
    database.exec('CREATE TABLE t(tag TEXT, padding TEXT)');
    const insert = database.prepare('INSERT INTO t VALUES (?, ?)');
    database.transaction(() => {
      for (let row = 0; row < ROWS; row += 1) insert.run(tag, 'x'.repeat(200));
    })();
  } finally {
    database.close();
  }
}

function tagIn(database: Database.Database): string {
  const rows = database.prepare('SELECT tag, count(*) AS count FROM t GROUP BY tag').all();
  const [{ tag, count }] = rows as [{ tag: string; count: number }];
  return rows.length === 1 && count === ROWS ? tag : `torn: ${JSON.stringify(rows)}`;
}

function withOpen<T>(path: string, action: (database: Database.Database) => T): T {
  const database = new Database(path, { fileMustExist: true });
  try {
    return action(database);
  } finally {
    database.close();
  }
}

const newTag = (): string => `${worker}/${++tags}`;
const newSharedTag = (): string => `${worker}/shared/${++sharedTags}`;

/** What somebody sees who had it open while it was taken from its path. */
function whileOpen(path: string, take: () => void): string {
  if (!existsSync(path)) make(path, newTag());
  return withOpen(path, (database) => {
    const before = tagIn(database);
    take();
    const after = outcomeOf(() => tagIn(database));
    const written = outcomeOf(() => database.exec("UPDATE t SET tag = 'written'") && 'written');
    return `${before} ${after} ${written}`;
  });
}

const OWN: ReadonlyArray<() => string> = [
  function remake(): string {
    const path = ownPath();
    const removed = outcomeOf(() => unlinkSync(path));
    make(path, newTag());
    return `${removed} ${withOpen(path, tagIn)}`;
  },
  function read(): string {
    const path = ownPath();
    return outcomeOf(() => withOpen(path, tagIn));
  },
  function rename(): string {
    const [from, to] = [ownPath(), ownPath()];
    return outcomeOf(() => {
      renameSync(from, to);
      return `${from === to || existsSync(from)} ${withOpen(to, tagIn)}`;
    });
  },
  function removeOpen(): string {
    const path = ownPath();
    return `${whileOpen(path, () => unlinkSync(path))} ${existsSync(path)}`;
  },
  function renameOpen(): string {
    const path = ownPath();
    const moved = pathOf(`own-${worker}-moved.db`);
    return `${whileOpen(path, () => renameSync(path, moved))} ${existsSync(path)} ${withOpen(moved, tagIn)}`;
  },
  function replaceOpen(): string {
    const path = ownPath();
    const temporary = pathOf(`own-${worker}-new.db`);
    make(temporary, newTag());
    return `${whileOpen(path, () => renameSync(temporary, path))} ${withOpen(path, tagIn)} ${existsSync(temporary)}`;
  },
  function replaceMaking(): string {
    // The process has what it replaces open since it made it.
    const path = ownPath();
    outcomeOf(() => unlinkSync(path));
    const database = new Database(path);
    try {
      database.exec("CREATE TABLE t(tag); INSERT INTO t VALUES ('making')");
      const temporary = pathOf(`own-${worker}-new.db`);
      make(temporary, newTag());
      renameSync(temporary, path);
      const written = outcomeOf(() => database.exec('DELETE FROM t') && 'written');
      return `${database.prepare('SELECT tag FROM t').pluck().get()} ${written} ${withOpen(path, tagIn)}`;
    } finally {
      database.close();
    }
  },
  function copy(): string {
    const [from, to] = [ownPath(), pathOf(`own-${worker}-copy.db`)];
    return outcomeOf(() => {
      copyFileSync(from, to);
      const tag = withOpen(to, tagIn);
      unlinkSync(to);
      return tag;
    });
  },
];

const SHARED: ReadonlyArray<(path: string) => string> = [
  function replace(path: string): string {
    const temporary = pathOf(`own-${worker}-for-all.db`);
    make(temporary, newSharedTag());
    renameSync(temporary, path);
    return 'replaced';
  },
  function read(path: string): string {
    return withOpen(path, tagIn).startsWith('torn') ? 'torn' : 'read';
  },
  function update(path: string): string {
    return withOpen(path, (database) => {
      database.pragma('busy_timeout = 20000');
      database.prepare('UPDATE t SET tag = ?').run(newSharedTag());
      return 'updated';
    });
  },
];

function churn(): Churned {
  const churned: Churned = { own: [], shared: {} };
  for (let step = 0; step < Number(steps); step += 1) {
    const action = OWN[randomInteger(random, 0, OWN.length - 1)]!;
    churned.own.push(`${action.name}: ${outcomeOf(action)}`);
    const path = pathOf(SHARED_NAMES[randomInteger(random, 0, SHARED_NAMES.length - 1)]!);
    const shared = SHARED[randomInteger(random, 0, SHARED.length - 1)]!;
    const outcome = `${shared.name}: ${outcomeOf(() => shared(path))}`;
    churned.shared[outcome] = (churned.shared[outcome] ?? 0) + 1;
  }
  return churned;
}

console.log(JSON.stringify(churn()));
