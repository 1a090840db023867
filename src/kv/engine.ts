// The contract of a key-value engine: ordered byte keys, serialisable transactions, versionstamps.
//
// These doc comments are the specification; test/conformance runs it against every engine. An engine
// knows nothing of pages or namespaces. Limits (limits.ts, KV_*) belong to the contract: an engine
// refuses what is past them with LIMIT, so that code which runs on one engine runs on all.

import type { Version } from '../version.js';

export interface KeyValue {
  readonly key: Buffer;
  readonly value: Buffer;
}

export interface RangeOptions {
  /** At most this many pairs, 1 or more; without it, all of them. */
  readonly limit?: number;
  /** Descending order of keys, starting below `end`. */
  readonly reverse?: boolean;
}

/**
 * Reads of one consistent state of the whole store. Returned buffers belong to the caller.
 * @throws LIMIT for a key past KV_KEY_BYTES_MAX or when the transaction is older than KV_TRANSACTION_MS_MAX,
 *   INVALID_ARGUMENT for a range that ends before it begins or a limit below 1, BUSY, STORE_FAILED
 */
export interface ReadTransaction {
  get(key: Uint8Array): Promise<Buffer | undefined>;
  /** Pairs with begin <= key < end, ascending unless `reverse`. */
  getRange(begin: Uint8Array, end: Uint8Array, options?: RangeOptions): Promise<KeyValue[]>;
}

/**
 * A transaction with reads and buffered writes. Reads see one state of the store, no older than the
 * transaction's beginning, and its own writes before them; what was read is checked at commit, so
 * committed transactions are serialisable in the order of their versions. Of a range cut by its limit
 * only the part up to the last pair counts as read. Arguments are copied: the caller may reuse its buffers.
 * Once `body` has settled the transaction is refused with INVALID_ARGUMENT.
 */
export interface Transaction extends ReadTransaction {
  set(key: Uint8Array, value: Uint8Array): void;
  clear(key: Uint8Array): void;
  /** Removes begin <= key < end. */
  clearRange(begin: Uint8Array, end: Uint8Array): void;
  /** Sets the key prefix + version (10 bytes) + suffix, where version is this commit's. Not readable before commit. */
  setVersionstampedKey(prefix: Uint8Array, suffix: Uint8Array, value: Uint8Array): void;
  /**
   * Sets the value prefix + version (10 bytes) + suffix, where version is this commit's. Not readable before
   * commit: a read of it in this transaction is refused with INVALID_ARGUMENT.
   */
  setVersionstampedValue(key: Uint8Array, prefix: Uint8Array, suffix: Uint8Array): void;
  /**
   * Whether the state read is exactly that of TransactOptions.asOf. Then `body` may rely on what it knows of that state
   * and call expectUnchanged() where it would read; otherwise it must read.
   */
  readonly isAsOf: boolean;
  /** Conflicts with a change of `key` since the state `asOf`. @throws INVALID_ARGUMENT unless isAsOf */
  expectUnchanged(key: Uint8Array): void;
  /** Like getRange/get, but a later change of what was read does not make this transaction conflict. */
  readonly snapshot: ReadTransaction;
}

export interface TransactionResult<T> {
  readonly value: T;
  /** The commit's version, greater than every earlier one of the store; undefined when nothing was written. */
  readonly version: Version | undefined;
}

export interface TransactOptions {
  /**
   * False: it resolves when the commit is visible. A power cut may still take it back, with all that came after it, until
   * a durable commit that began later has resolved. An engine may make it durable all the same.
   */
  readonly durable?: boolean;
  /**
   * A version that this engine committed. An engine for which reading takes a while may run the first attempt on the state
   * as of that commit, which is no older than KV_TRANSACTION_MS_MAX, and tells so by Transaction.isAsOf.
   */
  readonly asOf?: Version;
}

export interface ReadOptions {
  /** Any state will do that holds the commit of this version; without it, the newest. */
  readonly atLeast?: Version;
}

/** How often the cluster was waited for, since the engine was opened. */
export interface RoundTrips {
  /** Questions for the newest version, one before the first read of a transaction that may not share one. */
  readonly readVersions: number;
  /** Batches of reads that were asked for together. */
  readonly reads: number;
  readonly commits: number;
}

/** What a cluster says of itself. */
export interface ClusterStatus {
  /** Whether it takes commits. */
  readonly available: boolean;
  /** Whether all data has the copies that it should have. */
  readonly healthy: boolean;
  /** The name of its redundancy mode. */
  readonly redundancy: string;
  readonly processes: number;
  /** Processes that may still be lost without losing data, or the ability to commit. */
  readonly lossesTolerated: number;
  /** Key-value bytes of all users of the cluster, each counted once. */
  readonly dataBytes: number;
  readonly coordinators: { readonly reachable: number; readonly count: number };
  /** What it complains of. */
  readonly messages: readonly string[];
}

export interface Engine {
  /**
   * Runs `body`, then commits what it wrote, atomically. When a transaction that committed meanwhile
   * changed what `body` read, runs it again (KV_ATTEMPTS_MAX times at the most, then BUSY); so `body`
   * must have no effects of its own. When it resolves, the commit is durable and visible to every
   * transaction and read that begins later. When it rejects, nothing was written and never will be; only
   * after STORE_FAILED it is unknown whether all of it was, or nothing.
   * An error thrown by `body` aborts and is passed on.
   * @throws LIMIT past the contract's limits, NO_SPACE, BUSY, CLOSED; STORE_FAILED: when it was the commit
   *   that failed, every later call is refused in the same way until the engine has found out, and for good where
   *   only opening the store again shows it
   */
  transact<T>(body: (transaction: Transaction) => Promise<T>, options?: TransactOptions): Promise<TransactionResult<T>>;

  /** Runs `body` on one consistent state that holds every commit acknowledged before the call, or `atLeast`. */
  read<T>(body: (transaction: ReadTransaction) => Promise<T>, options?: ReadOptions): Promise<T>;

  /**
   * Resolves once the value of `key` may be, or may have been since the call, another than `value` (undefined: none); so
   * nothing is missed between a read of the value and the call. Who waits looks again. Rejects with CLOSED, or the
   * signal's reason.
   */
  watch(key: Uint8Array, value: Uint8Array | undefined, signal?: AbortSignal): Promise<void>;

  /** Of an engine that is elsewhere; undefined for an embedded one. */
  readonly roundTrips?: RoundTrips;

  /** How the cluster is, by its own account; only an engine that is elsewhere has one. @throws STORE_FAILED */
  cluster?(): Promise<ClusterStatus>;

  /**
   * Gives space that is no longer used back to the disk, in small steps between commits; resolves with the bytes. Only of
   * an engine that does not do so by itself. @throws STORE_FAILED, CLOSED
   */
  reclaim?(): Promise<number>;

  /** Waits for the transactions under way, at most STORE_CLOSE_WAIT_MS_MAX, then frees everything. Later calls are refused with CLOSED. */
  close(): Promise<void>;
}
