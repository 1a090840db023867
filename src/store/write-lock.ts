// The write lock of a namespace, between everybody in this process who writes it: connections of all mounted names,
// and commands.
//
// Held by at most one connection. A connection that was refused because its snapshot is older than the head
// keeps the lock reserved for a moment: it comes back at once with a fresh snapshot and must then find the lock
// free, or two busy writers could starve a third for ever.

import { WRITE_RESERVATION_MS } from '../limits.js';
import { Wakeup } from '../wakeup.js';

/** Somebody who writes; the object itself is the identity. */
export interface Writer {
  /** The process on whose behalf it writes, for those who find the lock taken. */
  readonly pid: number | undefined;
}

export class WriteLock {
  #holder: Writer | undefined;
  #heldSinceMs = 0;
  #reservation: { readonly by: Writer; readonly untilMs: number } | undefined;
  /** Woken whenever the lock may have become free. */
  readonly released = new Wakeup();
  readonly #nowMs: () => number;

  /** @param nowMs a monotonic clock in milliseconds */
  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  get holder(): Writer | undefined {
    return this.#holder;
  }

  /** When the holder got it, by the clock of the constructor. */
  get heldSinceMs(): number {
    return this.#heldSinceMs;
  }

  /** How long the holder has had it. */
  get heldMs(): number {
    return this.#holder === undefined ? 0 : this.#nowMs() - this.#heldSinceMs;
  }

  /** Nobody holds it, or has it reserved. */
  get free(): boolean {
    return this.#holder === undefined && !this.#reserved();
  }

  /** Takes the lock for `who`, who may hold it already; false while another holds it or has it reserved. */
  tryAcquire(who: Writer): boolean {
    if (this.#holder !== undefined) return this.#holder === who;
    if (this.#reserved() && this.#reservation!.by !== who) return false;
    this.#reservation = undefined;
    this.#holder = who;
    this.#heldSinceMs = this.#nowMs();
    return true;
  }

  /** Gives the lock back; nothing happens when `who` does not hold it. */
  release(who: Writer): void {
    if (this.#holder !== who) return;
    this.#holder = undefined;
    this.released.wake();
  }

  /** Gives the lock back and keeps it reserved for the same connection for WRITE_RESERVATION_MS. */
  releaseReserved(who: Writer): void {
    this.#reservation = { by: who, untilMs: this.#nowMs() + WRITE_RESERVATION_MS };
    this.release(who);
  }

  /** Forgets a connection that is gone. */
  forget(who: Writer): void {
    if (this.#reservation?.by === who) this.#reservation = undefined;
    this.release(who);
  }

  #reserved(): boolean {
    return this.#reservation !== undefined && this.#nowMs() < this.#reservation.untilMs;
  }
}
