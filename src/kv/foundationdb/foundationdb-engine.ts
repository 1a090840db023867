// The engine contract on FoundationDB: retries, time-outs, commits whose answer was lost, watches.
//
// Every wait is bounded, since the client itself waits for an unreachable cluster for ever. Reads that need no newer
// state than a given version share the newest read version that is known, and so spare asking for one.

import { setTimeout as sleep } from 'node:timers/promises';
import { isMvfuseError, MvfuseError } from '../../errors.js';
import { KV_SHARED_READ_VERSION_MS_MAX, KV_STORE_WAIT_MS_MAX, KV_WATCHES_MAX } from '../../limits.js';
import { type Version, versionFromBytes, versionToBytes } from '../../version.js';
import { isSame } from '../bytes.js';
import type { EngineOptions } from '../embedded-engine.js';
import type {
  ClusterStatus,
  Engine,
  ReadOptions,
  ReadTransaction,
  RoundTrips,
  Transaction,
  TransactionResult,
  TransactOptions,
} from '../engine.js';
import { closedError, OpenCalls } from '../open-calls.js';
import { CONFLICT, retryConflicts } from '../retry.js';
import { requireKeyBytes } from '../transaction-arguments.js';
import {
  type ClientDatabase,
  ClientError,
  type ClientTransaction,
  clientErrorCode,
  isIndeterminate,
  isRetryable,
  onTransaction,
  openDatabase,
} from './client.js';
import { readClusterStatus } from './cluster-status.js';
import { CommitIds } from './commit-ids.js';
import { FoundationdbTransaction } from './foundationdb-transaction.js';
import { KeySpace } from './key-space.js';
import { parseLocation, type StoreLocation } from './location.js';

/** What the client answers by itself, from the cluster's controller and coordinators. */
const STATUS_KEY = Buffer.from('\xff\xff/status/json', 'latin1');
/** A read version is the first 8 bytes of the versions that it shows. */
const READ_VERSION_BYTES = 8;
const PAUSE_MS_MAX = 1_000;
/** For what a cluster that is away has to say, before the error is told without it. */
const COMPLAINTS_MS = 5_000;
/** A watch that failed may have missed a change: its caller looks again, but not at once. */
const WATCH_PAUSE_MS = 200;

/** A read version is newer than the versions of all commits that it shows. */
interface SharedVersion {
  readonly bytes: Buffer;
  readonly atMs: number;
}

export class FoundationdbEngine implements Engine {
  readonly #database: ClientDatabase;
  readonly #keys: KeySpace;
  readonly #ids: CommitIds;
  readonly #location: StoreLocation;
  readonly #monotonicMs: () => number;
  readonly #random: () => number;
  readonly #calls = new OpenCalls();
  readonly #watches = new Set<(error: MvfuseError) => void>();
  readonly #roundTrips = { readVersions: 0, reads: 0, commits: 0 };
  #shared: SharedVersion | undefined;

  private constructor(database: ClientDatabase, location: StoreLocation, options: EngineOptions) {
    this.#database = database;
    this.#location = location;
    this.#keys = new KeySpace(location.prefix);
    this.#ids = new CommitIds(database, this.#keys);
    this.#monotonicMs = options.monotonicMs ?? (() => performance.now());
    this.#random = options.random ?? Math.random;
  }

  /** Resolves once the cluster has answered. @throws INVALID_ARGUMENT for a wrong URL, STORE_FAILED */
  static async open(url: string, options: EngineOptions): Promise<FoundationdbEngine> {
    const location = parseLocation(url);
    return FoundationdbEngine.on(await openDatabase(location), location, options);
  }

  /** On a database that is open; the engine closes it. @throws STORE_FAILED */
  static async on(
    database: ClientDatabase,
    location: StoreLocation,
    options: EngineOptions,
  ): Promise<FoundationdbEngine> {
    const engine = new FoundationdbEngine(database, location, options);
    try {
      await engine.#throughOutages((timeout) => engine.#during(timeout, (native) => native.getReadVersion()));
    } catch (error) {
      const said = await engine.#complaints();
      await engine.close();
      if (said === '' || !isMvfuseError(error)) throw error;
      throw new MvfuseError(error.code, `${error.message} (${said})`, { cause: error });
    }
    engine.#track(() => engine.#ids.sweep()).catch(() => undefined);
    return engine;
  }

