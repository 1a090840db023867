// The content of pages at a version: the newest image no newer than it, unless the file was cut since.
//
// An image is in page/ or in the stage of a bulk commit; a fork that has none of a page has its parent's. What the cache
// does not have is read in one engine transaction, all pages at once, which also sees that the version was not removed. From an engine that is elsewhere, pages that are read in order bring those that come
// next along with them.

import { isMvfuseError, MvfuseError } from '../errors.js';
import type { Engine, ReadTransaction } from '../kv/engine.js';
import { READ_AHEAD_PAGES_MAX, READ_PAGES_MAX } from '../limits.js';
import type { StoreObserver } from '../observers.js';
import { type Version, ZERO_VERSION } from '../version.js';
import { pageRangeUpTo, stagePageKey, versionOfKey } from './keys.js';
import type { Lineages } from './lineage.js';
import { type Bulk, hiddenSince, type NamespaceHistories, type NamespaceHistory } from './namespace-history.js';
import type { PageCache } from './page-cache.js';
import { decodePage } from './page-codec.js';
import { pageCountOf } from './page-count.js';
import type { Head, NamespaceId, PageNumber } from './types.js';

interface Image {
  readonly version: Version;
  readonly stored: Buffer;
}

/** A page's content, and since which version it is that. */
interface Loaded {
  readonly page: PageNumber;
  /** Since when it has been the content, as far as what is stored now tells. */
  readonly from: Version;
  /** Whether the namespace has an image of the page, rather than none that can be seen. */
  readonly isOwn: boolean;
  readonly content: Buffer;
}

/** A namespace at a version, with what its pages are read by. */
interface Layer {
  readonly namespace: NamespaceId;
  readonly version: Version;
  readonly history: NamespaceHistory;
}

export interface PageReaderOptions {
  readonly engine: Engine;
  readonly cache: PageCache;
  readonly histories: NamespaceHistories;
  readonly lineages: Lineages;
  readonly observer?: StoreObserver | undefined;
  /** As in held-versions.ts. @throws GONE when the version was removed, as the transaction sees it */
  readonly requireReadable: (
    transaction: ReadTransaction,
    namespace: NamespaceId,
    version: Version,
  ) => Promise<Version>;
}

/** Pages of a namespace that are read in order. */
interface Run {
  /** The page that continues it, past those brought along. */
  readonly next: number;
  readonly ahead: number;
}

export class PageReader {
  /** Pages that were asked for: those that were in memory, and the others. */
  readonly counts = { hits: 0, misses: 0 };
  readonly #engine: Engine;
  readonly #cache: PageCache;
  readonly #histories: NamespaceHistories;
  readonly #lineages: Lineages;
  readonly #requireReadable: PageReaderOptions['requireReadable'];
  readonly #observer: StoreObserver | undefined;
  readonly #zeros = new Map<number, Buffer>();
  readonly #runs = new Map<NamespaceId, Run>();

  constructor({ engine, cache, histories, lineages, requireReadable, observer }: PageReaderOptions) {
    this.#observer = observer;
    this.#engine = engine;
    this.#cache = cache;
    this.#histories = histories;
    this.#lineages = lineages;
    this.#requireReadable = requireReadable;
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
    this.counts.hits += contents.length - missing.size;
    if (missing.size === 0) return contents as Buffer[];
    this.counts.misses += missing.size;
    const ahead = this.#engine.roundTrips === undefined ? [] : this.#ahead(namespace, head, [...missing]);
    const loaded = await this.#observed(missing.size, () => this.#load(namespace, head, [...missing], ahead));
    return contents.map((content, index) => content ?? loaded.get(pages[index]!)!);
  }

  async #observed<T>(count: number, load: () => Promise<T>): Promise<T> {
    if (this.#observer === undefined) return load();
    const startMs = performance.now();
    try {
      const loaded = await load();
      this.#observer.pagesRead(count, performance.now() - startMs);
      return loaded;
    } catch (error) {
      this.#observer.failed('read', isMvfuseError(error) ? error.code : 'INTERNAL');
      throw error;
    }
  }

