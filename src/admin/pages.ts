// Reading many pages of a file, a few MiB of the largest at a time.

import { isMvfuseError, MvfuseError } from '../errors.js';
import { PAGE_BYTES_MAX, READ_PAGES_MAX } from '../limits.js';
import { pageCountOf } from '../store/page-count.js';
import type { PageStore } from '../store/page-store.js';
import type { Head, NamespaceId, PageNumber } from '../store/types.js';

const BATCH_PAGES = Math.min(64, READ_PAGES_MAX);
const ZEROS = Buffer.alloc(PAGE_BYTES_MAX);

/** Cuts into pieces that are read at once. */
export function* pageBatches(pages: Iterable<PageNumber>): Generator<PageNumber[]> {
  let batch: PageNumber[] = [];
  for (const page of pages) {
    batch.push(page);
    if (batch.length < BATCH_PAGES) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}

export function* allPages(head: Head): Generator<PageNumber> {
  const count = pageCountOf(head);
  for (let page = 1; page <= count; page += 1) yield page as PageNumber;
}

/** Whether a page need not be written where nothing is: it reads as this. The page of SQLite's lock bytes is one of them. */
export function isHole(page: Uint8Array): boolean {
  return ZEROS.subarray(0, page.length).equals(page);
}

/** One side of a copy, with the words that name it in messages. */
export interface Side {
  readonly store: PageStore;
  readonly id: NamespaceId;
  readonly label: string;
}

/** As PageStore.readPages; a damaged page is told with the side that it is on. @throws CORRUPT, STORE_FAILED */
export async function readSide(
  { store, id, label }: Side,
  head: Head,
  pages: readonly PageNumber[],
): Promise<Buffer[]> {
  try {
    return await store.readPages(id, head, pages);
  } catch (error) {
    if (!isMvfuseError(error, 'CORRUPT')) throw error;
    throw new MvfuseError('CORRUPT', `${label} cannot be read at version ${head.version}: ${error.message}`, {
      cause: error,
    });
  }
}
