// A random run over mounted and plain twins, in blocks of BLOCK_STEPS statements.
//
// Where the mount rightly differs from a local file, the run keeps to what must be equal:
// - Readers and writers of different connections block each other locally and not in the mount: at most one connection at a
//   time has a transaction, an open cursor or locking_mode=EXCLUSIVE. The others then only try BEGIN IMMEDIATE, which
//   must be refused by both sides or by neither. Old snapshots are read from a copy (twins.ts).
// - journal_mode=WAL answers wal in the mount, which goes on without a write-ahead log: the plain side is not asked.
// - With journal_mode=OFF nothing is rolled back: SQLite would corrupt the plain file.
// - A commit that the mount answers with an injected error is rolled back explicitly on the plain side.

import assert from 'node:assert/strict';
import { COMMIT_FAILURES, type CommitFailure } from './commit-failures.js';
import type { FaultMount } from './mounted.js';
import { type Random, randomInteger } from './random.js';
import { RandomSql } from './random-sql.js';
import { CONNECTIONS, type Outcome, type Twins } from './twins.js';

export const BLOCK_STEPS = 100;
export const PAGE_BYTES = [512, 4096, 65536] as const;
export const JOURNAL_MODES = ['delete', 'truncate', 'persist', 'memory', 'off'] as const;
export type JournalMode = (typeof JOURNAL_MODES)[number];

const CACHE_PAGES = 10;
const READER_STEPS = 25;
const SYNCHRONOUS = ['off', 'normal', 'full', 'extra'] as const;

interface Connection {
  readonly id: number;
  journalMode: JournalMode;
  synchronous: (typeof SYNCHRONOUS)[number];
  exclusive: boolean;
  inTransaction: boolean;
  readonly cursors: Set<string>;
}

export type Counts = Record<'spills' | 'vacuums' | 'pageSizes' | 'errors', number>;

export class Differential {
  readonly #twins: Twins;
  readonly #mount: FaultMount;
  readonly #random: Random;
  readonly #sql: RandomSql;
  readonly #mode: JournalMode;
  readonly #pageBytes: number;
  readonly #connections: Connection[] = [];
  readonly counts: Counts = { spills: 0, vacuums: 0, pageSizes: 0, errors: 0 };
  #readerSteps = 0;
  #names = 0;

  constructor(twins: Twins, mount: FaultMount, random: Random, mode: JournalMode, pageBytes: number) {
    this.#twins = twins;
    this.#mount = mount;
    this.#random = random;
    this.#sql = new RandomSql(random, pageBytes);
    this.#mode = mode;
    this.#pageBytes = pageBytes;
    for (let id = 0; id < CONNECTIONS; id += 1) {
      const state = { journalMode: 'delete', synchronous: 'full', exclusive: false, inTransaction: false } as const;
      this.#connections.push({ id, ...state, cursors: new Set() });
    }
  }

