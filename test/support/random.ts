// Seeded randomness for tests: the seed is printed, and MVFUSE_TEST_SEED repeats a run.

export type Random = () => number;

/** A seed of this run, or the one that MVFUSE_TEST_SEED states; printed, so that a failure can be repeated. */
export function chooseSeed(what: string): number {
  const stated = process.env.MVFUSE_TEST_SEED;
  const seed = stated === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(stated);
  console.log(`# ${what}: MVFUSE_TEST_SEED=${seed}`);
  return seed;
}

/** mulberry32: numbers in [0, 1), the same ones for the same seed. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** An integer in [low, high]. */
export function randomInteger(random: Random, low: number, high: number): number {
  return low + Math.floor(random() * (high - low + 1));
}

export function randomBytes(random: Random, length: number): Buffer {
  return Buffer.from(Array.from({ length }, () => Math.floor(random() * 256)));
}
