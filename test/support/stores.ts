// Page stores for tests: small pages, easy commits, an engine that dies on request.

import type { Engine } from '../../src/kv/engine.js';
import { PageStore, type PageStoreOptions } from '../../src/store/page-store.js';
import type { Commit, CommitRequest, NamespaceId, Page, PageNumber } from '../../src/store/types.js';
import type { Version } from '../../src/version.js';

export const PAGE_BYTES = 512;

export function pageNumber(number: number): PageNumber {
  return number as PageNumber;
}

export function filledPage(number: number, fill: number, bytes = PAGE_BYTES): Page {
  return { number: pageNumber(number), data: Buffer.alloc(bytes, fill) };
}

/** Pages given as number → fill. */
export function filledPages(fills: Record<number, number>, bytes = PAGE_BYTES): Page[] {
  return Object.entries(fills).map(([number, fill]) => filledPage(Number(number), fill, bytes));
}

export function openStore(engine: Engine, options: Partial<PageStoreOptions> = {}): Promise<PageStore> {
  return PageStore.open({ engine, clock: Date.now, cacheBytesMax: 1_000_000, ...options });
}

/** A request for whole pages: the size is `pageCount` pages. */
export function request(
  namespace: NamespaceId,
  base: Version,
  pageCount: number,
  pages: CommitRequest['pages'],
  pageBytes = PAGE_BYTES,
): CommitRequest {
  return { namespace, base, pageBytes, sizeBytes: pageCount * pageBytes, pages };
}

export async function commitOne(store: PageStore, request: CommitRequest): Promise<Commit> {
  const [commit] = await store.commit([request]);
  return commit!;
}

/** `engine`, whose transactions fail from the (count + 1)th on, as those of a process that was killed. */
export function dyingEngine(engine: Engine, count: number): Engine {
  let left = count;
  const step = <A extends unknown[], R>(run: (...args: A) => Promise<R>) => {
    return async (...args: A): Promise<R> => {
      if (left-- <= 0) throw new Error('the process died');
      return run(...args);
    };
  };
  return {
    transact: step(engine.transact.bind(engine)) as Engine['transact'],
    read: engine.read.bind(engine),
    watch: engine.watch.bind(engine),
    close: engine.close.bind(engine),
  };
}
