// One attempt of a transaction on FoundationDB, as the engine contract has it: keys below the store's prefix, the
// contract's limits, and refusal once the attempt is over.

import { MvfuseError } from '../../errors.js';
import { KV_TRANSACTION_BYTES_MAX, KV_TRANSACTION_MS_MAX } from '../../limits.js';
import { VERSION_BYTES } from '../../version.js';
import type { KeyValue, RangeOptions, ReadTransaction, Transaction } from '../engine.js';
import {
  copyKey,
  copyValue,
  requireKeyBytes,
  requireOrder,
  requireRange,
  requireValueBytes,
} from '../transaction-arguments.js';
import { ClientError, type ClientReads, type ClientTransaction, clientErrorCode } from './client.js';
import type { KeySpace } from './key-space.js';

export interface FoundationdbTransactionOptions {
  readonly native: ClientTransaction;
  readonly keys: KeySpace;
  readonly monotonicMs: () => number;
  /** Whether the state is that of the version which the caller named. */
  readonly isAsOf: boolean;
  /** Called for each batch of reads that the cluster is asked for. */
  readonly onRead: () => void;
}

export class FoundationdbTransaction implements Transaction {
  readonly isAsOf: boolean;
  readonly snapshot: ReadTransaction;
  readonly #native: ClientTransaction;
  readonly #keys: KeySpace;
  readonly #monotonicMs: () => number;
  readonly #onRead: () => void;
  readonly #beganMs: number;
  #writtenBytes = 0;
  #mutations = 0;
  #readsInBatch = 0;
  #ended = false;

  constructor({ native, keys, monotonicMs, isAsOf, onRead }: FoundationdbTransactionOptions) {
    this.#native = native;
    this.#keys = keys;
    this.#monotonicMs = monotonicMs;
    this.#onRead = onRead;
    this.#beganMs = monotonicMs();
    this.isAsOf = isAsOf;
    const reads = native.snapshot();
    this.snapshot = {
      get: (key) => this.#get(reads, key),
      getRange: (begin, end, options) => this.#getRange(reads, begin, end, options),
    };
  }

  get wrote(): boolean {
    return this.#mutations > 0;
  }

  get(key: Uint8Array): Promise<Buffer | undefined> {
    return this.#get(this.#native, key);
  }

  getRange(begin: Uint8Array, end: Uint8Array, options?: RangeOptions): Promise<KeyValue[]> {
    return this.#getRange(this.#native, begin, end, options);
  }

  expectUnchanged(key: Uint8Array): void {
    this.#requireRunning();
    if (!this.isAsOf)
      throw new MvfuseError('INVALID_ARGUMENT', 'the state of this transaction is not the one that was asked for');
    this.#native.addReadConflictKey(this.#key(key));
  }

  set(key: Uint8Array, value: Uint8Array): void {
    this.#count(key.length + value.length);
    this.#native.set(this.#key(key), copyValue(value));
  }

  clear(key: Uint8Array): void {
    this.#count(key.length);
    this.#native.clear(this.#key(key));
  }

  clearRange(begin: Uint8Array, end: Uint8Array): void {
    requireOrder(begin, end);
    this.#count(begin.length + end.length);
    this.#native.clearRange(this.#key(begin), this.#key(end));
  }

  setVersionstampedKey(prefix: Uint8Array, suffix: Uint8Array, value: Uint8Array): void {
    requireKeyBytes(prefix.length + VERSION_BYTES + suffix.length);
    this.#count(prefix.length + VERSION_BYTES + suffix.length + value.length);
    this.#native.setVersionstampedKeyRaw(stamped(this.#keys.key(prefix), suffix), copyValue(value));
  }

  setVersionstampedValue(key: Uint8Array, prefix: Uint8Array, suffix: Uint8Array): void {
    requireValueBytes(prefix.length + VERSION_BYTES + suffix.length);
    this.#count(key.length + prefix.length + VERSION_BYTES + suffix.length);
    this.#native.setVersionstampedValueRaw(this.#key(key), stamped(prefix, suffix));
  }

  /** @throws LIMIT when the transaction is too large or too old to be committed. */
  requireCommittable(): void {
    this.#requireYoung();
    this.#requireSmall();
  }

  /** Every later call is refused. */
  end(): void {
    this.#ended = true;
  }

  async #get(reads: ClientReads, key: Uint8Array): Promise<Buffer | undefined> {
    const name = this.#key(key);
    return this.#reading(() => reads.get(name));
  }

  async #getRange(
    reads: ClientReads,
    begin: Uint8Array,
    end: Uint8Array,
    options: RangeOptions = {},
  ): Promise<KeyValue[]> {
    requireRange(begin, end, options);
    const [first, last] = [this.#key(begin), this.#key(end)];
    const { limit, reverse = false } = options;
    const pairs = await this.#reading(() =>
      reads.getRangeAll(first, last, { reverse, ...(limit === undefined ? {} : { limit }) }),
    );
    return pairs.map((pair) => this.#keys.pair(pair));
  }

  /** Reads that are asked for together count as one batch. */
  async #reading<T>(read: () => Promise<T>): Promise<T> {
    this.#requireRunning();
    this.#requireYoung();
    if (this.#readsInBatch++ === 0) this.#onRead();
    try {
      return await read();
    } catch (error) {
      if (clientErrorCode(error) !== ClientError.ACCESSED_UNREADABLE) throw error;
      throw new MvfuseError('INVALID_ARGUMENT', 'what is versionstamped cannot be read before its commit');
    } finally {
      this.#readsInBatch -= 1;
    }
  }

  #key(key: Uint8Array): Buffer {
    return this.#keys.key(copyKey(key));
  }

  #count(bytes: number): void {
    this.#requireRunning();
    this.#writtenBytes += bytes;
    this.#mutations += 1;
    this.#requireSmall();
  }

  #requireRunning(): void {
    if (this.#ended) throw new MvfuseError('INVALID_ARGUMENT', 'the transaction has ended');
  }

  #requireYoung(): void {
    const ageMs = this.#monotonicMs() - this.#beganMs;
    if (ageMs <= KV_TRANSACTION_MS_MAX) return;
    throw new MvfuseError(
      'LIMIT',
      `the transaction is ${Math.round(ageMs)} ms old; at most ${KV_TRANSACTION_MS_MAX} ms are allowed`,
    );
  }

  #requireSmall(): void {
    if (this.#writtenBytes <= KV_TRANSACTION_BYTES_MAX) return;
    throw new MvfuseError('LIMIT', `the transaction is larger than ${KV_TRANSACTION_BYTES_MAX} bytes`);
  }
}

/** Bytes that the commit's version is put into, and where. */
function stamped(prefix: Uint8Array, suffix: Uint8Array): Buffer {
  const offset = Buffer.alloc(4);
  offset.writeUInt32LE(prefix.length);
  return Buffer.concat([prefix, Buffer.alloc(VERSION_BYTES), suffix, offset]);
}
