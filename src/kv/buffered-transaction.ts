// A transaction of an embedded engine: reads from one snapshot, writes kept in a list until the commit.
//
// It records what was read (for the conflict check), shows the body its own writes, and enforces the
// contract's limits on the spot. The snapshot is opened at the first read and released by end(); a
// transaction that only writes needs none.

import { MvfuseError } from '../errors.js';
import { KV_TRANSACTION_BYTES_MAX, KV_TRANSACTION_MS_MAX } from '../limits.js';
import { VERSION_BYTES } from '../version.js';
import { bytesToLatin1 } from './bytes.js';
import type { KeyValue, RangeOptions, ReadTransaction, Transaction } from './engine.js';
import type { Mutation } from './mutation.js';
import { ReadSet } from './read-set.js';
import {
  copyKey,
  copyValue,
  requireKeyBytes,
  requireOrder,
  requireRange,
  requireValueBytes,
} from './transaction-arguments.js';
import { STAMPED, WriteOverlay } from './write-overlay.js';

/** One consistent state of a backend's whole store, at the commit named by `counter`. */
export interface Snapshot {
  readonly counter: number;
  get(key: Buffer): Buffer | undefined;
  getRange(begin: Buffer, end: Buffer, options: RangeOptions): KeyValue[];
  /** Nothing may be read afterwards. */
  release(): void;
}

export interface BufferedTransactionOptions {
  readonly openSnapshot: () => Promise<Snapshot>;
  readonly monotonicMs: () => number;
}

export class BufferedTransaction implements Transaction {
  readonly reads = new ReadSet();
  readonly mutations: Mutation[] = [];
  /** Reading takes no time here, so no state is chosen to spare it. */
  readonly isAsOf = false;
  readonly snapshot: ReadTransaction = {
    get: (key) => this.#get(key, false),
    getRange: (begin, end, options) => this.#getRange(begin, end, options ?? {}, false),
  };
  readonly #options: BufferedTransactionOptions;
  /** Of the snapshot, once there is one: who waits for one is not too old for it. */
  #beganMs: number;
  readonly #overlay = new WriteOverlay();
  #writtenBytes = 0;
  #opening: Promise<Snapshot> | undefined;
  #opened: Snapshot | undefined;
  #ended = false;

  constructor(options: BufferedTransactionOptions) {
    this.#options = options;
    this.#beganMs = options.monotonicMs();
  }

  /** The commit that the reads saw; undefined when nothing was read. */
  get readCounter(): number | undefined {
    return this.#opened?.counter;
  }

  get(key: Uint8Array): Promise<Buffer | undefined> {
    return this.#get(key, true);
  }

  getRange(begin: Uint8Array, end: Uint8Array, options: RangeOptions = {}): Promise<KeyValue[]> {
    return this.#getRange(begin, end, options, true);
  }

  expectUnchanged(): void {
    throw new MvfuseError('INVALID_ARGUMENT', 'the state of this transaction is not one that was asked for');
  }

  set(key: Uint8Array, value: Uint8Array): void {
    this.#write({ kind: 'set', key: copyKey(key), value: copyValue(value) });
  }

  clear(key: Uint8Array): void {
    this.#write({ kind: 'clear', key: copyKey(key) });
  }

  clearRange(begin: Uint8Array, end: Uint8Array): void {
    requireOrder(begin, end);
    this.#write({ kind: 'clearRange', begin: copyKey(begin), end: copyKey(end) });
  }

  setVersionstampedKey(prefix: Uint8Array, suffix: Uint8Array, value: Uint8Array): void {
    requireKeyBytes(prefix.length + VERSION_BYTES + suffix.length);
    const key = { prefix: copyKey(prefix), suffix: copyKey(suffix) };
    this.#write({ kind: 'setStampedKey', ...key, value: copyValue(value) });
  }

  setVersionstampedValue(key: Uint8Array, prefix: Uint8Array, suffix: Uint8Array): void {
    requireValueBytes(prefix.length + VERSION_BYTES + suffix.length);
    const value = { prefix: copyValue(prefix), suffix: copyValue(suffix) };
    this.#write({ kind: 'setStampedValue', key: copyKey(key), ...value });
  }

  /** @throws LIMIT when the transaction is too large or too old to be committed. */
  requireCommittable(): void {
    this.#requireYoung();
    this.#requireSmall();
  }