  async prepare(): Promise<void> {
    const [first] = this.#connections;
    for (const schema of ['main', 'aux']) await this.#exec(first!, `PRAGMA ${schema}.page_size=${this.#pageBytes}`);
    for (const sql of RandomSql.schema()) await this.#exec(first!, sql);
    for (const connection of this.#connections) await this.#configure(connection);
  }

  /** One block: random steps, and at random places in it each of the episodes that must not be missing. */
  async block(): Promise<void> {
    const episodes = [
      () => this.#spill(),
      () => this.#vacuum(),
      () => this.#changePageSize(),
      () => this.#failCommit(),
    ];
    const at = new Map(episodes.map((episode) => [randomInteger(this.#random, 0, BLOCK_STEPS - 1), episode]));
    const missed = episodes.filter((episode) => ![...at.values()].includes(episode));
    for (let step = 0; step < BLOCK_STEPS; step += 1) {
      const episode = at.get(step);
      if (episode !== undefined) await this.#alone(episode);
      await this.#step();
    }
    for (const episode of missed) await this.#alone(episode);
  }

  /** Ends whatever is open on every connection. */
  async settle(): Promise<void> {
    for (const connection of this.#connections) {
      for (const cursor of connection.cursors) await this.#twins.drop(connection.id, cursor);
      connection.cursors.clear();
      connection.inTransaction = await this.#twins.inTransaction(connection.id);
      if (connection.inTransaction) await this.#exec(connection, this.#end(connection));
      if (connection.exclusive) await this.#leaveExclusive(connection);
    }
  }

  // --- one step

  async #step(): Promise<void> {
    await this.#moveReader();
    const active = this.#connections.find((c) => c.inTransaction || c.exclusive || c.cursors.size > 0);
    if (active !== undefined && this.#sql.chance(0.1)) return this.#probe(active);
    const connection = active ?? this.#sql.pick(this.#connections);
    const kind = this.#random();
    if (connection.cursors.size > 0 && kind < 0.3) return this.#useCursor(connection);
    if (kind < 0.36) return this.#openCursor(connection);
    if (kind < 0.5) return connection.inTransaction ? this.#endTransaction(connection) : this.#begin(connection);
    if (kind < 0.58) return this.#pragma(connection);
    if (kind < 0.6 && active === undefined) return this.#disturb(connection);
    if (kind < 0.62) return this.#leaveOrEnterExclusive(connection, active);
    await this.#exec(connection, this.#sql.statement(this.#mood(connection)));
  }

  async #begin(connection: Connection): Promise<void> {
    await this.#exec(connection, this.#sql.pick(['BEGIN', 'BEGIN IMMEDIATE', 'BEGIN EXCLUSIVE', 'SAVEPOINT s0']));
  }

  async #endTransaction(connection: Connection): Promise<void> {
    await this.#exec(connection, this.#end(connection));
  }

  #end(connection: Connection): string {
    return connection.journalMode === 'off' || this.#sql.chance(0.65) ? 'COMMIT' : 'ROLLBACK';
  }

  /** Another connection wants to write. */
  async #probe(active: Connection): Promise<void> {
    const others = this.#connections.filter((connection) => connection !== active);
    const other = this.#sql.pick(others);
    const outcome = await this.#exec(other, 'BEGIN IMMEDIATE');
    // Even an empty COMMIT would wait for the readers locally.
    if ('rows' in outcome) await this.#exec(other, 'ROLLBACK');
    else assert.equal(outcome.error, 'SQLITE_BUSY');
  }

  async #openCursor(connection: Connection, readOnly = connection.journalMode === 'off'): Promise<void> {
    this.#names += 1;
    const name = `cursor${this.#names}`;
    const sql = this.#sql.cursorStatement(readOnly);
    if ('rows' in (await this.#twins.cursor(connection.id, sql, name))) connection.cursors.add(name);
  }

  async #useCursor(connection: Connection): Promise<void> {
    const cursor = this.#sql.pick([...connection.cursors]);
    const outcome = await this.#twins.fetch(connection.id, cursor, this.#sql.integer(1, 10));
    if (this.#sql.chance(0.6) && !('error' in outcome)) return;
    await this.#twins.drop(connection.id, cursor);
    connection.cursors.delete(cursor);
  }

  async #pragma(connection: Connection): Promise<void> {
    const pick = this.#sql.integer(0, 7);
    if (pick === 0) return this.#setSynchronous(connection, this.#sql.pick(SYNCHRONOUS));
    if (pick === 1) return this.#setJournalMode(connection, this.#sql.pick(JOURNAL_MODES));
    if (pick === 2) return this.#wishForWal(connection);
    if (pick === 3) {
      await this.#exec(connection, `PRAGMA auto_vacuum=${this.#sql.integer(0, 2)}`);
      if (!connection.inTransaction && connection.cursors.size === 0) await this.#exec(connection, 'VACUUM');
      return;
    }
    const [schema, count] = [this.#sql.pick(['main', 'aux']), this.#sql.integer(CACHE_PAGES, 200)];
    const others = [
      `PRAGMA ${schema}.cache_size=${count}`,
      `PRAGMA ${schema}.secure_delete=${this.#sql.pick(['on', 'off', 'fast'])}`,
      `PRAGMA ${schema}.incremental_vacuum(${count})`,
      `PRAGMA ${schema}.user_version=${count}`,
    ];
    await this.#exec(connection, others[pick - 4]!);
  }

  /** Things that are done to a connection between its transactions. */
  async #disturb(connection: Connection): Promise<void> {
    if (connection.id !== 2 || this.#sql.chance(0.7)) return this.#twins.reattach(connection.id);
    // The journal of a killed process is rolled back from locally, and forgotten by the mount.
    if (connection.journalMode !== 'memory' && connection.journalMode !== 'off') {
      await this.#exec(connection, 'BEGIN');
      for (let i = 0; i < 3; i += 1) await this.#exec(connection, this.#sql.statement(this.#mood(connection)));
    }
    await this.#twins.killSecondProcess();
    connection.inTransaction = false;
    await this.#configure(connection);
  }

  async #leaveOrEnterExclusive(connection: Connection, active: Connection | undefined): Promise<void> {
    if (connection.exclusive && !connection.inTransaction && connection.cursors.size === 0) {
      await this.#leaveExclusive(connection);
    } else if (active === undefined) {
      connection.exclusive = true;
      await this.#exec(connection, 'PRAGMA locking_mode=EXCLUSIVE');
      await this.#exec(connection, this.#sql.insert());
    }
  }

  async #leaveExclusive(connection: Connection): Promise<void> {
    await this.#exec(connection, 'PRAGMA locking_mode=NORMAL');
    // The lock is given back by the next statement that reads.
    for (const schema of ['main', 'aux']) await this.#exec(connection, `SELECT count(*) FROM ${schema}.sqlite_schema`);
    connection.exclusive = false;
  }

