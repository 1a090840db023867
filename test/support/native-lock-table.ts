// POSIX record locks of one file, for the tests of the native session: by owner and byte range, with waiters.

import type { LockDescription, LockRequest } from '../../src/native/binding.js';

interface Held {
  readonly owner: bigint;
  readonly start: number;
  readonly end: number;
  readonly type: 'read' | 'write';
  readonly pid: number;
}

interface Waiter {
  readonly request: LockRequest;
  readonly answer: (isGranted: boolean) => void;
}

export class NativeLockTable {
  #held: Held[] = [];
  #waiters: Waiter[] = [];

  conflict(request: LockRequest): LockDescription | undefined {
    if (request.type === 'unlock') return undefined;
    return this.#held.find(
      (held) =>
        held.owner !== request.owner &&
        held.start <= request.end &&
        request.start <= held.end &&
        (held.type === 'write' || request.type === 'write'),
    );
  }

  /** Sets or clears the lock and returns true, or returns false when another owner is in the way. */
  acquire(request: LockRequest): boolean {
    if (this.conflict(request) !== undefined) return false;
    const { owner, start, end, type, lockPid: pid } = request;
    this.#held = this.#held.flatMap((held) => (held.owner === owner ? without(held, start, end) : [held]));
    if (type !== 'unlock') this.#held.push({ owner, start, end, type, pid });
    this.#wake();
    return true;
  }

  acquireOrWait(request: LockRequest, answer: (isGranted: boolean) => void): void {
    if (this.acquire(request)) answer(true);
    else this.#waiters.push({ request, answer });
  }

  interrupt(unique: number): void {
    const waiter = this.#waiters.find((each) => each.request.unique === unique);
    if (waiter === undefined) return;
    this.#waiters.splice(this.#waiters.indexOf(waiter), 1);
    waiter.answer(false);
  }

  releaseOwner(owner: bigint): void {
    this.#held = this.#held.filter((held) => held.owner !== owner);
    this.#wake();
  }

  #wake(): void {
    const ready = this.#waiters.find((waiter) => this.conflict(waiter.request) === undefined);
    if (ready === undefined) return;
    this.#waiters.splice(this.#waiters.indexOf(ready), 1);
    ready.answer(this.acquire(ready.request));
  }
}

/** What is left of a lock when its owner gives up the bytes from `start` to `end`. */
function without(held: Held, start: number, end: number): Held[] {
  const left: Held[] = [];
  if (held.start < start) left.push({ ...held, end: Math.min(held.end, start - 1) });
  if (held.end > end) left.push({ ...held, start: Math.max(held.start, end + 1) });
  return left;
}
