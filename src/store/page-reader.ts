// The content of pages at a version: the newest image no newer than it, unless the file was cut since.
//
// An image is in page/ or in the stage of a bulk commit. What the cache does not have is read in one engine
// transaction, all pages at once. From an engine that is elsewhere, pages that are read in order bring those that come
// next along with them.

import { MvfuseError } from '../errors.js';
import type { Engine, ReadTransaction } from '../kv/engine.js';
import { READ_AHEAD_PAGES_MAX, READ_PAGES_MAX } from '../limits.js';
import { type Version, ZERO_VERSION } from '../version.js';
import { pageRangeUpTo, stagePageKey, versionOfKey } from './keys.js';
import { type Bulk, hiddenSince, type NamespaceHistories, type NamespaceHistory } from './namespace-history.js';
import type { PageCache } from './page-cache.js';
import { decodePage } from './page-codec.js';
import { pageCountOf } from './page-count.js';
import type { Head, NamespaceId, PageNumber } from './types.js';

interface Image {
  readonly version: Version;
  readonly stored: Buffer;
}

/** Pages of a namespace that are read in order. */
interface Run {
  /** The page that continues it, past those brought along. */
  readonly next: number;
  readonly ahead: number;
}

export class PageReader {
  readonly #engine: Engine;
  readonly #cache: PageCache;
  readonly #histories: NamespaceHistories;
  readonly #zeros = new Map<number, Buffer>();
  readonly #runs = new Map<NamespaceId, Run>();

  constructor(engine: Engine, cache: PageCache, histories: NamespaceHistories) {
    this.#engine = engine;
    this.#cache = cache;
    this.#histories = histories;
  }

  async read(namespace: NamespaceId, head: Head, pages: readonly PageNumber[]): Promise<Buffer[]> {
    if (pages.length > READ_PAGES_MAX) {
      throw new MvfuseError('LIMIT', `${pages.length} pages in one read; at most ${READ_PAGES_MAX} are allowed`);
    }
    const count = pageCountOf(head);
    const contents = pages.map((page) => {
      return page > count ? this.#zerosOf(head.pageBytes) : this.#cache.get(namespace, page, head.version);
    });
    const missing = new Set(pages.filter((_, index) => contents[index] === undefined));
    if (missing.size === 0) return contents as Buffer[];
    const ahead = this.#engine.roundTrips === undefined ? [] : this.#ahead(namespace, head, [...missing]);
    const loaded = await this.#load(namespace, head, [...missing], ahead);
    return contents.map((content, index) => content ?? loaded.get(pages[index]!)!);
  }

  #load(
    namespace: NamespaceId,
    head: Head,
    pages: readonly PageNumber[],
    ahead: readonly PageNumber[],
  ): Promise<Map<PageNumber, Buffer>> {
    return this.#engine.read(
      async (transaction) => {
        const history = await this.#histories.load(transaction, namespace, head.version);
        const load = (page: PageNumber): Promise<Buffer> => this.#loadPage(transaction, history, namespace, head, page);
        // Nobody asked for them yet: what is wrong with one concerns whoever does.
        const brought = Promise.allSettled(ahead.map(load));
        const loaded = await Promise.all(pages.map(async (page) => [page, await load(page)] as const));
        await brought;
        return new Map(loaded);
      },
      { atLeast: head.version },
    );
  }

  /** The pages to bring along when `missing` goes on where the last read ended: more each time. */
  #ahead(namespace: NamespaceId, head: Head, missing: readonly PageNumber[]): PageNumber[] {
    const last = Math.max(...missing);
    const run = this.#runs.get(namespace);
    const ahead = run?.next === Math.min(...missing) ? Math.min(2 * run.ahead + 4, READ_AHEAD_PAGES_MAX) : 0;
    this.#runs.set(namespace, { next: last + 1 + ahead, ahead });
    const count = Math.min(ahead, pageCountOf(head) - last);
    return Array.from({ length: Math.max(0, count) }, (_, index) => (last + 1 + index) as PageNumber).filter(
      (page) => this.#cache.get(namespace, page, head.version) === undefined,
    );
  }

  async #loadPage(
    transaction: ReadTransaction,
    history: NamespaceHistory,
    namespace: NamespaceId,
    head: Head,
    page: PageNumber,
  ): Promise<Buffer> {
    const { version, pageBytes } = head;
    const image = await findImage(transaction, history, namespace, page, version);
    const hidden = hiddenSince(history, page, image?.version ?? ZERO_VERSION, version);
    const isVisible = image !== undefined && hidden === undefined;
    const content = isVisible
      ? decodePage(image.stored, pageBytes, { namespace, page, version: image.version })
      : this.#zerosOf(pageBytes);
    this.#cache.put(namespace, page, isVisible ? image.version : (hidden ?? ZERO_VERSION), version, content);
    return content;
  }

  #zerosOf(pageBytes: number): Buffer {
    const zeros = this.#zeros.get(pageBytes) ?? Buffer.alloc(pageBytes);
    this.#zeros.set(pageBytes, zeros);
    return zeros;
  }
}

/** The newest image of the page written at or before `version`, visible or not. */
async function findImage(
  transaction: ReadTransaction,
  history: NamespaceHistory,
  namespace: NamespaceId,
  page: PageNumber,
  version: Version,
): Promise<Image | undefined> {
  const { begin, end } = pageRangeUpTo(namespace, page, version);
  const [pair] = await transaction.getRange(begin, end, { limit: 1, reverse: true });
  const written = pair === undefined ? undefined : { version: versionOfKey(pair.key), stored: pair.value };
  const bulks = history.bulks.filter((bulk) => bulk.version <= version && mayHold(bulk, page));
  for (const bulk of bulks.reverse()) {
    if (written !== undefined && written.version > bulk.version) return written;
    const stored = await transaction.get(stagePageKey(namespace, bulk.stage, page));
    if (stored !== undefined) return { version: bulk.version, stored };
  }
  return written;
}

function mayHold({ first, last }: Bulk, page: PageNumber): boolean {
  return first <= page && page <= last;
}
