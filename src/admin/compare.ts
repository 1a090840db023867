// Two versions, page by page: of one namespace by its changelog, of two by all their pages.

import { readHeader, sameContent } from '../sqlite/header.js';
import { pageCountOf } from '../store/page-count.js';
import type { PageStore } from '../store/page-store.js';
import type { Head, NamespaceId, PageNumber } from '../store/types.js';
import { pageBatches } from './pages.js';

export interface Progressing {
  /** Hears of pages compared. */
  readonly onProgress?: (progress: { readonly done: number; readonly total: number }) => void;
  /** Ends the work between two rounds of reading. */
  readonly signal?: AbortSignal;
}

/** A version of a namespace that is kept open meanwhile. */
export interface Compared {
  readonly store: PageStore;
  readonly namespace: NamespaceId;
  readonly head: Head;
}

export interface ComparedPage {
  readonly number: PageNumber;
  /** Whole pages; undefined past the end of a file. Not to be changed. */
  readonly from: Buffer | undefined;
  readonly to: Buffer | undefined;
  /** SQLite's own counters on page 1 do not count. */
  readonly isSame: boolean;
}

/** Every page that may differ, ascending. @throws CORRUPT naming the page, the signal's reason */
export async function* comparePages(
  { from, to }: { readonly from: Compared; readonly to: Compared },
  { onProgress, signal }: Progressing = {},
): AsyncGenerator<ComparedPage> {
  const pages = await pagesToCompare(from, to);
  const total = pages.length;
  let done = 0;
  for (const numbers of pageBatches(pages.numbers)) {
    signal?.throwIfAborted();
    const [old, now] = await Promise.all([readInside(from, numbers), readInside(to, numbers)]);
    for (const [index, number] of numbers.entries()) {
      const [a, b] = [old[index], now[index]];
      const isEqual = a !== undefined && b !== undefined && isSamePage(number, a, b);
      yield { number, from: a, to: b, isSame: isEqual };
    }
    done += numbers.length;
    onProgress?.({ done, total });
  }
}

async function pagesToCompare(
  from: Compared,
  to: Compared,
): Promise<{ numbers: Iterable<PageNumber>; length: number }> {
  const count = Math.max(pageCountOf(from.head), pageCountOf(to.head));
  const [older, newer] = from.head.version <= to.head.version ? [from, to] : [to, from];
  const changed =
    from.namespace === to.namespace && from.head.pageBytes === to.head.pageBytes
      ? await from.store.changedPages(older.namespace, older.head, newer.head)
      : 'all';
  if (changed === 'all') return { numbers: allNumbers(count), length: count };
  const numbers = [...changed].filter((page) => page <= count).sort((a, b) => a - b);
  return { numbers, length: numbers.length };
}

function* allNumbers(count: number): Generator<PageNumber> {
  for (let page = 1; page <= count; page += 1) yield page as PageNumber;
}

/** Pages past the end are undefined. */
async function readInside(
  { store, namespace, head }: Compared,
  numbers: readonly PageNumber[],
): Promise<Array<Buffer | undefined>> {
  const inside = numbers.filter((number) => number <= pageCountOf(head));
  const pages = inside.length === 0 ? [] : await store.readPages(namespace, head, inside);
  return numbers.map((_, index) => pages[index]);
}

function isSamePage(number: PageNumber, a: Buffer, b: Buffer): boolean {
  const isPlain = number === 1 && readHeader(a)?.plain === true && readHeader(b)?.plain === true;
  return isPlain ? sameContent(a, b) : a.equals(b);
}
