// The calls of an engine that are under way, so that closing waits for them and lets no new ones in.

import { MvfuseError } from '../errors.js';
import { STORE_CLOSE_WAIT_MS_MAX } from '../limits.js';
import { settledWithin } from '../settle.js';

export class OpenCalls {
  readonly #running = new Set<Promise<unknown>>();
  #closing: Promise<void> | undefined;

  /** @throws CLOSED once close() was called */
  async run<T>(work: () => Promise<T>): Promise<T> {
    this.requireOpen();
    const running = work();
    this.#running.add(running);
    try {
      return await running;
    } finally {
      this.#running.delete(running);
    }
  }

  requireOpen(): void {
    if (this.#closing !== undefined) throw closedError();
  }

  /** Waits for what is under way, at most STORE_CLOSE_WAIT_MS_MAX, then runs `finish`; once, however often it is called. */
  close(finish: () => Promise<void>): Promise<void> {
    this.#closing ??= settledWithin(this.#running, STORE_CLOSE_WAIT_MS_MAX).then(finish);
    return this.#closing;
  }
}

export function closedError(): MvfuseError {
  return new MvfuseError('CLOSED', 'the store is closed');
}
