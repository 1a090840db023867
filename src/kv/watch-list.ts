// Who waits for a key to change, in one process: settled by the commits that pass through it.

import { MvfuseError } from '../errors.js';
import { KV_WATCHES_MAX } from '../limits.js';
import { bytesToLatin1 } from './bytes.js';
import type { ResolvedMutation } from './mutation.js';

interface Waiter {
  readonly resolve: () => void;
  readonly reject: (reason: unknown) => void;
}

export class WatchList {
  readonly #waiters = new Map<string, Set<Waiter>>();
  #count = 0;

  get isEmpty(): boolean {
    return this.#count === 0;
  }

  /**
   * Resolves when `key` is written; rejects with the signal's reason.
   * @throws LIMIT past KV_WATCHES_MAX waiters
   */
  wait(key: Uint8Array, signal: AbortSignal | undefined): Promise<void> {
    if (this.#count >= KV_WATCHES_MAX) {
      return Promise.reject(new MvfuseError('LIMIT', `more than ${KV_WATCHES_MAX} watches`));
    }
    const name = bytesToLatin1(key);
    let waiter: Waiter | undefined;
    const waiting = new Promise<void>((resolve, reject) => {
      waiter = { resolve, reject };
    });
    this.#add(name, waiter!);
    const abort = () => this.#settle(name, waiter!, (w) => w.reject(signal!.reason));
    signal?.addEventListener('abort', abort, { once: true });
    return waiting.finally(() => signal?.removeEventListener('abort', abort));
  }

  notify(mutations: Iterable<ResolvedMutation>): void {
    for (const mutation of mutations) {
      if (mutation.kind !== 'clearRange') {
        this.#settleKey(bytesToLatin1(mutation.key));
        continue;
      }
      const [begin, end] = [bytesToLatin1(mutation.begin), bytesToLatin1(mutation.end)];
      for (const key of [...this.#waiters.keys()]) if (begin <= key && key < end) this.#settleKey(key);
    }
  }

  rejectAll(reason: unknown): void {
    for (const [key, waiters] of [...this.#waiters]) {
      for (const waiter of waiters) this.#settle(key, waiter, (w) => w.reject(reason));
    }
  }

  #settleKey(key: string): void {
    for (const waiter of this.#waiters.get(key) ?? []) this.#settle(key, waiter, (w) => w.resolve());
  }

  #add(key: string, waiter: Waiter): void {
    const waiters = this.#waiters.get(key) ?? new Set();
    this.#waiters.set(key, waiters.add(waiter));
    this.#count++;
  }

  #settle(key: string, waiter: Waiter, settle: (waiter: Waiter) => void): void {
    const waiters = this.#waiters.get(key);
    if (!waiters?.delete(waiter)) return;
    if (waiters.size === 0) this.#waiters.delete(key);
    this.#count--;
    settle(waiter);
  }
}
