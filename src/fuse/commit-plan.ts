// Cuts a dirty set into the pages of one commit, and finds out whether there is anything to commit.
//
// The page size and, for SQLite's own commits, the size come from the page 1 that is being committed. Pages
// equal to the base are dropped; counters, library number and the wish for a write-ahead log are no content.

import { isMvfuseError } from '../errors.js';
import { PAGE_BYTES_DEFAULT } from '../limits.js';
import { HEADER_BYTES, type Header, readHeader, sameContent, stampHeader } from '../sqlite/header.js';
import { lockBytePage } from '../sqlite/lock-bytes.js';
import type { CommitRequest, NamespaceId, Page, PageNumber } from '../store/types.js';
import type { DatabaseVersion } from './database-version.js';
import type { Overlay } from './overlay.js';
import type { PageBitmap } from './page-bitmap.js';

/** Pages compared with the base in one round of reads. */
const COMPARE_PAGES_MAX = 64;
/** Bytes of neighbouring pages read at once. */
const READ_BYTES = 256 * 1024;

/** Whose size and change counter count: SQLite under its locks, or a program that wrote a whole file. */
export type Author = 'sqlite' | 'copy';

export interface CommitPlan {
  /** The header being committed; undefined where the bytes are no SQLite database. */
  readonly header: Header | undefined;
  /** The same as it will be stored. */
  readonly storedHeader: Header | undefined;
  /** Undefined when the content is that of the base. */
  readonly request: CommitRequest | undefined;
}

export async function planCommit(
  namespace: NamespaceId,
  base: DatabaseVersion,
  dirty: Overlay,
  author: Author,
): Promise<CommitPlan> {
  const header = readHeader(await dirty.read(0, HEADER_BYTES));
  const pageBytes = header?.pageBytes ?? (base.sizeBytes > 0 ? base.head.pageBytes : PAGE_BYTES_DEFAULT);
  const stated = author === 'sqlite' ? header?.pageCount : undefined;
  // Where SQLite cut the file shorter than that, it meant to.
  const sizeBytes = Math.min(dirty.sizeBytes, (stated ?? Number.POSITIVE_INFINITY) * pageBytes);
  const cut = new PageCutter(base, dirty, header, pageBytes, sizeBytes, author);
  const count = Math.ceil(sizeBytes / pageBytes);

  const numbers = await cut.changed(count);
  if (numbers.size === 0 && sizeBytes === base.sizeBytes) {
    return { header, storedHeader: base.header, request: undefined };
  }
  // The stored change counter names the version, so page 1 belongs to every commit of a plain database.
  if (header?.plain === true && count > 0) numbers.add(1);
  const bytesMax = numbers.size * pageBytes;
  // What the base shows is written anew with another page size, and takes space again.
  dirty.requireRoom(bytesMax);
  return {
    header,
    storedHeader: cut.storedHeader(),
    request: { namespace, base: base.head.version, pageBytes, sizeBytes, bytesMax, pages: cut.pages(numbers) },
  };
}

/** The pages of a commit, ascending: some, and all of a run but for one; none of the others is in the run. */
class PageNumbers {
  constructor(
    readonly some: PageBitmap,
    readonly runFirst: number,
    readonly runLast: number,
    readonly skipped: number | undefined,
  ) {}

  get size(): number {
    const run = Math.max(0, this.runLast - this.runFirst + 1);
    return this.some.size + run - (this.skipped !== undefined && this.#inRun(this.skipped) ? 1 : 0);
  }

  add(page: number): void {
    if (!this.#inRun(page)) this.some.add(page);
  }

  *[Symbol.iterator](): Generator<number> {
    let next = this.runFirst;
    for (const page of this.some) {
      if (page > this.runLast) for (; next <= this.runLast; next += 1) if (next !== this.skipped) yield next;
      yield page;
    }
    for (; next <= this.runLast; next += 1) if (next !== this.skipped) yield next;
  }

  #inRun(page: number): boolean {
    return this.runFirst <= page && page <= this.runLast;
  }
}

class PageCutter {
  constructor(
    readonly base: DatabaseVersion,
    readonly dirty: Overlay,
    readonly header: Header | undefined,
    readonly pageBytes: number,
    readonly sizeBytes: number,
    readonly author: Author,
  ) {}

