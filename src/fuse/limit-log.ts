// Tells whoever runs the daemon that a limit was reached, which one, and by which option it is set. Each limit at most
// once in a while, with how often it was reached meanwhile: a client that tries again and again must not fill the log.

import type { Logger } from 'pino';
import type { LimitError } from './errno.js';

const PAUSE_MS = 5_000;

export class LimitLog {
  readonly #log: Logger;
  readonly #nowMs: () => number;
  readonly #told = new Map<string, { atMs: number; silent: number }>();

  constructor(log: Logger, nowMs: () => number) {
    this.#log = log;
    this.#nowMs = nowMs;
  }

  tell(error: LimitError, op: string): void {
    const { limit, option, max, message } = error;
    const nowMs = this.#nowMs();
    const last = this.#told.get(limit);
    if (last !== undefined && nowMs - last.atMs < PAUSE_MS) {
      last.silent += 1;
      return;
    }
    this.#told.set(limit, { atMs: nowMs, silent: 0 });
    this.#log.warn({ op, limit, max, option, repeated: last?.silent || undefined }, message);
  }
}