  /** An old snapshot is kept for READER_STEPS while everything else goes on. */
  async #moveReader(): Promise<void> {
    if (!this.#twins.reading) {
      if (!this.#idle() || !this.#sql.chance(0.05)) return;
      await this.#twins.openReader();
      this.#readerSteps = 0;
      return;
    }
    this.#readerSteps += 1;
    if (this.#readerSteps === READER_STEPS) await this.#twins.closeReader();
    else if (this.#readerSteps % 10 === 0) await this.#twins.checkReader();
  }

  // --- episodes

  async #alone(episode: () => Promise<void>): Promise<void> {
    await this.settle();
    await episode();
  }

  /** A transaction larger than the cache: pages are written before the commit, and then it ends either way. */
  async #spill(): Promise<void> {
    const connection = this.#sql.pick(this.#connections);
    await this.#exec(connection, `PRAGMA cache_size=${CACHE_PAGES}`);
    await this.#exec(connection, RandomSql.schema()[0]!);
    await this.#exec(connection, 'BEGIN');
    await this.#exec(connection, this.#sql.insert());
    await this.#mount.startTrace();
    await this.#exec(connection, this.#sql.insertBytes(4 * CACHE_PAGES * this.#pageBytes));
    const trace = await this.#mount.stopTrace();
    if (!trace.includes('W(db)')) throw this.#twins.failure(`nothing was spilled: ${trace.join(' ')}`);
    for (let i = 0; i < 4; i += 1) await this.#exec(connection, this.#sql.statement(this.#mood(connection)));
    await this.#exec(connection, this.#end(connection));
    // The rest of the block need not carry all of it around.
    await this.settle();
    await this.#exec(connection, "DELETE FROM t0 WHERE b = 'bulk' AND id > 20");
    this.counts.spills += 1;
  }

