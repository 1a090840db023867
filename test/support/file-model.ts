// Random histories of a file that is no database: growth, cuts, holes, new page sizes, commits of any size; and what
// each version must read as.

import assert from 'node:assert/strict';
import type { PageStore } from '../../src/store/page-store.js';
import type { CommitRequest, Head, NamespaceId, Page } from '../../src/store/types.js';
import { type Random, randomInteger } from './random.js';
import { pageNumber } from './stores.js';

const PAGES_MAX = 14;

/** One version, remembered in full. */
export interface Copy {
  readonly head: Head;
  readonly content: Buffer;
}

/** A namespace beside the simplest store there is: a full copy of the file for every version. */
export class FileModel {
  readonly id: NamespaceId;
  readonly copies: Copy[];

  constructor(id: NamespaceId, head: Head, content: Buffer = Buffer.alloc(0)) {
    this.id = id;
    this.copies = [{ head, content }];
  }

  get newest(): Copy {
    return this.copies.at(-1)!;
  }

  /** A random next state of the file, and the request that leads to it. */
  change(random: Random): { request: CommitRequest; content: Buffer } {
    const { head, content: before } = this.newest;
    const pageBytes = random() < 0.08 || before.length === 0 ? 512 * 2 ** randomInteger(random, 0, 2) : head.pageBytes;
    const sizeBytes = random() < 0.35 ? randomSize(random, pageBytes) : Math.max(before.length, pageBytes);
    const isRewrite = pageBytes !== head.pageBytes;
    const content = Buffer.alloc(sizeBytes);
    if (!isRewrite) before.copy(content);
    const pages: Page[] = [];
    const pageCount = Math.ceil(sizeBytes / pageBytes);
    const density = random() < 0.3 ? 0.9 : 0.15;
    for (let number = 1; number <= pageCount; number++) {
      const isCut = number === pageCount && sizeBytes < before.length && sizeBytes % pageBytes !== 0;
      if (!isCut && random() > density) continue;
      const data = content.subarray((number - 1) * pageBytes, number * pageBytes);
      data.fill(randomInteger(random, 0, 255));
      pages.push({ number: pageNumber(number), data: Buffer.from(data) });
    }
    return {
      request: { namespace: this.id, base: head.version, pageBytes, sizeBytes, pages: feed(pages, random) },
      content,
    };
  }
}

function randomSize(random: Random, pageBytes: number): number {
  const wholePages = randomInteger(random, 0, PAGES_MAX) * pageBytes;
  return random() < 0.8 ? wholePages : wholePages + randomInteger(random, 1, pageBytes - 1);
}

/** Both shapes that a request may have. */
function feed(pages: Page[], random: Random): CommitRequest['pages'] {
  if (random() < 0.5) return pages;
  return (async function* () {
    yield* pages;
  })();
}

/** Compares some pages of a version, and of what lies past its end, with the copy; all of them when `random` gives 0. */
export async function checkCopy(
  store: PageStore,
  id: NamespaceId,
  { head, content }: Copy,
  random: Random,
): Promise<void> {
  const pageCount = Math.ceil(head.sizeBytes / head.pageBytes);
  const numbers = Array.from({ length: pageCount + 2 }, (_, index) => index + 1).filter(() => random() < 0.7);
  const pages = await store.readPages(id, head, numbers.map(pageNumber));
  for (const [index, number] of numbers.entries()) {
    const expected = Buffer.concat(
      [content.subarray((number - 1) * head.pageBytes, number * head.pageBytes)],
      head.pageBytes,
    );
    assert.ok(pages[index]!.equals(expected), `page ${number} of namespace ${id} at ${head.version}`);
  }
}
