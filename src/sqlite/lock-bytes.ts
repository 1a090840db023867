// The byte ranges that SQLite's unix VFS locks (https://sqlite.org/lockingv3.html, os.h of SQLite).

export const PENDING_BYTE = 0x4000_0000;
export const RESERVED_BYTE = PENDING_BYTE + 1;
export const SHARED_FIRST = PENDING_BYTE + 2;
export const SHARED_LAST = SHARED_FIRST + 509;

/** The number of the page that holds the lock bytes: SQLite never reads or writes it. */
export function lockBytePage(pageBytes: number): number {
  return Math.floor(PENDING_BYTE / pageBytes) + 1;
}

/** Whether the range start..end (both included) covers any byte of first..last. */
export function overlaps(start: number, end: number, first: number, last: number): boolean {
  return start <= last && end >= first;
}