  /** Releases the snapshot; every later call on the transaction is refused. */
  end(): void {
    this.#ended = true;
    if (this.#opened !== undefined) this.#opened.release();
    else this.#opening?.then((snapshot) => snapshot.release()).catch(() => {});
  }

  async #get(key: Uint8Array, recorded: boolean): Promise<Buffer | undefined> {
    requireKeyBytes(key.length);
    const name = bytesToLatin1(key);
    const written = this.#overlay.lookup(name);
    if (written.own)
      return typeof written.value === 'symbol' ? refuseStamped() : written.value && Buffer.from(written.value);
    const bytes = Buffer.from(key);
    const snapshot = this.#usable() ?? (await this.#openSnapshot());
    if (recorded) this.reads.addKey(name);
    return snapshot.get(bytes);
  }

  async #getRange(begin: Uint8Array, end: Uint8Array, options: RangeOptions, recorded: boolean): Promise<KeyValue[]> {
    requireRange(begin, end, options);
    const [first, last] = [Buffer.from(begin), Buffer.from(end)];
    const snapshot = this.#usable() ?? (await this.#openSnapshot());
    // What only reads, as most transactions do, needs no names of its keys.
    if (!recorded && this.mutations.length === 0) return snapshot.getRange(first, last, options);
    const range = { begin: bytesToLatin1(first), end: bytesToLatin1(last) };
    const pairs = this.#overlay.touches(range)
      ? this.#mergeOwnWrites(range, snapshot.getRange(first, last, {}), options)
      : snapshot.getRange(first, last, options);
    if (recorded) this.#recordRange(range, pairs, options);
    return pairs;
  }

  /** With own writes in the range, the limit counts what remains after them. */
  #mergeOwnWrites(range: { begin: string; end: string }, stored: KeyValue[], options: RangeOptions): KeyValue[] {
    const merged = this.#overlay.merge(range, stored);
    if (options.reverse) merged.reverse();
    return merged.slice(0, options.limit).map(({ key, value }) => {
      return typeof value === 'symbol' ? refuseStamped() : { key, value };
    });
  }

  /** Only the part of a range that was looked at can conflict. */
  #recordRange(range: { begin: string; end: string }, pairs: readonly KeyValue[], options: RangeOptions): void {
    const last = pairs.at(-1);
    if (options.limit === undefined || pairs.length < options.limit || last === undefined) {
      this.reads.addRange(range.begin, range.end);
    } else if (options.reverse) {
      this.reads.addRange(bytesToLatin1(last.key), range.end);
    } else {
      this.reads.addRange(range.begin, `${bytesToLatin1(last.key)}\0`);
    }
  }

  #usable(): Snapshot | undefined {
    this.#requireRunning();
    this.#requireYoung();
    return this.#opened;
  }

  async #openSnapshot(): Promise<Snapshot> {
    this.#opening ??= this.#options.openSnapshot();
    const snapshot = await this.#opening;
    this.#requireRunning();
    if (this.#opened === undefined) this.#beganMs = this.#options.monotonicMs();
    this.#opened = snapshot;
    return snapshot;
  }

  #write(mutation: Mutation): void {
    this.#requireRunning();
    this.#writtenBytes += mutationBytes(mutation);
    this.#requireSmall();
    this.mutations.push(mutation);
    if (mutation.kind === 'set') this.#overlay.set(mutation.key, mutation.value);
    else if (mutation.kind === 'setStampedValue') this.#overlay.set(mutation.key, STAMPED);
    else if (mutation.kind === 'clear') this.#overlay.clear(mutation.key);
    else if (mutation.kind === 'clearRange') this.#overlay.clearRange(mutation.begin, mutation.end);
  }

  #requireRunning(): void {
    if (this.#ended) throw new MvfuseError('INVALID_ARGUMENT', 'the transaction has ended');
  }

  #requireYoung(): void {
    const ageMs = this.#options.monotonicMs() - this.#beganMs;
    if (ageMs <= KV_TRANSACTION_MS_MAX) return;
    throw new MvfuseError(
      'LIMIT',
      `the transaction is ${Math.round(ageMs)} ms old; at most ${KV_TRANSACTION_MS_MAX} ms are allowed`,
    );
  }

  #requireSmall(): void {
    if (this.#writtenBytes + this.reads.bytes <= KV_TRANSACTION_BYTES_MAX) return;
    throw new MvfuseError('LIMIT', `the transaction is larger than ${KV_TRANSACTION_BYTES_MAX} bytes`);
  }
}

function mutationBytes(mutation: Mutation): number {
  let bytes = 0;
  for (const field of Object.values(mutation)) if (typeof field !== 'string') bytes += field.length;
  return bytes;
}

function refuseStamped(): never {
  throw new MvfuseError('INVALID_ARGUMENT', 'a versionstamped value cannot be read before its commit');
}
