// Whether a commit happened whose answer was lost.
//
// Every commit writes a key of its own, its id, and conflicts with any other write of that key. When the answer is
// lost, one transaction looks for the id and, where it is missing, writes it: so a commit that is still under way
// somewhere can no longer land, and what was found out stays true.

import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { MvfuseError } from '../../errors.js';
import { KV_SETTLE_MS_MAX } from '../../limits.js';
import { VERSION_BYTES, type Version, versionFromBytes } from '../../version.js';
import { type ClientDatabase, type ClientTransaction, clientErrorCode, onTransaction } from './client.js';
import type { KeySpace } from './key-space.js';

/** Ids removed along with one commit: more than a commit adds, so that none pile up. */
const REMOVED_PER_COMMIT = 4;
/** For one try to find out; then another follows. */
const SETTLE_ATTEMPT_MS = 3_000;
const SETTLE_PAUSE_MS = 100;
/** Ids of processes that died are looked at when a store is opened, so many of them. */
const SWEPT_IDS_MAX = 1_000;
/** FoundationDB's versions advance by about a million each second; nobody asks for an id a day later. */
const SWEPT_AGE_VERSIONS = 86_400n * 1_000_000n;

const STAMP = Buffer.alloc(VERSION_BYTES + 4);
/** In place of the version of a commit that did not happen; stamped, so that its age is known. */
const VOID_TAG = Buffer.from('void');
const VOID = Buffer.concat([STAMP.subarray(0, VERSION_BYTES), VOID_TAG, STAMP.subarray(VERSION_BYTES)]);

/** A commit with its id, and the ids that it removes. */
export interface MarkedCommit {
  readonly id: Buffer;
  readonly removed: readonly Buffer[];
}

export class CommitIds {
  readonly #database: ClientDatabase;
  readonly #keys: KeySpace;
  readonly #prefix = randomBytes(8);
  #issued = 0;
  /** Of commits whose outcome is known; to be removed. */
  #known: Buffer[] = [];
  /** Of commits whose outcome is not known yet; with the answer, while somebody asks for it. */
  readonly #unknown = new Map<Buffer, Promise<Version | undefined> | undefined>();

  constructor(database: ClientDatabase, keys: KeySpace) {
    this.#database = database;
    this.#keys = keys;
  }

  /** Gives the transaction an id, just before its commit, and lets it remove older ones. */
  mark(native: ClientTransaction): MarkedCommit {
    const number = Buffer.alloc(8);
    number.writeBigUInt64BE(BigInt(this.#issued++));
    const id = this.#keys.commitId(Buffer.concat([this.#prefix, number]));
    native.addReadConflictKey(id);
    native.setVersionstampedValueRaw(id, STAMP);
    const removed = this.#known.splice(0, REMOVED_PER_COMMIT);
    for (const old of removed) native.clear(old);
    return { id, removed };
  }

  committed({ id }: MarkedCommit): void {
    this.#known.push(id);
  }

  /** It did not happen. */
  refused({ removed }: MarkedCommit): void {
    this.#known.push(...removed);
  }

  /**
   * What became of a commit whose answer was lost: its version, or undefined when it did not happen and never will.
   * @throws STORE_FAILED when the cluster does not tell in time; settleAll() then goes on asking
   */
  async settle({ id, removed }: MarkedCommit): Promise<Version | undefined> {
    // Perhaps they are removed already; once more does no harm.
    this.#known.push(...removed);
    return this.#settle(id);
  }

  /** All who ask at once get one answer: an id whose outcome is known is removed, and would look like no commit. */
  #settle(id: Buffer): Promise<Version | undefined> {
    const asking = this.#unknown.get(id) ?? this.#findOut(id);
    this.#unknown.set(id, asking);
    return asking;
  }

  async #findOut(id: Buffer): Promise<Version | undefined> {
    try {
      const version = await this.#askUntilAnswered(id);
      this.#unknown.delete(id);
      this.#known.push(id);
      return version;
    } catch (error) {
      // Whoever comes next asks anew.
      this.#unknown.set(id, undefined);
      throw error;
    }
  }

  async #askUntilAnswered(id: Buffer): Promise<Version | undefined> {
    const deadlineMs = performance.now() + KV_SETTLE_MS_MAX;
    for (;;) {
      try {
        const version = await this.#ask(id);
        if (version !== 'again') return version;
      } catch (error) {
        if (clientErrorCode(error) === undefined) throw error;
        if (performance.now() > deadlineMs) throw unsettled(error);
      }
      if (performance.now() > deadlineMs + SETTLE_ATTEMPT_MS) throw unsettled(new Error('its commits fail'));
      await sleep(SETTLE_PAUSE_MS);
    }
  }

  /** Finds out about all commits that are still in doubt. @throws STORE_FAILED */
  async settleAll(): Promise<void> {
    for (const id of [...this.#unknown.keys()]) await this.#settle(id);
  }

  get inDoubt(): boolean {
    return this.#unknown.size > 0;
  }

  #ask(id: Buffer): Promise<Version | undefined | 'again'> {
    return this.#onTransaction(async (native) => {
      const value = await native.get(id);
      if (value?.length === VERSION_BYTES) return versionFromBytes(value);
      if (value !== undefined) return undefined;
      native.setVersionstampedValueRaw(id, VOID);
      try {
        await native.rawCommit();
        return undefined;
      } catch (error) {
        // The next look tells what happened meanwhile.
        if (clientErrorCode(error) !== undefined) return 'again';
        throw error;
      }
    });
  }

  /** Removes the ids of this process; what cannot be removed is found a day later. */
  async close(): Promise<void> {
    const known = this.#known.splice(0);
    if (known.length === 0) return;
    const remove = async (native: ClientTransaction): Promise<void> => {
      for (const id of known) native.clear(id);
      await native.rawCommit();
    };
    await this.#onTransaction(remove).catch(() => undefined);
  }

  /** Removes ids that processes which died left behind. */
  sweep(): Promise<void> {
    return this.#onTransaction(async (native) => {
      const [begin, end] = [this.#keys.commitId(Buffer.alloc(0)), this.#keys.commitId(Buffer.alloc(17, 0xff))];
      const pairs = await native.getRangeAll(begin, end, { limit: SWEPT_IDS_MAX });
      const now = (await native.getReadVersion()).readBigUInt64BE();
      const isOld = (value: Buffer): boolean => now - value.readBigUInt64BE() > SWEPT_AGE_VERSIONS;
      for (const [id, value] of pairs) if (isOld(value)) native.clear(id);
      await native.rawCommit();
    });
  }

  #onTransaction<T>(work: (native: ClientTransaction) => Promise<T>): Promise<T> {
    return onTransaction(this.#database, SETTLE_ATTEMPT_MS, work);
  }
}

function unsettled(cause: unknown): MvfuseError {
  return new MvfuseError(
    'STORE_FAILED',
    `the cluster did not say within ${KV_SETTLE_MS_MAX / 1000} s whether a commit happened: ${(cause as Error).message}`,
    { cause },
  );
}