  async #vacuum(): Promise<void> {
    const outcome = await this.#exec(
      this.#sql.pick(this.#connections),
      this.#sql.pick(['VACUUM', 'VACUUM', 'VACUUM aux']),
    );
    assert.ok('rows' in outcome, JSON.stringify(outcome));
    this.counts.vacuums += 1;
  }

  /** Another page size for a while, used by every connection, and back again. */
  async #changePageSize(): Promise<void> {
    const other = this.#sql.pick(PAGE_BYTES.filter((bytes) => bytes !== this.#pageBytes));
    // One connection changes it both times: its wish for a page size would come back with its next VACUUM.
    const connection = this.#sql.pick(this.#connections);
    for (const pageBytes of [other, this.#pageBytes]) {
      await this.#exec(connection, `PRAGMA page_size=${pageBytes}`);
      await this.#exec(connection, 'VACUUM');
      assert.deepEqual(await this.#exec(connection, 'PRAGMA page_size'), { rows: [[pageBytes]] });
      for (const each of this.#connections) await this.#exec(each, this.#sql.insert('t1', true));
      this.counts.pageSizes += 1;
    }
  }

  /** A commit fails in the mount, and is rolled back on the plain side; the connection then goes on. */
  async #failCommit(): Promise<void> {
    const connection = this.#sql.pick(this.#connections);
    const { journalMode, synchronous } = connection;
    const candidates = COMMIT_FAILURES.filter(
      (each) => each.modes.includes(journalMode) && each.synchronous.includes(synchronous),
    );
    const failure = this.#sql.pick(candidates);
    for (const sql of RandomSql.schema()) await this.#exec(connection, sql);
    if (failure.staysLocked) await this.#stayLocked(connection);
    await this.#failing(connection, failure);
    await this.#exec(connection, this.#sql.insert('t1', true));
    if (this.#sql.chance(0.5)) await this.settle();
    await this.#exec(connection, this.#sql.insert('t2', true));
    await this.settle();
    await this.#twins.digest(connection.id);
    this.counts.errors += 1;
  }

  /** So that no unlock follows the failed commit. */
  async #stayLocked(connection: Connection): Promise<void> {
    if (this.#sql.chance(0.4)) await this.#openCursor(connection, true);
    else if (this.#sql.chance(0.4)) {
      connection.exclusive = true;
      await this.#exec(connection, 'PRAGMA locking_mode=EXCLUSIVE');
    }
  }

  async #failing(connection: Connection, failure: CommitFailure): Promise<void> {
    const statements = [this.#sql.insert('t1', true), this.#sql.insert('w0', true)];
    if (failure.bothDatabases) statements.push(this.#sql.insert('aux.u0', true));
    // What the plain side could not roll back is done by the mounted side alone.
    const both = connection.journalMode !== 'off';
    const exec = (sql: string): Promise<Outcome> =>
      both ? this.#exec(connection, sql) : this.#twins.only('mounted', connection.id, sql);
    await exec('BEGIN IMMEDIATE');
    for (const sql of statements) await exec(sql);
    this.#twins.note(
      `inject ${failure.errno} at ${failure.label} ${failure.nth}, synchronous=${connection.synchronous}`,
    );
    await this.#mount.inject(failure.label, failure.nth, failure.errno);
    const outcome = await this.#twins.only('mounted', connection.id, 'COMMIT');
    await this.#mount.clear();
    const error = 'error' in outcome ? outcome.error : 'no error';
    if (error !== failure.error) throw this.#twins.failure(`${JSON.stringify(failure)} came to ${error}`);
    if (await this.#stillInTransaction(connection)) await this.#twins.only('mounted', connection.id, 'ROLLBACK');
    if (both) await this.#twins.only('plain', connection.id, 'ROLLBACK');
    connection.inTransaction = false;
    // A failed commit ends the statements that read, and an explicit rollback need not.
    for (const cursor of connection.cursors) await this.#twins.drop(connection.id, cursor);
    connection.cursors.clear();
  }

  async #stillInTransaction({ id }: Connection): Promise<boolean> {
    return this.#twins.mounted.client(id).inTransaction(id);
  }

  // --- statements

  async #configure(connection: Connection): Promise<void> {
    connection.synchronous = 'full';
    await this.#setJournalMode(connection, this.#mode);
    await this.#exec(connection, `PRAGMA cache_size=${CACHE_PAGES * 3}`);
  }

  async #setSynchronous(connection: Connection, synchronous: Connection['synchronous']): Promise<void> {
    if (connection.inTransaction) return;
    for (const schema of ['main', 'aux']) await this.#exec(connection, `PRAGMA ${schema}.synchronous=${synchronous}`);
    connection.synchronous = synchronous;
  }

  /** Most of the time back to the mode that the run is about. */
  async #setJournalMode(connection: Connection, wanted: JournalMode): Promise<void> {
    if (connection.inTransaction || connection.exclusive || connection.cursors.size > 0) return;
    const mode = this.#sql.chance(0.7) ? this.#mode : wanted;
    const outcome = await this.#exec(connection, `PRAGMA journal_mode=${mode}`);
    assert.deepEqual(outcome, { rows: [[mode]] });
    connection.journalMode = mode;
  }

  async #wishForWal(connection: Connection): Promise<void> {
    if (!this.#idle()) return;
    assert.deepEqual(await this.#twins.only('mounted', connection.id, 'PRAGMA journal_mode=WAL'), { rows: [['wal']] });
    await this.#twins.only('plain', connection.id, 'PRAGMA journal_mode=DELETE');
    await this.#exec(connection, this.#sql.insert());
    await this.#exec(connection, `PRAGMA journal_mode=${this.#mode}`);
    connection.journalMode = this.#mode;
  }

  #idle(): boolean {
    return this.#connections.every((c) => !c.inTransaction && !c.exclusive && c.cursors.size === 0);
  }

  #mood(connection: Connection): { inTransaction: boolean; careful: boolean; reading: boolean } {
    const { inTransaction, cursors } = connection;
    return { inTransaction, careful: connection.journalMode === 'off', reading: cursors.size > 0 };
  }

  async #exec(connection: Connection, sql: string): Promise<Outcome> {
    const outcome = await this.#twins.exec(connection.id, sql);
    if (/^(BEGIN|COMMIT|ROLLBACK|SAVEPOINT|RELEASE)/.test(sql) || 'error' in outcome) {
      connection.inTransaction = await this.#twins.inTransaction(connection.id);
    }
    return outcome;
  }
}
