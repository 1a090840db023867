// POSIX byte-range locks of one inode, truthful: locks of one owner never conflict with each other, setting a
// range replaces what that owner held there. An owner is the kernel's lock_owner, one per process; each lock
// remembers the handle that took it, because it ends with that handle.

import { LOCKS_PER_DATABASE_MAX } from '../limits.js';
import { overlaps } from '../sqlite/lock-bytes.js';
import { LimitError } from './errno.js';

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

  /** The lock of another owner that forbids this one; of several the one that begins first. */
  conflict(owner: bigint, type: LockType, start: number, end: number): Lock | undefined {
    let first: Lock | undefined;
    for (const lock of this.#locks) {
      const forbids = lock.owner !== owner && (type === 'write' || lock.type === 'write');
      if (!forbids || !overlaps(start, end, lock.start, lock.end)) continue;
      if (first === undefined || lock.start < first.start) first = lock;
    }
    return first;
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

  /** @throws ENOLCK when there is no room for another lock, which may cut one of those held in two */
  requireRoom(): void {
    if (this.#locks.length + 2 > LOCKS_PER_DATABASE_MAX) throw tooManyLocks();
  }

  /** Sets the range for the owner; the caller has checked that there is no conflict. */
  set(lock: Lock): void {
    this.#cut(lock.start, lock.end, (held) => held.owner === lock.owner);
    this.#locks.push(lock);
  }

  /** Removes what the owner holds in start..end. @throws ENOLCK when that would leave too many pieces */
  unlock(owner: bigint, start: number, end: number): void {
    const inside = ({ owner: by, start: first, end: last }: Lock): boolean =>
      by === owner && first < start && end < last;
    if (this.#locks.length >= LOCKS_PER_DATABASE_MAX && this.#locks.some(inside)) throw tooManyLocks();
    this.#cut(start, end, (held) => held.owner === owner);
  }

  /** Removes the locks taken through a handle, by any owner or by one; tells whether there were any. */
  dropHandle(fh: number, owner?: bigint): boolean {
    const before = this.#locks.length;
    this.#locks = this.#locks.filter((lock) => lock.fh !== fh || (owner !== undefined && lock.owner !== owner));
    return this.#locks.length !== before;
  }

  #cut(start: number, end: number, affected: (lock: Lock) => boolean): void {
    const rest: Lock[] = [];
    for (const lock of this.#locks) {
      if (!affected(lock) || !overlaps(start, end, lock.start, lock.end)) {
        rest.push(lock);
        continue;
      }
      if (lock.start < start) rest.push({ ...lock, end: start - 1 });
      if (lock.end > end) rest.push({ ...lock, start: end + 1 });
    }
    this.#locks = rest;
  }
}

function tooManyLocks(): LimitError {
  return new LimitError('ENOLCK', 'locks on one database through one path', undefined, LOCKS_PER_DATABASE_MAX);
}
