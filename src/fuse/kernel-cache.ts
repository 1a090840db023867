// What the kernel has cached of one connection's database, and how it is made to forget what has changed.
//
// Cached bytes are those of one version, or were written on top of it. When the connection moves to a newer version, and
// when uncommitted bytes are discarded, what differs is dropped before the request that did it is answered, so no
// read can find it. Such a request must not be a READ or WRITE of the same bytes: the kernel waits for those.
//
// Bytes that were read without locks are dropped as soon as they were answered: nobody says when they grow old.

import { KERNEL_CACHE_DISCARD_MS_MAX, KERNEL_CACHE_MOVE_MS_MAX, KERNEL_CACHE_RANGES_MAX } from '../limits.js';
import type { Version } from '../version.js';
import { LockHeldError, RequestError } from './errno.js';
import type { MountedFile } from './mounted-file.js';

/** Of the kernel's cache on every machine that is supported. */
const KERNEL_PAGE_BYTES = 4096;

/** Bytes from `offset`; to the end of the file without a length. */
export interface ByteRange {
  readonly offset: number;
  readonly length?: number | undefined;
}

export const EVERYTHING: readonly ByteRange[] = [{ offset: 0 }];

/** Tells the kernel; resolves when it has acted. */
export type Invalidate = (range: ByteRange) => Promise<void>;

export class KernelCache {
  readonly #file: MountedFile;
  readonly #invalidate: Invalidate | undefined;
  /** Whether an open file goes through the kernel's cache. */
  #used = false;
  /** The version that cached bytes are of; undefined when there are none. */
  #version: Version | undefined;
  /** Until everything that was read without locks is answered and dropped. */
  #unlocked: Promise<unknown> | undefined;
  /** The kernel did not drop something in time: nothing can be read rightly until the file is opened again. */
  #broken = false;

  /** @param invalidate undefined: nothing is cached */
  constructor(file: MountedFile, invalidate: Invalidate | undefined) {
    this.#file = file;
    this.#invalidate = invalidate;
  }

  /** Whether files may be opened so that the kernel caches them. */
  get wanted(): boolean {
    return this.#invalidate !== undefined;
  }

