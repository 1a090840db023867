// Whole databases in and out of a namespace: the bytes of one version, and a file taken in as one commit.

import { MvfuseError } from '../errors.js';
import { WRITER_WAIT_MS_DEFAULT } from '../limits.js';
import { HEADER_BYTES, isWhole, readHeader, stampHeader } from '../sqlite/header.js';
import { bytesOfPage, pageCountOf } from '../store/page-count.js';
import type { PageStore } from '../store/page-store.js';
import type { Commit, Head, NamespaceId, Page, PageNumber } from '../store/types.js';
import { allPages, isHole, pageBatches } from './pages.js';
import { asWriter } from './writer.js';

/** The file as `head` has it, in pieces that must not be changed. @throws CORRUPT naming the page */
export async function* versionBytes(store: PageStore, namespace: NamespaceId, head: Head): AsyncGenerator<Buffer> {
  for (const numbers of pageBatches(allPages(head))) {
    for (const [index, page] of (await store.readPages(namespace, head, numbers)).entries()) {
      yield page.subarray(0, bytesOfPage(head, numbers[index]!));
    }
  }
}

/**
 * Replaces the namespace's content by the database that `source` gives, `sizeBytes` long, as one commit. Durable when
 * it resolves; when it rejects, nothing changed.
 * @throws INVALID_ARGUMENT for what is no whole SQLite database, BUSY while a connection holds the write lock
 */
export async function importDatabase(
  store: PageStore,
  namespace: NamespaceId,
  sizeBytes: number,
  source: AsyncIterable<Uint8Array>,
  lockWaitMsMax = WRITER_WAIT_MS_DEFAULT,
): Promise<Commit> {
  const pieces = source[Symbol.asyncIterator]();
  const start = await takeBytes(pieces, Buffer.alloc(0), HEADER_BYTES);
  const header = readHeader(start);
  if (header === undefined || !isWhole(header, sizeBytes)) {
    throw new MvfuseError('INVALID_ARGUMENT', 'this is no whole SQLite database: its size is not what page 1 states');
  }
  return asWriter(store, namespace, lockWaitMsMax, async () => {
    const base = await store.head(namespace);
    const { pageBytes } = header;
    const replaced = pageBytes === base.pageBytes ? pageCountOf(base) : 0;
    const pages = storedPages(cutPages(pieces, start, pageBytes, sizeBytes), replaced);
    const request = { namespace, base: base.version, pageBytes, sizeBytes, pages };
    return (await store.commit([request]))[0]!;
  });
}

/** Without what reads as zeros anyway, past the pages that are replaced. */
async function* storedPages(pages: AsyncIterable<Page>, replaced: number): AsyncGenerator<Page> {
  for await (const page of pages) if (page.number <= replaced || !isHole(page.data)) yield page;
}

async function* cutPages(
  pieces: AsyncIterator<Uint8Array>,
  start: Buffer,
  pageBytes: number,
  sizeBytes: number,
): AsyncGenerator<Page> {
  const count = sizeBytes / pageBytes;
  let held = start;
  for (let number = 1; number <= count; number += 1) {
    held = await takeBytes(pieces, held, pageBytes);
    if (held.length < pageBytes) throw new MvfuseError('INVALID_ARGUMENT', 'the database ended before its size');
    const data = Buffer.from(held.subarray(0, pageBytes));
    held = held.subarray(pageBytes);
    const header = number === 1 ? readHeader(data) : undefined;
    if (header?.plain === true && header.wantsWal) stampHeader(data, header.changeCounter);
    yield { number: number as PageNumber, data };
  }
}

/** `held` and as many pieces behind it as give `bytes`, or all there are. */
async function takeBytes(pieces: AsyncIterator<Uint8Array>, held: Buffer, bytes: number): Promise<Buffer> {
  const parts = [held];
  let length = held.length;
  while (length < bytes) {
    const { done, value } = await pieces.next();
    if (done === true) break;
    parts.push(Buffer.from(value.buffer, value.byteOffset, value.length));
    length += value.length;
  }
  return parts.length === 1 ? held : Buffer.concat(parts);
}