  #load(
    namespace: NamespaceId,
    head: Head,
    pages: readonly PageNumber[],
    ahead: readonly PageNumber[],
  ): Promise<Map<PageNumber, Buffer>> {
    return this.#engine.read(
      async (transaction) => {
        // Asked together with the pages: one round trip. Nothing is given out, or kept, before the answer is here.
        const readable = this.#requireReadable(transaction, namespace, head.version);
        readable.catch(() => undefined);
        const layers = await this.#layers(transaction, namespace, head.version);
        const load = (page: PageNumber): Promise<Loaded> => this.#loadPage(transaction, layers, head.pageBytes, page);
        // Nobody asked for those ahead yet: what is wrong with one concerns whoever does.
        const brought = Promise.allSettled(ahead.map(load));
        const loading = Promise.all(pages.map(load));
        // What is wrong with a page of a removed version is that the version was removed.
        const [whole] = await Promise.all([readable, loading.catch(() => undefined)]);
        const loaded = await loading;
        const broughtAlong = (await brought).flatMap((one) => (one.status === 'fulfilled' ? one.value : []));
        for (const { page, from, isOwn, content } of [...loaded, ...broughtAlong]) {
          // Where it has no image of its own, it may have had one before, which was removed with the cut that hid it.
          this.#cache.put(namespace, page, isOwn || from > whole ? from : whole, head.version, content);
        }
        return new Map(loaded.map(({ page, content }) => [page, content]));
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

  /** The namespace and what it was forked from, the nearest first. */
  async #layers(transaction: ReadTransaction, namespace: NamespaceId, version: Version): Promise<Layer[]> {
    const layer = async (namespace: NamespaceId, version: Version): Promise<Layer> => ({
      namespace,
      version,
      history: await this.#histories.load(transaction, namespace, version),
    });
    const [own, lineage] = await Promise.all([layer(namespace, version), this.#lineages.load(transaction, namespace)]);
    const ancestors = lineage.map((ancestor) => layer(ancestor.namespace, ancestor.version));
    return [own, ...(await Promise.all(ancestors))];
  }

  async #loadPage(
    transaction: ReadTransaction,
    layers: readonly Layer[],
    pageBytes: number,
    page: PageNumber,
  ): Promise<Loaded> {
    const zeros = this.#zerosOf(pageBytes);
    for (const layer of layers) {
      const image = await findImage(transaction, layer, page);
      const hidden = hiddenSince(layer.history, page, image?.version ?? ZERO_VERSION, layer.version);
      if (image === undefined && hidden === undefined) continue;
      // To the reader of a fork, what is older than the fork was there from the beginning.
      const isOwn = layer === layers[0];
      if (hidden !== undefined) return { page, from: isOwn ? hidden : ZERO_VERSION, isOwn: false, content: zeros };
      const content = decode(image!, pageBytes, layer, page);
      return { page, from: isOwn ? image!.version : ZERO_VERSION, isOwn, content };
    }
    return { page, from: ZERO_VERSION, isOwn: false, content: zeros };
  }

  #zerosOf(pageBytes: number): Buffer {
    const zeros = this.#zeros.get(pageBytes) ?? Buffer.alloc(pageBytes);
    this.#zeros.set(pageBytes, zeros);
    return zeros;
  }
}

/** The newest image of the page written at or before the layer's version, visible or not. */
export async function findImage(
  transaction: ReadTransaction,
  { namespace, version, history }: Layer,
  page: PageNumber,
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

function decode({ version, stored }: Image, pageBytes: number, { namespace }: Layer, page: PageNumber): Buffer {
  return decodePage(stored, pageBytes, { namespace, page, version });
}

export function mayHold({ first, last }: Bulk, page: PageNumber): boolean {
  return first <= page && page <= last;
}
