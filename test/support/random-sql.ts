// Random statements over a small, fixed set of tables, so that most of them do something and some fail.
//
// Rows are bounded: ids come from 1 to ROW_ID_MAX. Contents come from the SQL function noise() of client.py, so a statement
// gives the same bytes wherever it runs. `careful` leaves out what needs a rollback of a statement: with
// journal_mode=OFF SQLite has nothing to roll back from, and a plain file is corrupted.

import { type Random, randomInteger } from './random.js';

const ROW_ID_MAX = 150;
const MAIN_TABLES = ['t0', 't1', 't2', 'w0'];
const AUX_TABLES = ['aux.u0', 'aux.u1'];
const SAVEPOINTS = ['s0', 's1'];

export interface Mood {
  readonly inTransaction: boolean;
  /** Nothing may need a rollback. */
  readonly careful: boolean;
  /** A cursor of the connection is open. */
  readonly reading: boolean;
}

export class RandomSql {
  readonly #random: Random;
  readonly #pageBytes: number;

  constructor(random: Random, pageBytes: number) {
    this.#random = random;
    this.#pageBytes = pageBytes;
  }

  /** What every run starts with. */
  static schema(): string[] {
    return [...MAIN_TABLES, ...AUX_TABLES].map(createTable);
  }

  /** Any statement that does not begin or end a transaction. */
  statement(mood: Mood): string {
    const kind = this.#random();
    if (kind < 0.3) return this.insert(this.#table(), mood.careful);
    if (kind < 0.45) return this.#insertMany(mood.careful);
    if (kind < 0.6) return this.#update(mood.careful);
    if (kind < 0.7) return this.#delete();
    if (kind < 0.85) return this.select();
    if (kind < 0.93) return this.#define(mood);
    return this.#savepoint(mood);
  }

  insert(table = this.#table(), careful = false): string {
    const verb = careful || this.chance(0.7) ? 'INSERT OR REPLACE' : 'INSERT';
    const id = this.integer(1, ROW_ID_MAX);
    return `${verb} INTO ${table}(id, a, b, c) VALUES(${id}, ${this.integer(0, 50)}, ${this.#text()}, ${this.#blob()})`;
  }

  /** Rows of more than `bytes` in all: more than a small cache holds. */
  insertBytes(bytes: number): string {
    const rowBytes = Math.max(200, Math.ceil(bytes / ROW_ID_MAX));
    const count = Math.ceil(bytes / rowBytes);
    return `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${count})
      INSERT OR REPLACE INTO t0(id, a, b, c) SELECT i, 1000 + i, 'bulk', noise(i + ${this.integer(0, 1e6)}, ${rowBytes}) FROM n`;
  }

  select(): string {
    const table = this.#table();
    switch (this.integer(0, 4)) {
      case 0:
        return `SELECT id, a, b, hex(substr(c, 1, 8)), length(c) FROM ${table} ORDER BY id LIMIT 20`;
      case 1:
        return `SELECT count(*), sum(a), sum(length(c)) FROM ${table} WHERE a > ${this.integer(0, 40)}`;
      case 2:
        return `SELECT a, count(*), min(b) FROM ${table} GROUP BY a ORDER BY a`;
      case 3:
        return `SELECT x.id, y.id FROM ${table} x JOIN ${this.#table()} y ON x.a = y.a ORDER BY 1, 2 LIMIT 30`;
      default:
        return `SELECT * FROM ${table} WHERE id = ${this.integer(1, ROW_ID_MAX)}`;
    }
  }

  /** A statement whose rows are fetched over time. */
  cursorStatement(readOnly: boolean): string {
    const table = this.#table();
    if (!readOnly && this.chance(0.2)) {
      return `UPDATE OR REPLACE ${table} SET a = a + 1 WHERE id < 30 RETURNING id, a`;
    }
    return this.chance(0.5)
      ? `SELECT id, a, b, length(c) FROM ${table} ORDER BY id`
      : `SELECT a, id FROM ${table} ORDER BY a, id`;
  }

  chance(probability: number): boolean {
    return this.#random() < probability;
  }

  integer(low: number, high: number): number {
    return randomInteger(this.#random, low, high);
  }

  pick<T>(values: readonly T[]): T {
    return values[this.integer(0, values.length - 1)]!;
  }

  #insertMany(careful: boolean): string {
    const first = this.integer(1, ROW_ID_MAX - 30);
    const verb = careful || this.chance(0.6) ? 'INSERT OR REPLACE' : 'INSERT';
    return `WITH RECURSIVE n(i) AS (SELECT ${first} UNION ALL SELECT i + 1 FROM n WHERE i < ${first + this.integer(2, 30)})
      ${verb} INTO ${this.#table()}(id, a, b, c)
      SELECT i, (i * ${this.integer(1, 97)}) % 51, ${this.#text()} || i, noise(i, ${this.integer(0, 300)}) FROM n`;
  }

  #update(careful: boolean): string {
    const verb = careful || this.chance(0.6) ? 'UPDATE OR REPLACE' : 'UPDATE';
    const from = this.integer(1, ROW_ID_MAX);
    const set = this.pick([
      `a = a + ${this.integer(-3, 3)}`,
      `b = ${this.#text()}`,
      `c = ${this.#blob()}`,
      'id = id + 1',
    ]);
    return `${verb} ${this.#table()} SET ${set} WHERE id BETWEEN ${from} AND ${from + this.integer(0, 20)} AND id < ${ROW_ID_MAX}`;
  }

