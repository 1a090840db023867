// Many commits in one SQLite transaction and one fsync. Runs in the writer's thread, on the only writing
// connection, which makes this the place where commits are ordered, checked and given their versions.
//
// Each member has a savepoint of its own: one that conflicts or fails does not fail the others. An error
// of the disk fails the whole group; unless it says that space ran out, the store is finished with it,
// since after a failed fsync nobody knows what the disk holds (https://sqlite.org/atomiccommit.html).

import type Database from 'better-sqlite3';
import { type ErrorCode, MvfuseError } from '../../errors.js';
import { KV_CONFLICT_LOG_WRITES_MAX } from '../../limits.js';
import { ConflictLog } from '../conflict-log.js';
import type { PendingCommit } from '../embedded-engine.js';
import { resolveMutation } from '../mutation.js';
import { counterToBytes, nextCounter } from '../versionstamp.js';
import { PairWriter } from './pair-writer.js';
import { isPassing, toStoreError } from './sqlite-error.js';

export type CommitOutcome =
  | { readonly counter: number }
  | { readonly conflict: true }
  | { readonly error: { readonly code: ErrorCode; readonly message: string } };

export interface GroupOutcome {
  /** One for each member, in order. */
  readonly outcomes: CommitOutcome[];
  /** Set when the store must not be used any more. */
  readonly fatal: boolean;
}

export class GroupCommitter {
  readonly #db: Database.Database;
  readonly #pairs: PairWriter;
  readonly #log: ConflictLog;
  readonly #setCounter: Database.Statement;
  readonly #statements: Record<'begin' | 'commit' | 'savepoint' | 'release' | 'rollbackTo', Database.Statement>;
  /** As openForWriting leaves it. */
  #syncsEachCommit = true;
  /** Of the newest commit. */
  #committedCounter: number;
  /** The last one issued; a group that failed leaves a gap. */
  #lastCounter: number;
  #failure: MvfuseError | undefined;

  constructor(db: Database.Database) {
    this.#db = db;
    this.#pairs = new PairWriter(db);
    this.#setCounter = db.prepare('UPDATE meta SET counter = ?');
    this.#statements = {
      begin: db.prepare('BEGIN IMMEDIATE'),
      commit: db.prepare('COMMIT'),
      savepoint: db.prepare('SAVEPOINT member'),
      release: db.prepare('RELEASE member'),
      rollbackTo: db.prepare('ROLLBACK TO member'),
    };
    this.#committedCounter = db.prepare('SELECT counter FROM meta').pluck().get() as number;
    this.#lastCounter = this.#committedCounter;
    this.#log = new ConflictLog(this.#committedCounter, KV_CONFLICT_LOG_WRITES_MAX);
  }

  /** When this returns, every member that has a counter is committed, and durable if one of them asked for it. */
  commit(members: readonly PendingCommit[]): GroupOutcome {
    try {
      if (this.#failure !== undefined) throw this.#failure;
      this.#syncEachCommit(members.some(({ durable }) => durable));
      this.#statements.begin.run();
      const outcomes = members.map((member) => this.#applyMember(member));
      this.#finish(outcomes);
      return { outcomes, fatal: false };
    } catch (cause) {
      return this.#fail(members.length, toStoreError(cause, 'committing to the store failed'));
    }
  }

  /** The log is synced as a whole, so the next durable commit makes durable what was written before it. */
  #syncEachCommit(wanted: boolean): void {
    if (wanted === this.#syncsEachCommit) return;
    this.#db.pragma(`synchronous = ${wanted ? 'FULL' : 'NORMAL'}`);
    this.#syncsEachCommit = wanted;
  }

  #applyMember(member: PendingCommit): CommitOutcome {
    if (member.readCounter !== undefined && this.#log.conflicts(member.readCounter, member.reads))
      return { conflict: true };
    const counter = nextCounter(this.#lastCounter, member.clockMs);
    const version = counterToBytes(counter);
    const mutations = member.mutations.map((mutation) => resolveMutation(mutation, version));
    this.#statements.savepoint.run();
    try {
      for (const mutation of mutations) this.#pairs.apply(mutation);
    } catch (cause) {
      const error = toStoreError(cause, 'applying a commit failed');
      if (!this.#db.inTransaction || !concernsMemberOnly(cause)) throw error;
      this.#statements.rollbackTo.run();
      this.#statements.release.run();
      return { error: { code: error.code, message: error.message } };
    }
    this.#statements.release.run();
    this.#lastCounter = counter;
    this.#log.add(counter, mutations);
    return { counter };
  }

  #finish(outcomes: readonly CommitOutcome[]): void {
    if (outcomes.some((outcome) => 'counter' in outcome)) this.#setCounter.run(this.#lastCounter);
    this.#statements.commit.run();
    this.#committedCounter = this.#lastCounter;
  }

  #fail(memberCount: number, error: MvfuseError): GroupOutcome {
    // What the group's members wrote never happened, but later members were checked against it.
    this.#log.reset(this.#committedCounter);
    let failure = error;
    try {
      if (this.#db.inTransaction) this.#db.exec('ROLLBACK');
    } catch (cause) {
      failure = new MvfuseError('STORE_FAILED', `rolling back failed after: ${error.message}`, { cause });
    }
    const fatal = !isPassing(failure);
    if (fatal) this.#failure = failure;
    const { message } = failure;
    const outcome = { error: { code: fatal ? 'STORE_FAILED' : failure.code, message } as const };
    return { outcomes: Array.from({ length: memberCount }, () => outcome), fatal };
  }
}

/** Errors of one statement's arguments; all others say something of the file or the disk. */
function concernsMemberOnly(cause: unknown): boolean {
  const code = (cause as { code?: string }).code ?? '';
  return (
    code.startsWith('SQLITE_CONSTRAINT') ||
    code === 'SQLITE_TOOBIG' ||
    cause instanceof RangeError ||
    cause instanceof TypeError
  );
}
