// What every block of a differential run must contain: a transaction that spills, a VACUUM, a change of the page size, a
// commit that fails. Each starts with nothing open on any connection, and counts itself when it has surely happened.

import assert from 'node:assert/strict';
import { COMMIT_FAILURES, type CommitFailure } from './commit-failures.js';
import type { Connection, Lockstep } from './lockstep.js';
import type { FaultMount } from './mounted.js';
import { RandomSql } from './random-sql.js';
import type { Outcome } from './twins.js';

export const PAGE_BYTES = [512, 4096, 65536] as const;
const SMALL_CACHE_PAGES = 10;

/** Whether an unlock follows the failed commit: not while a statement reads, nor under an exclusive lock. */
export const AFTERWARDS = ['unlocked', 'reading', 'exclusive'] as const;
export type Afterwards = (typeof AFTERWARDS)[number];

export type Counts = Record<'spills' | 'vacuums' | 'pageSizes' | 'errors', number>;

export class Episodes {
  readonly #lockstep: Lockstep;
  readonly #mount: FaultMount;
  readonly #pageBytes: number;
  readonly counts: Counts = { spills: 0, vacuums: 0, pageSizes: 0, errors: 0 };

  constructor(lockstep: Lockstep, mount: FaultMount, pageBytes: number) {
    this.#lockstep = lockstep;
    this.#mount = mount;
    this.#pageBytes = pageBytes;
  }

  all(): Array<() => Promise<void>> {
    return [() => this.#spill(), () => this.#vacuum(), () => this.#changePageSize(), () => this.#failCommit()];
  }

  /** A transaction larger than the cache: pages are written before the commit, and then it ends either way. */
  async #spill(): Promise<void> {
    const { sql, twins } = this.#lockstep;
    const connection = this.#lockstep.anyConnection();
    await this.#beginLarge(connection);
    await this.#mount.only(this.#pidOf(connection));
    await this.#mount.startTrace();
    await this.#exec(connection, this.#largeInsert());
    const trace = await this.#mount.stopTrace();
    if (!trace.includes('W(db)')) throw twins.failure(`nothing was spilled: ${trace.join(' ')}`);
    for (let i = 0; i < 4; i += 1) await this.#exec(connection, sql.statement(this.#lockstep.mood(connection)));
    await this.#lockstep.settle();
    // The rest of the block need not carry all of it around.
    await this.#exec(connection, "DELETE FROM t0 WHERE b = 'bulk' AND id > 20");
    this.counts.spills += 1;
  }

