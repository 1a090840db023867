// A condition that others wait for: woken all together, or each after its own time or signal.

export class Wakeup {
  #waiters = new Set<() => void>();

  wake(): void {
    for (const wake of [...this.#waiters]) wake();
  }

  /** Resolves at the next wake(), after `waitMsMax`, or when the signal aborts; never rejects. */
  async wait(waitMsMax: number, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted) return;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', done);
        this.#waiters.delete(done);
        resolve();
      };
      const timer = setTimeout(done, waitMsMax);
      signal?.addEventListener('abort', done);
      this.#waiters.add(done);
    });
  }
}