  #delete(): string {
    const from = this.integer(1, ROW_ID_MAX);
    return `DELETE FROM ${this.#table()} WHERE id BETWEEN ${from} AND ${from + this.integer(0, 30)}`;
  }

  #define({ careful, reading }: Mood): string {
    if (careful && reading) return this.select();
    const table = this.#table();
    const index = `i${this.integer(0, 3)}`;
    const [schema, name] = table.includes('.') ? ['aux.', table.slice(4)] : ['', table];
    switch (this.integer(0, careful ? 4 : 6)) {
      case 0:
        return `CREATE INDEX IF NOT EXISTS ${schema}${index} ON ${name}(a, b)`;
      case 1:
        return reading ? this.select() : `DROP INDEX IF EXISTS ${schema}${index}`;
      case 2:
        return reading ? this.select() : `DROP TABLE IF EXISTS ${table}`;
      case 3:
      case 4:
        return createTable(table);
      case 5:
        return `CREATE UNIQUE INDEX ${schema}${index} ON ${name}(a, id % 3)`;
      default:
        return `ALTER TABLE ${table} ADD COLUMN d${this.integer(0, 1)} DEFAULT ${this.integer(0, 9)}`;
    }
  }

  #savepoint({ inTransaction, careful }: Mood): string {
    if (!inTransaction) return this.select();
    const name = this.pick(SAVEPOINTS);
    const verbs = careful
      ? ['SAVEPOINT', 'RELEASE']
      : ['SAVEPOINT', 'SAVEPOINT', 'ROLLBACK TO', 'ROLLBACK TO', 'RELEASE'];
    return `${this.pick(verbs)} ${name}`;
  }

  #table(): string {
    return this.pick(this.chance(0.75) ? MAIN_TABLES : AUX_TABLES);
  }

  #text(): string {
    return `hex(noise(${this.integer(0, 1e6)}, ${this.integer(0, 40)}))`;
  }

  /** Mostly small; now and then on overflow pages. */
  #blob(): string {
    const length = this.chance(0.93) ? this.integer(0, 400) : this.integer(0, 2 * this.#pageBytes);
    return `noise(${this.integer(0, 1e6)}, ${length})`;
  }
}

function createTable(table: string): string {
  const suffix = table.startsWith('w') ? ' WITHOUT ROWID' : '';
  return `CREATE TABLE IF NOT EXISTS ${table}(id INTEGER PRIMARY KEY, a INTEGER, b TEXT, c BLOB)${suffix}`;
}