  /** What the cluster's coordinators have to say where it takes no transactions. */
  async #complaints(): Promise<string> {
    try {
      const bytes = await this.#during(COMPLAINTS_MS, (native) => native.get(STATUS_KEY));
      return readClusterStatus(bytes ?? Buffer.from('{}')).messages.join('; ');
    } catch {
      return '';
    }
  }

  get roundTrips(): RoundTrips {
    return { ...this.#roundTrips };
  }

  cluster(): Promise<ClusterStatus> {
    return this.#track(() =>
      this.#throughOutages(async (timeout) => {
        const bytes = await this.#during(timeout, (native) => native.get(STATUS_KEY));
        return readClusterStatus(bytes ?? Buffer.from('{}'));
      }),
    );
  }

  async transact<T>(
    body: (transaction: Transaction) => Promise<T>,
    { asOf }: TransactOptions = {},
  ): Promise<TransactionResult<T>> {
    let readVersion = asOf && versionToBytes(asOf).subarray(0, READ_VERSION_BYTES);
    const attempt = (): Promise<TransactionResult<T> | typeof CONFLICT> =>
      this.#throughOutages((timeout) => {
        const at = readVersion;
        readVersion = undefined;
        return this.#during(timeout, (native) => this.#attempt(native, body, at));
      });
    return this.#track(() => retryConflicts(attempt, this.#random));
  }

  async read<T>(body: (transaction: ReadTransaction) => Promise<T>, { atLeast }: ReadOptions = {}): Promise<T> {
    return this.#track(() =>
      this.#throughOutages((timeout) => this.#during(timeout, (native) => this.#read(native, body, atLeast))),
    );
  }

  async #read<T>(
    native: ClientTransaction,
    body: (transaction: ReadTransaction) => Promise<T>,
    atLeast: Version | undefined,
  ): Promise<T> {
    const shared = atLeast && this.#sharedVersion(atLeast);
    if (shared !== undefined) native.setReadVersion(shared.bytes);
    else this.#askReadVersion(native);
    const transaction = this.#wrap(native, false);
    try {
      return await body(transaction.snapshot);
    } catch (error) {
      if (this.#shared === shared) this.#shared = undefined;
      throw error;
    } finally {
      transaction.end();
    }
  }

  async watch(key: Uint8Array, value: Uint8Array | undefined, signal?: AbortSignal): Promise<void> {
    this.#calls.requireOpen();
    signal?.throwIfAborted();
    requireKeyBytes(key.length);
    if (this.#watches.size >= KV_WATCHES_MAX) throw new MvfuseError('LIMIT', `more than ${KV_WATCHES_MAX} watches`);
    const name = this.#keys.key(key);
    let cancel = (): void => {};
    const ended = new Promise<never>((_, reject) => {
      this.#watches.add(reject);
      const abort = (): void => reject(signal!.reason);
      signal?.addEventListener('abort', abort, { once: true });
      cancel = () => {
        this.#watches.delete(reject);
        signal?.removeEventListener('abort', abort);
      };
    });
    let native: ReturnType<ClientTransaction['watch']> | undefined;
    const changed = async (transaction: ClientTransaction): Promise<void> => {
      // At the state in which it is looked at: a change since then is told of.
      native = transaction.watch(name);
      const current = await transaction.snapshot().get(name);
      if (!isSame(current, value)) return;
      await transaction.rawCommit();
      await native.promise;
    };
    try {
      await Promise.race([
        ended,
        this.#during(KV_STORE_WAIT_MS_MAX, changed).catch((error: unknown) => {
          if (clientErrorCode(error) === undefined) throw error;
          return sleep(WATCH_PAUSE_MS);
        }),
      ]);
    } finally {
      cancel();
      native?.cancel();
    }
  }

  close(): Promise<void> {
    return this.#calls.close(() => this.#finish());
  }

  async #attempt<T>(
    native: ClientTransaction,
    body: (transaction: Transaction) => Promise<T>,
    readVersion: Buffer | undefined,
  ): Promise<TransactionResult<T> | typeof CONFLICT> {
    if (readVersion === undefined) this.#askReadVersion(native);
    else native.setReadVersion(readVersion);
    const transaction = this.#wrap(native, readVersion !== undefined);
    let value: T;
    try {
      value = await body(transaction);
      transaction.requireCommittable();
    } finally {
      transaction.end();
    }
    if (!transaction.wrote) return { value, version: undefined };
    const version = await this.#commit(native);
    return version === undefined ? CONFLICT : { value, version };
  }

  /** The version; undefined when nothing was committed and never will be. @throws STORE_FAILED when that is unknown */
  async #commit(native: ClientTransaction): Promise<Version | undefined> {
    const marked = this.#ids.mark(native);
    const stamp = native.getVersionstamp().promise;
    stamp.catch(() => undefined);
    this.#roundTrips.commits += 1;
    try {
      await native.rawCommit();
    } catch (error) {
      const code = clientErrorCode(error);
      if (code !== undefined && isIndeterminate(code)) return this.#ids.settle(marked);
      this.#ids.refused(marked);
      if (code === ClientError.NOT_COMMITTED) return undefined;
      throw error;
    }
    this.#ids.committed(marked);
    const bytes = await stamp;
    this.#learnVersion(bytes, this.#monotonicMs());
    return versionFromBytes(bytes);
  }

  #during<T>(timeoutMs: number, work: (native: ClientTransaction) => Promise<T>): Promise<T> {
    return onTransaction(this.#database, timeoutMs, work);
  }

  #wrap(native: ClientTransaction, isAsOf: boolean): FoundationdbTransaction {
    const onRead = (): void => {
      this.#roundTrips.reads += 1;
    };
    return new FoundationdbTransaction({
      native,
      keys: this.#keys,
      monotonicMs: this.#monotonicMs,
      isAsOf,
      onRead,
    });
  }

  /** The first read asks for it anyway; asked for here, it can be shared. */
  #askReadVersion(native: ClientTransaction): void {
    this.#roundTrips.readVersions += 1;
    const askedMs = this.#monotonicMs();
    native.getReadVersion().then(
      (bytes) => this.#learnVersion(bytes, askedMs),
      () => undefined,
    );
  }

  #learnVersion(bytes: Buffer, atMs: number): void {
    const version = bytes.subarray(0, READ_VERSION_BYTES);
    if (this.#shared === undefined || version.compare(this.#shared.bytes) > 0) this.#shared = { bytes: version, atMs };
  }

  /** A read version that is young enough to be used and shows `version`. */
  #sharedVersion(version: Version): SharedVersion | undefined {
    const shared = this.#shared;
    if (shared === undefined || this.#monotonicMs() - shared.atMs > KV_SHARED_READ_VERSION_MS_MAX) return undefined;
    return versionToBytes(version).compare(shared.bytes, 0, READ_VERSION_BYTES, 0, READ_VERSION_BYTES) <= 0
      ? shared
      : undefined;
  }

  /** Tries again after errors that pass; past KV_STORE_WAIT_MS_MAX the cluster counts as away. */
  async #throughOutages<T>(attempt: (timeoutMs: number) => Promise<T>): Promise<T> {
    const deadlineMs = performance.now() + KV_STORE_WAIT_MS_MAX;
    for (let pauseMs = 5; ; pauseMs = Math.min(2 * pauseMs, PAUSE_MS_MAX)) {
      const leftMs = Math.max(1, Math.ceil(deadlineMs - performance.now()));
      try {
        return await attempt(leftMs);
      } catch (error) {
        const code = clientErrorCode(error);
        if (code === undefined) throw error;
        if (!isRetryable(code) || performance.now() >= deadlineMs) throw this.#failure(error as Error, code);
      }
      await sleep(this.#random() * pauseMs);
    }
  }

  #failure(cause: Error, code: number): MvfuseError {
    if (code === ClientError.TRANSACTION_TOO_LARGE)
      return new MvfuseError('LIMIT', 'the transaction is larger than FoundationDB allows', { cause });
    const { clusterFile } = this.#location;
    const message =
      code === ClientError.TRANSACTION_TIMED_OUT
        ? `the FoundationDB cluster of ${clusterFile} did not answer within ${KV_STORE_WAIT_MS_MAX / 1000} s: is it running and reachable?`
        : `the FoundationDB cluster of ${clusterFile} failed: ${cause.message} (${code})`;
    return new MvfuseError('STORE_FAILED', message, { cause });
  }

  #track<T>(work: () => Promise<T>): Promise<T> {
    // What happened to an earlier commit must be known before anything builds on it.
    return this.#calls.run(() => (this.#ids.inDoubt ? this.#ids.settleAll().then(work) : work()));
  }

  async #finish(): Promise<void> {
    for (const reject of [...this.#watches]) reject(closedError());
    await this.#ids.close();
    this.#database.close();
  }
}