  async #vacuum(): Promise<void> {
    const { sql } = this.#lockstep;
    const outcome = await this.#exec(this.#lockstep.anyConnection(), sql.pick(['VACUUM', 'VACUUM', 'VACUUM aux']));
    assert.ok('rows' in outcome, JSON.stringify(outcome));
    this.counts.vacuums += 1;
  }

  /** Another page size for a while, used by every connection, and back again. */
  async #changePageSize(): Promise<void> {
    const { sql, connections } = this.#lockstep;
    const other = sql.pick(PAGE_BYTES.filter((bytes) => bytes !== this.#pageBytes));
    // One connection changes it both times: its wish for a page size would come back with its next VACUUM.
    const connection = this.#lockstep.anyConnection();
    for (const pageBytes of [other, this.#pageBytes]) {
      await this.#exec(connection, `PRAGMA page_size=${pageBytes}`);
      await this.#exec(connection, 'VACUUM');
      assert.deepEqual(await this.#exec(connection, 'PRAGMA page_size'), { rows: [[pageBytes]] });
      for (const each of connections) await this.#exec(each, sql.insert('t1', true));
      this.counts.pageSizes += 1;
    }
  }

  async #failCommit(): Promise<void> {
    const { sql } = this.#lockstep;
    const connection = this.#lockstep.anyConnection();
    const { journalMode, synchronous } = connection;
    const failure = sql.pick(
      COMMIT_FAILURES.filter((each) => each.modes.includes(journalMode) && each.synchronous.includes(synchronous)),
    );
    await this.failCommit(connection, failure, failure.staysLocked ? sql.pick(AFTERWARDS) : 'unlocked');
  }

  /** A commit fails in the mount, and is rolled back on the plain side; the connection then goes on. */
  async failCommit(connection: Connection, failure: CommitFailure, afterwards: Afterwards): Promise<void> {
    const { sql, twins } = this.#lockstep;
    for (const statement of RandomSql.schema()) await this.#exec(connection, statement);
    if (afterwards === 'reading') await this.#lockstep.openCursor(connection, true);
    if (afterwards === 'exclusive') await this.#lockstep.enterExclusive(connection);
    await this.#failing(connection, failure);
    await this.#exec(connection, sql.insert('t1', true));
    if (sql.chance(0.5)) await this.#lockstep.settle();
    await this.#exec(connection, sql.insert('t2', true));
    await this.#lockstep.settle();
    await twins.digest(connection.id);
    this.counts.errors += 1;
  }

  async #failing(connection: Connection, failure: CommitFailure): Promise<void> {
    const { sql, twins } = this.#lockstep;
    const { id } = connection;
    // What the plain side could not roll back is done by the mounted side alone.
    const both = connection.journalMode !== 'off';
    const exec = (text: string): Promise<Outcome> =>
      both ? this.#exec(connection, text) : twins.only('mounted', id, text);
    if (failure.spills) await this.#beginLarge(connection);
    else await exec('BEGIN IMMEDIATE');
    for (const table of ['t1', 'w0', ...(failure.bothDatabases ? ['aux.u0'] : [])]) await exec(sql.insert(table, true));

    twins.note(`inject ${failure.errno} at ${failure.label} ${failure.nth}, synchronous=${connection.synchronous}`);
    await this.#mount.only(this.#pidOf(connection));
    await this.#mount.inject(failure.label, failure.nth, failure.errno);
    const outcome = await twins.only('mounted', id, failure.spills ? this.#largeInsert() : 'COMMIT');
    await this.#mount.clear();
    const error = 'error' in outcome ? outcome.error : 'no error';
    if (error !== failure.error) throw twins.failure(`${JSON.stringify(failure)} came to ${error}`);
    if (failure.spills) await this.#mustNotCommit(connection);
    if (await this.#mountedInTransaction(connection)) await twins.only('mounted', id, 'ROLLBACK');
    if (both) await twins.only('plain', id, 'ROLLBACK');
    connection.inTransaction = false;
    // A failed commit ends the statements that read, and an explicit rollback need not.
    await this.#lockstep.dropCursors(connection);
  }

  /** SQLite may keep a transaction whose statement failed; what it wrote before is lost, so its COMMIT must fail. */
  async #mustNotCommit(connection: Connection): Promise<void> {
    const { twins } = this.#lockstep;
    if (!(await this.#mountedInTransaction(connection))) return;
    const outcome = await twins.only('mounted', connection.id, 'COMMIT');
    if (!('error' in outcome)) throw twins.failure('a transaction whose pages were discarded was committed');
  }

  async #beginLarge(connection: Connection): Promise<void> {
    await this.#exec(connection, `PRAGMA cache_size=${SMALL_CACHE_PAGES}`);
    await this.#exec(connection, RandomSql.schema()[0]!);
    await this.#exec(connection, 'BEGIN');
    await this.#exec(connection, this.#lockstep.sql.insert());
  }

  #largeInsert(): string {
    return this.#lockstep.sql.insertBytes(4 * SMALL_CACHE_PAGES * this.#pageBytes);
  }

  #mountedInTransaction({ id }: Connection): Promise<boolean> {
    return this.#lockstep.twins.mounted.client(id).inTransaction(id);
  }

  /** Others may work on the same mount. */
  #pidOf({ id }: Connection): number | undefined {
    return this.#lockstep.twins.mounted.client(id).child.pid;
  }

  #exec(connection: Connection, sql: string): Promise<Outcome> {
    return this.#lockstep.exec(connection, sql);
  }
}
