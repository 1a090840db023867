// A random run over mounted and plain twins, in blocks of BLOCK_STEPS statements.
//
// Where the mount rightly differs from a local file, the run keeps to what must be equal:
// - Readers and writers of different connections block each other locally and not in the mount: at most one connection at
//   a time is active (lockstep.ts). The others then only try BEGIN IMMEDIATE, which must be refused by both sides or by
//   neither. Old snapshots are read from a copy (twins.ts).
// - journal_mode=WAL answers wal in the mount, which goes on without a write-ahead log: the plain side is not asked.
// - With journal_mode=OFF nothing is rolled back: SQLite would corrupt the plain file.
// - SQLite itself corrupts a database, a plain one too, when synchronous goes from OFF to anything else while a statement
//   of an implicit transaction is still writing, and that transaction is then rolled back: it takes pages that it has
//   spilled for pages that it has not. It is changed only while no statement is open.
// - A DROP that SQLite refuses with SQLITE_LOCKED, because a statement is reading, leaves the connection with a schema cookie
//   that the file does not have. When another connection gets there, the first one goes on with its old schema, and
//   may corrupt the file, a plain one too. Nothing is dropped while a statement is open.
// - A commit that the mount answers with an injected error is rolled back explicitly on the plain side.

import assert from 'node:assert/strict';
import { type Counts, Episodes } from './differential-episodes.js';
import { type Connection, JOURNAL_MODES, type JournalMode, Lockstep, SYNCHRONOUS } from './lockstep.js';
import type { FaultMount } from './mounted.js';
import { type Random, randomInteger } from './random.js';
import { RandomSql } from './random-sql.js';
import type { Twins } from './twins.js';

export const BLOCK_STEPS = 100;
const READER_STEPS = 25;

export class Differential {
  readonly #lockstep: Lockstep;
  readonly #episodes: Episodes;
  readonly #random: Random;
  readonly #pageBytes: number;
  #readerSteps = 0;

  constructor(twins: Twins, mount: FaultMount, random: Random, mode: JournalMode, pageBytes: number) {
    this.#lockstep = new Lockstep(twins, new RandomSql(random, pageBytes), mode);
    this.#episodes = new Episodes(this.#lockstep, mount, pageBytes);
    this.#random = random;
    this.#pageBytes = pageBytes;
  }

  get counts(): Readonly<Counts> {
    return this.#episodes.counts;
  }

  async prepare(): Promise<void> {
    const lockstep = this.#lockstep;
    const [first] = lockstep.connections;
    for (const schema of ['main', 'aux']) await lockstep.exec(first!, `PRAGMA ${schema}.page_size=${this.#pageBytes}`);
    for (const sql of RandomSql.schema()) await lockstep.exec(first!, sql);
    for (const connection of lockstep.connections) await lockstep.configure(connection);
  }

  /** One block: random steps, and at random places in it each of the episodes. Nothing is open afterwards. */
  async block(): Promise<void> {
    const episodes = this.#episodes.all();
    const places = episodes.map(() => randomInteger(this.#random, 0, BLOCK_STEPS - 1));
    for (let step = 0; step < BLOCK_STEPS; step += 1) {
      for (const [index, episode] of episodes.entries()) {
        if (places[index] !== step) continue;
        await this.#lockstep.settle();
        await episode();
      }
      await this.#step();
    }
    await this.#lockstep.settle();
  }

  async #step(): Promise<void> {
    await this.#moveReader();
    const { sql, active } = this.#lockstep;
    if (active !== undefined && sql.chance(0.1)) return this.#probe(active);
    const connection = active ?? this.#lockstep.anyConnection();
    const kind = this.#random();
    if (connection.cursors.size > 0 && kind < 0.3) return this.#useCursor(connection);
    if (kind < 0.36) return this.#lockstep.openCursor(connection);
    if (kind < 0.5) return this.#beginOrEnd(connection);
    if (kind < 0.58) return this.#pragma(connection);
    if (kind < 0.6 && active === undefined) return this.#disturb(connection);
    if (kind < 0.63) return this.#exclusive(connection);
    await this.#lockstep.exec(connection, sql.statement(this.#lockstep.mood(connection)));
  }

  async #beginOrEnd(connection: Connection): Promise<void> {
    const beginnings = ['BEGIN', 'BEGIN IMMEDIATE', 'BEGIN EXCLUSIVE', 'SAVEPOINT s0'];
    const ending = this.#lockstep.ending(connection);
    await this.#lockstep.exec(connection, connection.inTransaction ? ending : this.#lockstep.sql.pick(beginnings));
  }

