// The engine contract for a store that lives in this process: transactions, retries, watches, closing.
//
// A backend supplies two things: snapshots to read from, and a commit that checks what was read against
// what was written since and applies the mutations at the next version. All commits of the store pass
// through here, which is why watches need no polling.

import { BufferedTransaction, type Snapshot } from './buffered-transaction.js';
import { isSame } from './bytes.js';
import type { Engine, ReadTransaction, Transaction, TransactionResult, TransactOptions } from './engine.js';
import { type Mutation, resolveMutation } from './mutation.js';
import { closedError, OpenCalls } from './open-calls.js';
import type { ReadSet } from './read-set.js';
import { CONFLICT, retryConflicts } from './retry.js';
import { counterToBytes, counterToVersion } from './versionstamp.js';
import { WatchList } from './watch-list.js';

export interface PendingCommit {
  /** The commit that the reads saw; undefined when nothing was read. */
  readonly readCounter: number | undefined;
  readonly reads: ReadSet;
  readonly mutations: readonly Mutation[];
  readonly clockMs: number;
  /** Whether it may be answered only once it is durable. */
  readonly durable: boolean;
}

export interface Backend {
  /** A state that holds every commit answered before the call. */
  openSnapshot(): Promise<Snapshot>;
  /** Resolves with the commit's counter once it is visible, and durable if that was asked for; with CONFLICT when nothing was written. */
  commit(commit: PendingCommit): Promise<number | typeof CONFLICT>;
  /** One step of giving space that is no longer used back to the disk, where there is a disk. */
  reclaim?(): Promise<{ readonly bytes: number; readonly isDone: boolean }>;
  /** Called once, with no snapshot open and no commit under way, but for those that hang. */
  close(): Promise<void>;
}

export interface EngineOptions {
  /** Wall clock in ms since 1970: versions follow it. */
  readonly clock: () => number;
  /** For durations; performance.now by default. */
  readonly monotonicMs?: () => number;
  /** In [0, 1); Math.random by default. */
  readonly random?: () => number;
}

export class EmbeddedEngine implements Engine {
  readonly #backend: Backend;
  readonly #clock: () => number;
  readonly #monotonicMs: () => number;
  readonly #random: () => number;
  readonly #watches = new WatchList();
  readonly #calls = new OpenCalls();

  constructor(backend: Backend, options: EngineOptions) {
    this.#backend = backend;
    this.#clock = options.clock;
    this.#monotonicMs = options.monotonicMs ?? (() => performance.now());
    this.#random = options.random ?? Math.random;
  }

  transact<T>(
    body: (transaction: Transaction) => Promise<T>,
    { durable = true }: TransactOptions = {},
  ): Promise<TransactionResult<T>> {
    return this.#calls.run(() => retryConflicts(() => this.#attempt(body, durable), this.#random));
  }

  read<T>(body: (transaction: ReadTransaction) => Promise<T>): Promise<T> {
    return this.#calls.run(() => this.#during((transaction) => body(transaction.snapshot)));
  }

  async watch(key: Uint8Array, value: Uint8Array | undefined, signal?: AbortSignal): Promise<void> {
    this.#calls.requireOpen();
    signal?.throwIfAborted();
    // Waiting begins before the look: a change in between is told of.
    const enough = new AbortController();
    const waiting = this.#watches.wait(key, signal ? AbortSignal.any([signal, enough.signal]) : enough.signal);
    waiting.catch(() => undefined);
    const current = await this.read((transaction) => transaction.get(key));
    if (isSame(current, value)) return waiting;
    enough.abort();
  }

  reclaim(): Promise<number> {
    return this.#calls.run(async () => {
      let bytes = 0;
      for (let isDone = this.#backend.reclaim === undefined; !isDone; ) {
        const step = await this.#backend.reclaim!();
        bytes += step.bytes;
        isDone = step.isDone;
      }
      return bytes;
    });
  }

  close(): Promise<void> {
    return this.#calls.close(() => {
      this.#watches.rejectAll(closedError());
      return this.#backend.close();
    });
  }

  async #attempt<T>(
    body: (transaction: Transaction) => Promise<T>,
    durable: boolean,
  ): Promise<TransactionResult<T> | typeof CONFLICT> {
    const { value, commit } = await this.#during(async (transaction) => {
      const value = await body(transaction);
      transaction.requireCommittable();
      const { readCounter, reads, mutations } = transaction;
      return { value, commit: { readCounter, reads, mutations, clockMs: this.#clock(), durable } };
    });
    if (commit.mutations.length === 0) return { value, version: undefined };
    const counter = await this.#backend.commit(commit);
    if (counter === CONFLICT) return CONFLICT;
    this.#notify(commit.mutations, counter);
    return { value, version: counterToVersion(counter) };
  }

  /** Runs `body` on a new transaction; its snapshot is released before this resolves. */
  async #during<T>(body: (transaction: BufferedTransaction) => Promise<T>): Promise<T> {
    const transaction = new BufferedTransaction({
      openSnapshot: () => this.#backend.openSnapshot(),
      monotonicMs: this.#monotonicMs,
    });
    try {
      return await body(transaction);
    } finally {
      transaction.end();
    }
  }

  #notify(mutations: readonly Mutation[], counter: number): void {
    if (this.#watches.isEmpty) return;
    const version = counterToBytes(counter);
    this.#watches.notify(mutations.map((mutation) => resolveMutation(mutation, version)));
  }
}
