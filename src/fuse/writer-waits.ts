// How long, and how many, writers without SQLite's locks (cp, cat >) wait for a write lock. Each keeps a request and its
// bytes unanswered; were they as many as the queue is long, the request that gives the lock back could not be read.

import type { Usage } from '../status.js';
import { LimitError } from './errno.js';

export interface WriterWaitOptions {
  readonly waitMsMax: number;
  readonly countMax: number;
}

export class WriterWaits {
  readonly waitMsMax: number;
  readonly #countMax: number;
  #count = 0;

  constructor({ waitMsMax, countMax }: WriterWaitOptions) {
    this.waitMsMax = waitMsMax;
    this.#countMax = countMax;
  }

  get usage(): Usage {
    return { now: this.#count, max: this.#countMax };
  }

  /** Runs what waits. @throws EBUSY when too many wait already */
  async during<T>(wait: () => Promise<T>): Promise<T> {
    if (this.#count >= this.#countMax) {
      throw new LimitError('EBUSY', 'writers that wait for a write lock', '--queue-length', this.#countMax);
    }
    this.#count += 1;
    try {
      return await wait();
    } finally {
      this.#count -= 1;
    }
  }

  /** What whoever waited for too long is told. */
  timedOut(): LimitError {
    return new LimitError(
      'EBUSY',
      'milliseconds that a writer waits for a write lock',
      '--writer-wait',
      this.waitMsMax,
    );
  }
}
