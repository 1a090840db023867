// How long others that hold leases have given no sign of life, as seen from here and by this process's own clock.

import type { BeatRecord } from './records.js';

/** What was last seen of a lease that another process holds, or of the process itself. */
interface Sighting {
  readonly token: number;
  readonly beat: number;
  readonly sinceMs: number;
  lastMs: number;
}

export class Sightings<Key> {
  readonly #bootTimeMs: () => number;
  readonly #seen = new Map<Key, Sighting>();

  /** @param bootTimeMs milliseconds of a clock that goes on while the machine sleeps */
  constructor(bootTimeMs: () => number) {
    this.#bootTimeMs = bootTimeMs;
  }

  /**
   * Takes in what is seen now of a lease with this token; tells whether its holder gave no sign of life for as long as it
   * promised to give one, while this process could have seen one.
   */
  outlived(key: Key, token: number, { beat, leaseMs }: Pick<BeatRecord, 'beat' | 'leaseMs'>): boolean {
    const nowMs = this.#bootTimeMs();
    const seen = this.#seen.get(key);
    const isSame = seen?.token === token && seen.beat === beat;
    // Who did not look for a while (the cluster was away) cannot know whether the holder could give one.
    if (!isSame || nowMs - seen.lastMs > leaseMs / 2) {
      this.#seen.set(key, { token, beat, sinceMs: nowMs, lastMs: nowMs });
      return false;
    }
    seen.lastMs = nowMs;
    return nowMs - seen.sinceMs > leaseMs;
  }

  forget(key: Key): void {
    this.#seen.delete(key);
  }
}
