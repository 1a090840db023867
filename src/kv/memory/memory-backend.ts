// An engine that keeps everything in memory and nothing beyond its life: the oracle of the model tests.
//
// Its state is one sorted array that is never changed, only replaced by a commit; so a snapshot is a
// reference to it, and obviously consistent. A commit takes time in proportion to the whole store.

import { KV_CONFLICT_LOG_WRITES_MAX } from '../../limits.js';
import type { Snapshot } from '../buffered-transaction.js';
import { ConflictLog } from '../conflict-log.js';
import type { Backend, PendingCommit } from '../embedded-engine.js';
import type { KeyValue, RangeOptions } from '../engine.js';
import { type ResolvedMutation, resolveMutation } from '../mutation.js';
import { CONFLICT } from '../retry.js';
import { counterToBytes, nextCounter } from '../versionstamp.js';

export class MemoryBackend implements Backend {
  #pairs: readonly KeyValue[] = [];
  #counter = 0;
  readonly #log = new ConflictLog(0, KV_CONFLICT_LOG_WRITES_MAX);

  async openSnapshot(): Promise<Snapshot> {
    return new MemorySnapshot(this.#pairs, this.#counter);
  }

  async commit(commit: PendingCommit): Promise<number | typeof CONFLICT> {
    const { readCounter, reads } = commit;
    if (readCounter !== undefined && !reads.isEmpty && this.#log.conflicts(readCounter, reads)) return CONFLICT;
    const counter = nextCounter(this.#counter, commit.clockMs);
    const version = counterToBytes(counter);
    const mutations = commit.mutations.map((mutation) => resolveMutation(mutation, version));
    const pairs = [...this.#pairs];
    for (const mutation of mutations) apply(pairs, mutation);
    this.#pairs = pairs;
    this.#counter = counter;
    this.#log.add(counter, mutations);
    return counter;
  }

  async close(): Promise<void> {
    this.#pairs = [];
  }
}

class MemorySnapshot implements Snapshot {
  readonly counter: number;
  readonly #pairs: readonly KeyValue[];

  constructor(pairs: readonly KeyValue[], counter: number) {
    this.#pairs = pairs;
    this.counter = counter;
  }

  get(key: Buffer): Buffer | undefined {
    const pair = this.#pairs[position(this.#pairs, key)];
    return pair?.key.equals(key) ? Buffer.from(pair.value) : undefined;
  }

  getRange(begin: Buffer, end: Buffer, { limit, reverse }: RangeOptions): KeyValue[] {
    let [first, last] = [position(this.#pairs, begin), position(this.#pairs, end)];
    if (limit !== undefined && reverse) first = Math.max(first, last - limit);
    else if (limit !== undefined) last = Math.min(last, first + limit);
    const pairs = this.#pairs
      .slice(first, last)
      .map(({ key, value }) => ({ key: Buffer.from(key), value: Buffer.from(value) }));
    return reverse ? pairs.reverse() : pairs;
  }

  release(): void {}
}

function apply(pairs: KeyValue[], mutation: ResolvedMutation): void {
  if (mutation.kind === 'clearRange') {
    const first = position(pairs, mutation.begin);
    pairs.splice(first, position(pairs, mutation.end) - first);
    return;
  }
  const { key } = mutation;
  const index = position(pairs, key);
  const replaced = pairs[index]?.key.equals(key) ? 1 : 0;
  if (mutation.kind === 'clear') pairs.splice(index, replaced);
  else pairs.splice(index, replaced, { key, value: mutation.value });
}

/** Index of the first pair whose key is not before `key`. */
function position(pairs: readonly KeyValue[], key: Buffer): number {
  let [low, high] = [0, pairs.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (Buffer.compare(pairs[middle]!.key, key) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}
