// Pages in memory, bounded in bytes: for each page a short list of images, each with the interval of
// versions in which it is the page's content.
//
// A closed interval [from, until] is a fact of the past and never wrong. An open one goes on to the newest
// version that the cache knows of its namespace; a commit closes those of the pages that it wrote. To end
// all open intervals of a namespace at once, its generation is raised: then they end at their `until`.

import { LRUCache } from 'lru-cache';
import { CACHED_NAMESPACES_MAX, PAGE_CACHE_INTERVALS_MAX } from '../limits.js';
import { type Version, ZERO_VERSION } from '../version.js';
import type { NamespaceId, PageNumber } from './types.js';

interface Interval {
  readonly from: Version;
  /** Inclusive. For an open interval: the newest version when it was put in. */
  until: Version;
  /** The namespace's generation while the interval is open, else CLOSED. */
  generation: number;
  readonly data: Buffer;
}
/** The newest first. */
type Intervals = Interval[];

interface Progress {
  /** Stands for the namespace in the keys of its pages. */
  readonly slot: number;
  /** The newest version known. */
  newest: Version;
  generation: number;
}

export interface WrittenPage {
  readonly number: PageNumber;
  /** Whole, and never changed again; undefined where it is not known here. */
  readonly data?: Buffer;
}

const CLOSED = -1;
/** Roughly what an entry takes besides its pages. */
const ENTRY_BYTES = 200;

export class PageCache {
  readonly #pages: LRUCache<number, Intervals>;
  readonly #progress = new Map<NamespaceId, Progress>();

  constructor(bytesMax: number) {
    this.#pages = new LRUCache({
      maxSize: Math.max(1, bytesMax),
      sizeCalculation: (intervals) => intervals.reduce((bytes, { data }) => bytes + data.length, ENTRY_BYTES),
    });
  }

  /** Pages' worth of entries, and the bytes that they take. */
  get usage(): { pages: number; bytes: number; bytesMax: number } {
    return { pages: this.#pages.size, bytes: this.#pages.calculatedSize, bytesMax: this.#pages.maxSize };
  }

  /** The page's content at `version`; must not be changed. */
  get(namespace: NamespaceId, page: PageNumber, version: Version): Buffer | undefined {
    const progress = this.#progress.get(namespace);
    if (progress === undefined) return undefined;
    const intervals = this.#pages.get(cacheKey(progress, page));
    if (intervals === undefined) return undefined;
    for (const interval of intervals) {
      if (interval.from > version) continue;
      const isOpen = interval.generation === progress.generation;
      return version <= (isOpen ? progress.newest : interval.until) ? interval.data : undefined;
    }
    return undefined;
  }

  /** Keeps `data`, read at `version` and written at `from` (or ZERO_VERSION). It must never be changed again. */
  put(namespace: NamespaceId, page: PageNumber, from: Version, version: Version, data: Buffer): void {
    const progress = this.#progressOf(namespace);
    if (version > progress.newest) {
      // Commits that the cache did not hear of lie between.
      progress.newest = version;
      progress.generation++;
    }
    const generation = version === progress.newest ? progress.generation : CLOSED;
    this.#insert(progress, cacheKey(progress, page), { from, until: version, generation, data });
  }

  /**
   * Tells of a commit on top of `base`. `changed` are all pages whose content may differ since, or 'all';
   * the images that are given are kept.
   */
  advance(namespace: NamespaceId, base: Version, version: Version, changed: readonly WrittenPage[] | 'all'): void {
    const progress = this.#progressOf(namespace);
    if (version <= progress.newest) return;
    if (changed === 'all' || progress.newest !== base) progress.generation++;
    progress.newest = version;
    if (changed === 'all') return;
    for (const { number, data } of changed) {
      const key = cacheKey(progress, number);
      const open = this.#pages.peek(key)?.find(({ generation }) => generation === progress.generation);
      if (open !== undefined) {
        open.until = base;
        open.generation = CLOSED;
      }
      if (data !== undefined)
        this.#insert(progress, key, { from: version, until: version, generation: progress.generation, data });
    }
  }

  /** Keeps one interval for each `from`: the one that reaches further. */
  #insert(progress: Progress, key: number, interval: Interval): void {
    const intervals = this.#pages.peek(key) ?? [];
    const end = ({ generation, until }: Interval) => (generation === progress.generation ? progress.newest : until);
    const same = intervals.find(({ from }) => from === interval.from);
    if (same !== undefined && (same.generation === progress.generation || end(same) > end(interval))) return;
    const next = [...intervals.filter((other) => other !== same), interval].sort((a, b) => (a.from < b.from ? 1 : -1));
    this.#pages.set(key, next.slice(0, PAGE_CACHE_INTERVALS_MAX));
  }

  #progressOf(namespace: NamespaceId): Progress {
    let progress = this.#progress.get(namespace);
    if (progress === undefined) {
      // Of those that came and went, nobody says that they are gone.
      if (this.#progress.size >= CACHED_NAMESPACES_MAX) {
        this.#pages.clear();
        this.#progress.clear();
      }
      progress = { slot: this.#progress.size, newest: ZERO_VERSION, generation: 0 };
      this.#progress.set(namespace, progress);
    }
    return progress;
  }
}

/** Unique while a slot stays below 2^21 (CACHED_NAMESPACES_MAX) and a page number below 2^32. */
function cacheKey({ slot }: Progress, page: PageNumber): number {
  return slot * 2 ** 32 + page;
}
