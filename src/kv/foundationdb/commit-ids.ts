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
import { type ClientDatabase, type ClientTransaction, clientErrorCode } from './client.js';
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

const VOID = Buffer.from('void');
const STAMP = Buffer.alloc(VERSION_BYTES + 4);

export class CommitIds {
  readonly #database: ClientDatabase;
  readonly #keys: KeySpace;
  readonly #prefix = randomBytes(8);
  #issued = 0;
  /** Of commits whose outcome is known; to be removed. */
  #known: Buffer[] = [];
  /** Of commits whose outcome could not be found out yet. */
  readonly #unknown = new Set<Buffer>();

  constructor(database: ClientDatabase, keys: KeySpace) {
    this.#database = database;
    this.#keys = keys;
  }

  /** Gives the transaction an id, just before its commit. */
  mark(native: ClientTransaction): Buffer {
    const number = Buffer.alloc(8);
    number.writeBigUInt64BE(BigInt(this.#issued++));
    const id = this.#keys.commitId(Buffer.concat([this.#prefix, number]));
    native.addReadConflictKey(id);
    native.setVersionstampedValueRaw(id, STAMP);
    for (const old of this.#known.slice(0, REMOVED_PER_COMMIT)) native.clear(old);
    return id;
  }

  /** The commit was answered. */
  committed(id: Buffer): void {
    this.#known.splice(0, REMOVED_PER_COMMIT);
    this.#known.push(id);
  }

  /**
   * What became of a commit whose answer was lost: its version, or undefined when it did not happen and never will.
   * @throws STORE_FAILED when the cluster does not tell in time; settleAll() then goes on asking
   */
  async settle(id: Buffer): Promise<Version | undefined> {
    this.#unknown.add(id);
    const deadlineMs = performance.now() + KV_SETTLE_MS_MAX;
    for (;;) {
      try {
        const version = await this.#ask(id);
        if (version !== 'again') {
          this.#unknown.delete(id);
          this.#known.push(id);
          return version;
        }
      } catch (error) {
        if (clientErrorCode(error) === undefined) throw error;
        if (performance.now() > deadlineMs) throw unsettled(error);
      }
      await sleep(SETTLE_PAUSE_MS);
    }
  }

  /** Finds out about all commits that are still in doubt. @throws STORE_FAILED */
  async settleAll(): Promise<void> {
    for (const id of [...this.#unknown]) await this.settle(id);
  }

  get inDoubt(): boolean {
    return this.#unknown.size > 0;
  }

  async #ask(id: Buffer): Promise<Version | undefined | 'again'> {
    const native = this.#database.rawCreateTransaction({ timeout: SETTLE_ATTEMPT_MS });
    const value = await native.get(id);
    if (value?.length === VERSION_BYTES) return versionFromBytes(value);
    if (value !== undefined) return undefined;
    native.set(id, VOID);
    try {
      await native.rawCommit();
      return undefined;
    } catch (error) {
      // The next look tells what happened meanwhile.
      if (clientErrorCode(error) !== undefined) return 'again';
      throw error;
    }
  }

  /** Removes the ids of this process; what cannot be removed is found a day later. */
  async close(): Promise<void> {
    const known = this.#known.splice(0);
    if (known.length === 0) return;
    const native = this.#database.rawCreateTransaction({ timeout: SETTLE_ATTEMPT_MS });
    for (const id of known) native.clear(id);
    await native.rawCommit().catch(() => undefined);
  }

  /** Removes ids that processes which died left behind. */
  async sweep(): Promise<void> {
    const native = this.#database.rawCreateTransaction({ timeout: SETTLE_ATTEMPT_MS });
    const [begin, end] = [this.#keys.commitId(Buffer.alloc(0)), this.#keys.commitId(Buffer.alloc(17, 0xff))];
    const pairs = await native.getRangeAll(begin, end, { limit: SWEPT_IDS_MAX });
    if (pairs.length === 0) return;
    const now = (await native.getReadVersion()).readBigUInt64BE();
    for (const [id, value] of pairs) {
      const isOld = value.length !== VERSION_BYTES || now - value.readBigUInt64BE() > SWEPT_AGE_VERSIONS;
      if (isOld) native.clear(id);
    }
    await native.rawCommit();
  }
}

function unsettled(cause: unknown): MvfuseError {
  return new MvfuseError(
    'STORE_FAILED',
    `the cluster did not say within ${KV_SETTLE_MS_MAX / 1000} s whether a commit happened: ${(cause as Error).message}`,
    { cause },
  );
}
