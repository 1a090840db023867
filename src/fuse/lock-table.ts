// POSIX byte-range locks of one inode, truthful: locks of one owner never conflict with each other, setting a
// range replaces what that owner held there. An owner is the kernel's lock_owner, one per process; each lock
// remembers the handle that took it, because it ends with that handle.

import { LOCKS_MAX } from '../limits.js';
import { overlaps } from '../sqlite/lock-bytes.js';
import { RequestError } from './errno.js';

export type LockType = 'read' | 'write';

export interface Lock {
  readonly owner: bigint;
  readonly fh: number;
  readonly type: LockType;
  /** First and last byte, both included. */
  readonly start: number;
  readonly end: number;
  /** Process id, for GETLK. */
  readonly pid: number;
}

export class LockTable {
  #locks: Lock[] = [];

  get empty(): boolean {
    return this.#locks.length === 0;
  }

  /** The first lock of another owner that forbids this one. */
  conflict(owner: bigint, type: LockType, start: number, end: number): Lock | undefined {
    return this.#locks.find(
      (lock) =>
        lock.owner !== owner &&
        (type === 'write' || lock.type === 'write') &&
        overlaps(start, end, lock.start, lock.end),
    );
  }

  /** Whether anybody (or only `owner`) holds a lock of that type, or of any, on some byte of first..last. */
  holds(first: number, last: number, type?: LockType, owner?: bigint): boolean {
    return this.#locks.some(
      (lock) =>
        (type === undefined || lock.type === type) &&
        (owner === undefined || lock.owner === owner) &&
        overlaps(first, last, lock.start, lock.end),
    );
  }

  /** Sets the range for the owner; the caller has checked that there is no conflict. @throws ENOLCK past LOCKS_MAX */
  set(lock: Lock): void {
    this.#cut(lock.start, lock.end, (held) => held.owner === lock.owner, lock);
  }

  /** Removes what the owner holds in start..end. @throws ENOLCK when that would leave more than LOCKS_MAX pieces */
  unlock(owner: bigint, start: number, end: number): void {
    this.#cut(start, end, (held) => held.owner === owner);
  }

  /** Removes the locks taken through a handle, by any owner or by one; tells whether there were any. */
  dropHandle(fh: number, owner?: bigint): boolean {
    const before = this.#locks.length;
    this.#locks = this.#locks.filter((lock) => lock.fh !== fh || (owner !== undefined && lock.owner !== owner));
    return this.#locks.length !== before;
  }

  #cut(start: number, end: number, affected: (lock: Lock) => boolean, added?: Lock): void {
    const rest: Lock[] = [];
    for (const lock of this.#locks) {
      if (!affected(lock) || !overlaps(start, end, lock.start, lock.end)) {
        rest.push(lock);
        continue;
      }
      if (lock.start < start) rest.push({ ...lock, end: start - 1 });
      if (lock.end > end) rest.push({ ...lock, start: end + 1 });
    }
    if (added !== undefined) rest.push(added);
    if (rest.length > LOCKS_MAX && rest.length > this.#locks.length) throw new RequestError('ENOLCK');
    this.#locks = rest;
  }
}
