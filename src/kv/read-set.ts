// What a transaction read, for the conflict check at its commit: single keys and ranges, as latin1 strings.

export interface ReadRange {
  readonly begin: string;
  /** Exclusive. */
  readonly end: string;
}

export class ReadSet {
  readonly keys = new Set<string>();
  readonly ranges: ReadRange[] = [];
  /** Bytes of the keys named here; they count towards the transaction's limit. */
  bytes = 0;

  get isEmpty(): boolean {
    return this.keys.size === 0 && this.ranges.length === 0;
  }

  addKey(key: string): void {
    if (this.keys.has(key)) return;
    this.keys.add(key);
    this.bytes += key.length;
  }

  addRange(begin: string, end: string): void {
    if (begin >= end) return;
    this.ranges.push({ begin, end });
    this.bytes += begin.length + end.length;
  }
}
