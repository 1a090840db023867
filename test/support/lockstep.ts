// The connections of a differential run (differential.ts), and what state each is in: journal mode, transaction, open cursors.
//
// At most one connection at a time is active: has a transaction, an open cursor or locking_mode=EXCLUSIVE.

import assert from 'node:assert/strict';
import type { Mood, RandomSql } from './random-sql.js';
import { CONNECTIONS, type Outcome, type Twins } from './twins.js';

export const JOURNAL_MODES = ['delete', 'truncate', 'persist', 'memory', 'off'] as const;
export type JournalMode = (typeof JOURNAL_MODES)[number];
export const SYNCHRONOUS = ['off', 'normal', 'full', 'extra'] as const;
export type Synchronous = (typeof SYNCHRONOUS)[number];
/** Small enough for ordinary transactions to spill now and then; the spill episodes use less. */
const CACHE_PAGES = 30;

export interface Connection {
  readonly id: number;
  journalMode: JournalMode;
  synchronous: Synchronous;
  exclusive: boolean;
  inTransaction: boolean;
  readonly cursors: Set<string>;
}

export class Lockstep {
  readonly twins: Twins;
  readonly sql: RandomSql;
  /** The journal mode that the run is about. */
  readonly mode: JournalMode;
  readonly connections: readonly Connection[];
  #names = 0;

  constructor(twins: Twins, sql: RandomSql, mode: JournalMode) {
    this.twins = twins;
    this.sql = sql;
    this.mode = mode;
    const state = { journalMode: 'delete', synchronous: 'full', exclusive: false, inTransaction: false } as const;
    this.connections = Array.from({ length: CONNECTIONS }, (_, id) => ({ id, ...state, cursors: new Set<string>() }));
  }

  get active(): Connection | undefined {
    return this.connections.find((c) => c.inTransaction || c.exclusive || c.cursors.size > 0);
  }

  anyConnection(): Connection {
    return this.sql.pick(this.connections);
  }

  mood({ inTransaction, journalMode, cursors }: Connection): Mood {
    return { inTransaction, careful: journalMode === 'off', reading: cursors.size > 0 };
  }

  async exec(connection: Connection, sql: string): Promise<Outcome> {
    const outcome = await this.twins.exec(connection.id, sql);
    if (/^(BEGIN|COMMIT|ROLLBACK|SAVEPOINT|RELEASE)/.test(sql) || 'error' in outcome) {
      connection.inTransaction = await this.twins.inTransaction(connection.id);
    }
    return outcome;
  }

  /** How its transaction may end. */
  ending(connection: Connection): string {
    return connection.journalMode === 'off' || this.sql.chance(0.65) ? 'COMMIT' : 'ROLLBACK';
  }

  /** Ends whatever is open on every connection. */
  async settle(): Promise<void> {
    for (const connection of this.connections) {
      await this.dropCursors(connection);
      connection.inTransaction = await this.twins.inTransaction(connection.id);
      if (connection.inTransaction) await this.exec(connection, this.ending(connection));
      if (connection.exclusive) await this.leaveExclusive(connection);
    }
  }

  // --- cursors

  async openCursor(connection: Connection, readOnly = connection.journalMode === 'off'): Promise<void> {
    this.#names += 1;
    const name = `cursor${this.#names}`;
    const outcome = await this.twins.cursor(connection.id, this.sql.cursorStatement(readOnly), name);
    if ('rows' in outcome) connection.cursors.add(name);
  }

  async dropCursors(connection: Connection): Promise<void> {
    for (const cursor of connection.cursors) await this.twins.drop(connection.id, cursor);
    connection.cursors.clear();
  }

  // --- settings

  /** A connection as every run starts with it. */
  async configure(connection: Connection): Promise<void> {
    connection.synchronous = 'full';
    await this.setJournalMode(connection, this.mode);
    await this.exec(connection, `PRAGMA cache_size=${CACHE_PAGES}`);
  }

  /** Not while a statement may be writing: see differential.ts. */
  async setSynchronous(connection: Connection, synchronous: Synchronous): Promise<void> {
    if (connection.inTransaction || connection.cursors.size > 0) return;
    for (const schema of ['main', 'aux']) await this.exec(connection, `PRAGMA ${schema}.synchronous=${synchronous}`);
    connection.synchronous = synchronous;
  }

  async setJournalMode(connection: Connection, mode: JournalMode): Promise<void> {
    if (connection.inTransaction || connection.exclusive || connection.cursors.size > 0) return;
    const outcome = await this.exec(connection, `PRAGMA journal_mode=${mode}`);
    assert.deepEqual(outcome, { rows: [[mode]] });
    connection.journalMode = mode;
  }

  /** The mount says that there is a write-ahead log and goes on without; the plain side is not asked for one. */
  async wishForWal(connection: Connection): Promise<void> {
    if (this.active !== undefined) return;
    assert.deepEqual(await this.twins.only('mounted', connection.id, 'PRAGMA journal_mode=WAL'), { rows: [['wal']] });
    await this.twins.only('plain', connection.id, 'PRAGMA journal_mode=DELETE');
    await this.exec(connection, this.sql.insert());
    await this.setJournalMode(connection, this.mode);
  }

  async enterExclusive(connection: Connection): Promise<void> {
    connection.exclusive = true;
    await this.exec(connection, 'PRAGMA locking_mode=EXCLUSIVE');
  }

  async leaveExclusive(connection: Connection): Promise<void> {
    await this.exec(connection, 'PRAGMA locking_mode=NORMAL');
    // The lock is given back by the next statement that reads.
    for (const schema of ['main', 'aux']) await this.exec(connection, `SELECT count(*) FROM ${schema}.sqlite_schema`);
    connection.exclusive = false;
  }
}