  /** A handle that goes through the cache is opened. Returns whether the kernel may keep what it has. */
  opened(isFirst: boolean): 'keep' | 'fresh' {
    this.#used = true;
    if (!this.#broken || !isFirst) return 'keep';
    this.#broken = false;
    this.#version = undefined;
    return 'fresh';
  }

  /** Bytes of this version were given to the kernel, or came from it on top of this version. */
  filled(version: Version): void {
    if (this.#used) this.#version ??= version;
  }

  /** What was written on top of the version before is this version now. */
  committed(version: Version): void {
    if (this.#version !== undefined) this.#version = version;
  }

  /**
   * Makes room for the bytes of another version.
   * @throws EAGAIN when the kernel cannot drop the old ones now, EIO when the cache is broken
   */
  async moveTo(version: Version): Promise<void> {
    if (this.#broken) throw new RequestError('EIO', 'the kernel holds pages that were discarded');
    // A read without locks moves the cache, too: whoever takes a lock has the last word.
    while (this.#unlocked !== undefined || !this.#isAt(version)) {
      if (this.#unlocked !== undefined && !(await inTime(this.#unlocked, KERNEL_CACHE_MOVE_MS_MAX)))
        throw new LockHeldError();
      if (!this.#isAt(version)) await this.#move(version);
    }
  }

  /** The same for the sake of a read without locks, of these bytes. */
  async moveUnlocked(version: Version, read?: ByteRange): Promise<void> {
    if (!this.#isAt(version)) await this.#move(version, read);
  }

  #isAt(version: Version): boolean {
    return this.#version === undefined || this.#version === version;
  }

  async #move(version: Version, except?: ByteRange): Promise<void> {
    const changed = this.#file.changedBetween(this.#version!, version);
    if (!(await this.#attempt(changed, KERNEL_CACHE_MOVE_MS_MAX, except))) throw new LockHeldError();
    this.#version = version;
  }

  /** Whether the kernel may go on showing bytes that were discarded. */
  get broken(): boolean {
    return this.#broken;
  }

  /**
   * Uncommitted bytes were discarded. Never rejects: whoever discards has more to do; afterwards the cache may be broken.
   * @param except of a WRITE that is about to fail: the kernel drops those itself, when that is answered
   */
  async drop(ranges: readonly ByteRange[], except?: ByteRange): Promise<void> {
    if (this.#version === undefined || this.#broken || ranges.length === 0) return;
    if (await this.#attempt(ranges, KERNEL_CACHE_DISCARD_MS_MAX, except)) return;
    this.#broken = true;
    this.#file.log.error(
      'the kernel does not drop discarded pages: this connection gets I/O errors until it is closed',
    );
  }

  /** These bytes are being read without locks. Returns what is to be called when the read was answered. */
  readUnlocked(range: ByteRange): () => void {
    if (!this.#used) return () => undefined;
    let answered!: () => void;
    const dropped = new Promise<void>((resolve) => {
      answered = resolve;
    }).then(async () => {
      if (!(await this.#attempt([range], KERNEL_CACHE_DISCARD_MS_MAX))) this.#broken = true;
    });
    const all = Promise.all([this.#unlocked, dropped]).then(() => {
      if (this.#unlocked === all) this.#unlocked = undefined;
    });
    this.#unlocked = all;
    return answered;
  }

  /** Whether the kernel dropped all of it in time. */
  async #attempt(ranges: readonly ByteRange[], waitMsMax: number, except?: ByteRange): Promise<boolean> {
    const few = ranges.length > KERNEL_CACHE_RANGES_MAX ? EVERYTHING : ranges;
    const asked = except === undefined ? few : few.flatMap((range) => without(range, except));
    try {
      return await inTime(Promise.all(asked.map((range) => this.#invalidate?.(range))), waitMsMax);
    } catch (error) {
      this.#file.log.error({ err: error }, 'the kernel refused to drop cached pages');
      return false;
    }
  }
}

async function inTime(work: Promise<unknown>, waitMsMax: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), waitMsMax);
  });
  try {
    return await Promise.race([work.then(() => true), late]);
  } finally {
    clearTimeout(timer);
  }
}

/** The parts of a range outside of the kernel's pages that another one touches. */
function without(range: ByteRange, except: ByteRange): ByteRange[] {
  const from = Math.floor(except.offset / KERNEL_PAGE_BYTES) * KERNEL_PAGE_BYTES;
  const to = Math.ceil((except.offset + (except.length ?? 0)) / KERNEL_PAGE_BYTES) * KERNEL_PAGE_BYTES;
  const start = Math.floor(range.offset / KERNEL_PAGE_BYTES) * KERNEL_PAGE_BYTES;
  const end = range.length === undefined ? Number.POSITIVE_INFINITY : range.offset + range.length;
  const before = { offset: start, length: Math.min(end, from) - start };
  const after = {
    offset: Math.max(start, to),
    length: end === Number.POSITIVE_INFINITY ? undefined : end - Math.max(start, to),
  };
  return [before, after].filter(({ length }) => length === undefined || length > 0);
}

/** Page numbers, 1-based, as ranges of bytes. */
export function rangesOfPages(pages: Iterable<number>, pageBytes: number): ByteRange[] {
  const sorted = [...pages].sort((a, b) => a - b);
  const ranges: Array<{ offset: number; length: number }> = [];
  for (const page of sorted) {
    const offset = (page - 1) * pageBytes;
    const last = ranges.at(-1);
    if (last !== undefined && last.offset + last.length === offset) last.length += pageBytes;
    else ranges.push({ offset, length: pageBytes });
  }
  return ranges;
}
