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
  const sizeBytes = stated === undefined ? dirty.sizeBytes : stated * pageBytes;
  const cut = new PageCutter(base, dirty, header, pageBytes, sizeBytes, author);
  const count = Math.ceil(sizeBytes / pageBytes);

  const rewritten = pageBytes !== base.head.pageBytes || base.sizeBytes === 0;
  const numbers = rewritten ? cut.all(count) : await cut.changed(count);
  if (numbers.length === 0 && sizeBytes === base.sizeBytes) {
    return { header, storedHeader: base.header, request: undefined };
  }
  // The stored change counter names the version, so page 1 belongs to every commit of a plain database.
  if (header?.plain === true && count > 0 && numbers[0] !== 1) numbers.unshift(1);
  return {
    header,
    storedHeader: cut.storedHeader(),
    request: { namespace, base: base.head.version, pageBytes, sizeBytes, pages: cut.pages(numbers) },
  };
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

  /** Every page of the file but the one of the lock bytes. */
  all(count: number): number[] {
    return this.#range(1, count);
  }

  #range(first: number, last: number): number[] {
    const skipped = lockBytePage(this.pageBytes);
    const numbers: number[] = [];
    for (let number = first; number <= last; number += 1) if (number !== skipped) numbers.push(number);
    return numbers;
  }

  /** The pages whose content is not the base's, of a file that keeps its page size. */
  async changed(count: number): Promise<number[]> {
    const skipped = lockBytePage(this.pageBytes);
    const touched = this.dirty.pagesTouched(this.pageBytes).filter((n) => n <= count && n !== skipped);
    const baseCount = Math.ceil(this.base.sizeBytes / this.pageBytes);
    const old = touched.filter((number) => number <= baseCount);
    const numbers: number[] = [];
    for (let at = 0; at < old.length; at += COMPARE_PAGES_MAX) {
      const group = old.slice(at, at + COMPARE_PAGES_MAX);
      const before = await this.#before(group as PageNumber[]);
      for (const [index, number] of group.entries()) {
        const old = before[index];
        if (old === undefined || !this.#same(number, await this.#view(number), old)) numbers.push(number);
      }
    }
    // SQLite may take back a shrinking commit: then pages past the base's end are there without having been written.
    const added = this.author === 'sqlite' ? this.#range(baseCount + 1, count) : touched.filter((n) => n > baseCount);
    return numbers.concat(added);
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
  async *pages(numbers: readonly number[]): AsyncGenerator<Page> {
    const { pageBytes } = this;
    const countMax = Math.max(1, Math.floor(READ_BYTES / pageBytes));
    for (let at = 0; at < numbers.length; ) {
      const first = numbers[at]!;
      let count = 1;
      while (count < countMax && numbers[at + count] === first + count) count += 1;
      const run = await this.#view(first, count);
      for (let index = 0; index < count; index += 1) {
        const number = first + index;
        const left = Math.min(pageBytes, this.sizeBytes - (number - 1) * pageBytes);
        const data = run.subarray(index * pageBytes, index * pageBytes + left);
        if (number === 1) this.#stamp(data);
        yield { number: number as PageNumber, data };
      }
      at += count;
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