  /** Another connection wants to write. */
  async #probe(active: Connection): Promise<void> {
    const others = this.#lockstep.connections.filter((connection) => connection !== active);
    const other = this.#lockstep.sql.pick(others);
    const outcome = await this.#lockstep.exec(other, 'BEGIN IMMEDIATE');
    // Even an empty COMMIT would wait for the readers locally.
    if ('rows' in outcome) await this.#lockstep.exec(other, 'ROLLBACK');
    else assert.equal(outcome.error, 'SQLITE_BUSY');
  }

  async #useCursor(connection: Connection): Promise<void> {
    const { sql, twins } = this.#lockstep;
    const cursor = sql.pick([...connection.cursors]);
    const outcome = await twins.fetch(connection.id, cursor, sql.integer(1, 10));
    if (sql.chance(0.6) && !('error' in outcome)) return;
    await twins.drop(connection.id, cursor);
    connection.cursors.delete(cursor);
  }

  async #pragma(connection: Connection): Promise<void> {
    const { sql, mode } = this.#lockstep;
    switch (sql.integer(0, 7)) {
      case 0:
        return this.#lockstep.setSynchronous(connection, sql.pick(SYNCHRONOUS));
      case 1:
        // Most of the time back to the mode that the run is about.
        return this.#lockstep.setJournalMode(connection, sql.chance(0.7) ? mode : sql.pick(JOURNAL_MODES));
      case 2:
        return this.#lockstep.wishForWal(connection);
      case 3:
        await this.#lockstep.exec(connection, `PRAGMA auto_vacuum=${sql.integer(0, 2)}`);
        if (!connection.inTransaction && connection.cursors.size === 0) await this.#lockstep.exec(connection, 'VACUUM');
        return;
      default: {
        const count = sql.integer(10, 200);
        const secure = sql.pick(['on', 'off', 'fast']);
        const settings = [`cache_size=${count}`, `secure_delete=${secure}`, `user_version=${count}`];
        const setting = sql.pick([...settings, `incremental_vacuum(${count})`]);
        await this.#lockstep.exec(connection, `PRAGMA ${sql.pick(['main', 'aux'])}.${setting}`);
      }
    }
  }

  /** Things that are done to a connection between its transactions, or to its process. */
  async #disturb(connection: Connection): Promise<void> {
    const { sql, twins } = this.#lockstep;
    if (connection.id !== 2 || sql.chance(0.5)) return twins.reattach(connection.id);
    // The journal of a killed process is rolled back from locally, and forgotten by the mount.
    if (connection.journalMode !== 'memory' && connection.journalMode !== 'off') {
      await this.#lockstep.exec(connection, 'BEGIN');
      for (let i = 0; i < 3; i += 1) {
        await this.#lockstep.exec(connection, sql.statement(this.#lockstep.mood(connection)));
      }
    }
    await twins.killSecondProcess();
    connection.inTransaction = false;
    await this.#lockstep.configure(connection);
  }

  async #exclusive(connection: Connection): Promise<void> {
    if (connection.inTransaction || connection.cursors.size > 0) return;
    if (connection.exclusive) return this.#lockstep.leaveExclusive(connection);
    await this.#lockstep.enterExclusive(connection);
    await this.#lockstep.exec(connection, this.#lockstep.sql.insert());
  }

  /** An old snapshot is kept for READER_STEPS while everything else goes on. */
  async #moveReader(): Promise<void> {
    const { twins, active, sql } = this.#lockstep;
    if (!twins.reading) {
      if (active !== undefined || !sql.chance(0.05)) return;
      await twins.openReader();
      this.#readerSteps = 0;
      return;
    }
    this.#readerSteps += 1;
    if (this.#readerSteps === READER_STEPS) await twins.closeReader();
    else if (this.#readerSteps % 10 === 0) await twins.checkReader();
  }
}