  /**
   * The pages whose content the base does not give; what reads as zeros without having been written is not stored.
   * Only SQLite leaves the page of its lock bytes alone: for anybody else those bytes are as good as any others.
   */
  async changed(count: number): Promise<PageNumbers> {
    const { base, dirty, pageBytes } = this;
    const skipped = this.author === 'sqlite' && this.header !== undefined ? lockBytePage(pageBytes) : undefined;
    // With another page size, no page of the base stands for one of these.
    const baseCount = pageBytes === base.head.pageBytes ? Math.ceil(base.sizeBytes / pageBytes) : 0;
    // SQLite may take back a shrinking commit: then pages past the base's end are there without having been written.
    const runLast = Math.min(count, Math.ceil(dirty.baseBytes / pageBytes));
    // Most of these have to be written, if they were not.
    dirty.requireRoom(dirty.zeroedBytes(baseCount * pageBytes));
    const pages = dirty.pagesTouched(pageBytes, baseCount);
    let group: number[] = [];
    for (const number of pages) {
      if (number > count || number === skipped || (baseCount < number && number <= runLast)) pages.delete(number);
      else if (number <= baseCount) group.push(number);
      if (group.length < COMPARE_PAGES_MAX) continue;
      await this.#dropUnchanged(pages, group);
      group = [];
    }
    await this.#dropUnchanged(pages, group);
    // What is cut off inside of the last page is gone, also where it was zeros and the page reads as before.
    if (this.sizeBytes < base.sizeBytes && this.sizeBytes % pageBytes !== 0 && count <= baseCount) pages.add(count);
    return new PageNumbers(pages, baseCount + 1, runLast, skipped);
  }

  async #dropUnchanged(pages: PageBitmap, group: readonly number[]): Promise<void> {
    if (group.length === 0) return;
    const before = await this.#before(group as PageNumber[]);
    for (const [index, number] of group.entries()) {
      const old = before[index];
      if (old !== undefined && this.#same(number, await this.#view(number), old)) pages.delete(number);
    }
  }

  /** Pages of the base; undefined for one that is damaged, which being written anew mends. */
  async #before(group: readonly PageNumber[]): Promise<Array<Buffer | undefined>> {
    try {
      return await this.base.pages(group);
    } catch (error) {
      if (!isMvfuseError(error, 'CORRUPT')) throw error;
      if (group.length === 1) return [undefined];
    }
    const pages: Array<Buffer | undefined> = [];
    for (const number of group) pages.push(...(await this.#before([number])));
    return pages;
  }

  /** Neighbours are read together. */
  async *pages(numbers: PageNumbers): AsyncGenerator<Page> {
    const countMax = Math.max(1, Math.floor(READ_BYTES / this.pageBytes));
    let first = 0;
    let count = 0;
    for (const number of numbers) {
      if (count > 0 && (number !== first + count || count === countMax)) {
        yield* this.#run(first, count);
        count = 0;
      }
      if (count === 0) first = number;
      count += 1;
    }
    if (count > 0) yield* this.#run(first, count);
  }

  async *#run(first: number, count: number): AsyncGenerator<Page> {
    const { pageBytes } = this;
    const run = await this.#view(first, count);
    for (let index = 0; index < count; index += 1) {
      const number = first + index;
      const left = Math.min(pageBytes, this.sizeBytes - (number - 1) * pageBytes);
      const data = run.subarray(index * pageBytes, index * pageBytes + left);
      if (number === 1) this.#stamp(data);
      yield { number: number as PageNumber, data };
    }
  }

  /** Pages as they read now, in a buffer of their own, zeros past the end. */
  async #view(first: number, count = 1): Promise<Buffer> {
    const bytes = await this.dirty.read((first - 1) * this.pageBytes, count * this.pageBytes);
    if (bytes.length === count * this.pageBytes) return bytes;
    const padded = Buffer.alloc(count * this.pageBytes);
    bytes.copy(padded);
    return padded;
  }

  #same(number: number, after: Buffer, before: Buffer): boolean {
    if (number === 1 && this.header?.plain === true && this.base.header?.plain === true) {
      return sameContent(after, before);
    }
    return after.equals(before);
  }

  /**
   * A plain page 1 is stored without the wish for a write-ahead log, and with a change counter that is one more than
   * the base's, or what a copied file brings along.
   */
  storedHeader(): Header | undefined {
    if (this.header?.plain !== true) return this.header;
    const before = this.author === 'sqlite' && this.base.header?.plain === true ? this.base.header : undefined;
    const changeCounter = before === undefined ? this.header.changeCounter : (before.changeCounter + 1) >>> 0;
    return { ...this.header, changeCounter, wantsWal: false };
  }

  #stamp(page: Buffer): void {
    const stored = this.storedHeader();
    if (stored?.plain !== true || this.header === undefined) return;
    if (stored.changeCounter !== this.header.changeCounter || this.header.wantsWal) {
      stampHeader(page, stored.changeCounter);
    }
  }
}
