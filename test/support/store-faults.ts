// An engine below a store whose reads or commits of single namespaces fail, are slow, or hang until told to go on.

import { type ErrorCode, MvfuseError } from '../../src/errors.js';
import type { Engine, ReadTransaction, Transaction } from '../../src/kv/engine.js';
import { headKey, metaKey } from '../../src/store/keys.js';
import type { NamespaceId } from '../../src/store/types.js';

/** Reads are those of pages and heads; commits read the head first, and that is where they meet a fault. */
export type StoreAccess = 'reads' | 'commits';
export type StoreFault = 'fail' | 'hang' | { readonly delayMs: number };

interface Rule {
  readonly access: StoreAccess;
  readonly prefix: Buffer;
  readonly fault: StoreFault;
  /** Pending while the fault is in force. */
  readonly ended: Promise<void>;
  readonly end: () => void;
}

export class StoreFaults {
  #rules: Rule[] = [];
  #transactionFails: { left: number; readonly code: ErrorCode } | undefined;
  readonly #met: (access: StoreAccess | 'transaction') => void;

  /** @param met called when an access meets a fault */
  constructor(met: (access: StoreAccess | 'transaction') => void) {
    this.#met = met;
  }

  /** Fails the nth transaction from now on, of those that read alone, too, once; its body runs, and nothing of it stays. */
  failTransaction(nth: number, code: ErrorCode): void {
    this.#transactionFails = { left: nth, code };
  }

  start(access: StoreAccess, namespace: NamespaceId, fault: StoreFault): void {
    let end = (): void => undefined;
    const ended = new Promise<void>((resolve) => {
      end = resolve;
    });
    this.#rules.push({ access, prefix: prefixOf(namespace), fault, ended, end });
  }

  /** Ends all faults; what hung goes on. */
  end(): void {
    this.#transactionFails = undefined;
    for (const { end } of this.#rules.splice(0)) end();
  }

  wrap(engine: Engine): Engine {
    const wrapped: Engine = {
      read: (body, options) =>
        engine.read(
          this.#counted((transaction) => body(this.#during('reads', transaction))),
          options,
        ),
      transact: (body, options) =>
        engine.transact(
          this.#counted((transaction) => body(this.#writing(transaction))),
          options,
        ),
      watch: (key, value, signal) => engine.watch(key, value, signal),
      close: () => engine.close(),
    };
    return wrapped;
  }

  #counted<T extends ReadTransaction, R>(body: (transaction: T) => Promise<R>): (transaction: T) => Promise<R> {
    const fails = this.#transactionFails;
    if (fails === undefined) return body;
    fails.left -= 1;
    if (fails.left > 0) return body;
    this.#transactionFails = undefined;
    return async (transaction) => {
      this.#met('transaction');
      // One that finds nothing throws by itself.
      await body(transaction).catch(() => undefined);
      throw new MvfuseError(fails.code, 'injected');
    };
  }

  #during(access: StoreAccess, transaction: ReadTransaction): ReadTransaction {
    return {
      get: async (key) => {
        await this.#pass(access, key);
        return transaction.get(key);
      },
      getRange: async (begin, end, options) => {
        await this.#pass(access, begin);
        return transaction.getRange(begin, end, options);
      },
    };
  }

  #writing(transaction: Transaction): Transaction {
    return {
      ...this.#during('commits', transaction),
      snapshot: transaction.snapshot,
      isAsOf: transaction.isAsOf,
      expectUnchanged: (key) => transaction.expectUnchanged(key),
      set: (key, value) => transaction.set(key, value),
      clear: (key) => transaction.clear(key),
      clearRange: (begin, end) => transaction.clearRange(begin, end),
      setVersionstampedKey: (...args) => transaction.setVersionstampedKey(...args),
      setVersionstampedValue: (...args) => transaction.setVersionstampedValue(...args),
    };
  }

  async #pass(access: StoreAccess, key: Uint8Array): Promise<void> {
    const met = this.#rules.find((rule) => rule.access === access && startsWith(key, rule.prefix));
    if (met === undefined) return;
    this.#met(access);
    if (met.fault === 'fail') throw new MvfuseError('STORE_FAILED', 'injected');
    if (met.fault === 'hang') return met.ended;
    const { delayMs } = met.fault;
    await new Promise((resolve) => setTimeout(resolve, delayMs));
  }
}

/** What all keys of the namespace begin with. */
function prefixOf(namespace: NamespaceId): Buffer {
  const [meta, head] = [metaKey(namespace), headKey(namespace)];
  let length = 0;
  while (meta[length] === head[length]) length += 1;
  return meta.subarray(0, length);
}

function startsWith(key: Uint8Array, prefix: Uint8Array): boolean {
  return Buffer.compare(key.subarray(0, prefix.length), prefix) === 0;
}
