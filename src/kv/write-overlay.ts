// A transaction's own writes, as its later reads must see them: the newest word on each key, and the
// ranges that it cleared.

import { bytesToLatin1, latin1ToBytes } from './bytes.js';
import type { KeyValue } from './engine.js';
import type { ReadRange } from './read-set.js';

/** The value is known at the commit only, so it cannot be read before. */
export const STAMPED = Symbol('stamped value');
type Written = Buffer | undefined | typeof STAMPED;

export class WriteOverlay {
  readonly #written = new Map<string, Written>();
  #cleared: ReadRange[] = [];

  set(key: Buffer, value: Buffer | typeof STAMPED): void {
    this.#written.set(bytesToLatin1(key), value);
  }

  clear(key: Buffer): void {
    this.#written.set(bytesToLatin1(key), undefined);
  }

  clearRange(begin: Buffer, end: Buffer): void {
    const range = { begin: bytesToLatin1(begin), end: bytesToLatin1(end) };
    for (const key of this.#written.keys()) if (isInside(key, range)) this.#written.delete(key);
    this.#cleared.push(range);
  }

  /** What this transaction made of `key`; `own` is false when it did not touch it. */
  lookup(key: string): { own: true; value: Written } | { own: false } {
    if (this.#written.has(key)) return { own: true, value: this.#written.get(key) };
    if (this.#cleared.some((range) => isInside(key, range))) return { own: true, value: undefined };
    return { own: false };
  }

  touches(range: ReadRange): boolean {
    if (this.#cleared.some(({ begin, end }) => begin < range.end && range.begin < end)) return true;
    for (const key of this.#written.keys()) if (isInside(key, range)) return true;
    return false;
  }

  /** The pairs of `range` after this transaction's writes, ascending. `stored` are all that the store holds there. */
  merge(range: ReadRange, stored: readonly KeyValue[]): { key: Buffer; value: Buffer | typeof STAMPED }[] {
    const pairs: { key: Buffer; value: Buffer | typeof STAMPED }[] = stored.filter(
      ({ key }) => !this.lookup(bytesToLatin1(key)).own,
    );
    for (const [key, value] of this.#written) {
      if (value !== undefined && isInside(key, range)) {
        pairs.push({ key: latin1ToBytes(key), value: typeof value === 'symbol' ? value : Buffer.from(value) });
      }
    }
    return pairs.sort((a, b) => Buffer.compare(a.key, b.key));
  }
}

function isInside(key: string, { begin, end }: ReadRange): boolean {
  return begin <= key && key < end;
}
