// Turns for work that keeps this thread busy for milliseconds: one at a time, and between two of them everything else
// that has come in is served. So many large writes at once slow down each other, and hardly anybody else.

export class Turns {
  readonly #waiting: Array<() => void> = [];

  /** Resolves when it is this caller's turn: in the order of the calls, one in each round of the event loop. */
  next(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      if (this.#waiting.length === 1) setImmediate(() => this.#give());
    });
  }

  #give(): void {
    this.#waiting.shift()?.();
    if (this.#waiting.length > 0) setImmediate(() => this.#give());
  }
}
