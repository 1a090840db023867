// Which keys were written lately, and by which commit: the serialisability check of the embedded engines.
//
// A transaction conflicts when something that it read was written by a commit after its snapshot. The log
// is bounded: what is older than its floor is forgotten, and a snapshot from before the floor always
// conflicts, since nothing is known any more. Keys are latin1 strings; counters ascend from add to add.

import { bytesToLatin1 } from './bytes.js';
import type { ResolvedMutation } from './mutation.js';
import type { ReadSet } from './read-set.js';

interface KeyWrite {
  readonly counter: number;
  readonly key: string;
}
interface RangeWrite {
  readonly counter: number;
  readonly begin: string;
  readonly end: string;
}
type Reads = Pick<ReadSet, 'keys' | 'ranges'>;

export class ConflictLog {
  readonly #writesMax: number;
  #floor: number;
  #keyWrites: KeyWrite[] = [];
  #rangeWrites: RangeWrite[] = [];
  readonly #lastByKey = new Map<string, number>();

  /** @param floor the counter of the newest commit: nothing is known of those before it */
  constructor(floor: number, writesMax: number) {
    this.#floor = floor;
    this.#writesMax = writesMax;
  }

  add(counter: number, mutations: readonly ResolvedMutation[]): void {
    for (const mutation of mutations) {
      if (mutation.kind === 'clearRange') {
        const range = { begin: bytesToLatin1(mutation.begin), end: bytesToLatin1(mutation.end) };
        this.#rangeWrites.push({ counter, ...range });
      } else {
        const key = bytesToLatin1(mutation.key);
        this.#keyWrites.push({ counter, key });
        this.#lastByKey.set(key, counter);
      }
    }
    if (this.#keyWrites.length + this.#rangeWrites.length > this.#writesMax) this.#forgetOlderHalf();
  }

  /** Whether a commit after `readCounter` wrote something of `reads`, or may have. */
  conflicts(readCounter: number, reads: Reads): boolean {
    if (readCounter < this.#floor) return true;
    for (const key of reads.keys) {
      if ((this.#lastByKey.get(key) ?? 0) > readCounter) return true;
      if (someNewer(this.#rangeWrites, readCounter, (write) => write.begin <= key && key < write.end)) return true;
    }
    return reads.ranges.some(
      ({ begin, end }) =>
        someNewer(this.#keyWrites, readCounter, (write) => begin <= write.key && write.key < end) ||
        someNewer(this.#rangeWrites, readCounter, (write) => begin < write.end && write.begin < end),
    );
  }

  /** Forgets everything; `floor` is the newest commit that took place. */
  reset(floor: number): void {
    this.#floor = floor;
    this.#keyWrites = [];
    this.#rangeWrites = [];
    this.#lastByKey.clear();
  }

  #forgetOlderHalf(): void {
    const longer = this.#keyWrites.length >= this.#rangeWrites.length ? this.#keyWrites : this.#rangeWrites;
    const floor = longer[Math.floor(longer.length / 2)]!.counter;
    this.#floor = floor;
    for (const { key, counter } of this.#keyWrites) {
      if (counter <= floor && (this.#lastByKey.get(key) ?? 0) <= floor) this.#lastByKey.delete(key);
    }
    this.#keyWrites = this.#keyWrites.filter((write) => write.counter > floor);
    this.#rangeWrites = this.#rangeWrites.filter((write) => write.counter > floor);
  }
}

function someNewer<W extends { counter: number }>(writes: W[], readCounter: number, matches: (write: W) => boolean) {
  for (let index = writes.length - 1; index >= 0 && writes[index]!.counter > readCounter; index--) {
    if (matches(writes[index]!)) return true;
  }
  return false;
}
