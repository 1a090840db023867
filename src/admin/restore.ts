// Brings an older version of a namespace back as its newest one: a commit like any other, so history is kept.
//
// Only pages that a commit since then may have changed are looked at, and only those that differ are written.

import { readHeader, stampHeader } from '../sqlite/header.js';
import { bytesOfPage, pageCountOf } from '../store/page-count.js';
import type { PageStore } from '../store/page-store.js';
import type { Head, NamespaceId, Page } from '../store/types.js';
import type { Version } from '../version.js';
import { comparePages, type Progressing } from './compare.js';
import { isHole } from './pages.js';

export interface Restored {
  /** The head afterwards. */
  readonly head: Head;
  readonly pageCount: number;
  readonly bytes: number;
}

export interface RestoreOptions extends Progressing {
  readonly dryRun?: boolean;
}

/**
 * To be called as the only writer. Durable when it resolves; when it rejects, nothing changed. Where the newest version has
 * the same content already, nothing is committed. The change counter of a SQLite database goes on, so that nobody takes its
 * cache for the old one.
 * @throws NOT_FOUND, GONE, CORRUPT naming the page, what a commit throws, and the signal's reason
 */
export async function restoreVersion(
  store: PageStore,
  namespace: NamespaceId,
  version: Version,
  options: RestoreOptions = {},
): Promise<Restored> {
  const base = await store.head(namespace);
  const { head: target, close } = await store.openVersion(namespace, version);
  try {
    const plan = { store, namespace, base, target };
    if (options.dryRun === true) return { head: base, ...(await countPages(plan, options)) };
    const { pageCount } = await countPages(plan, {});
    if (pageCount === 0 && target.sizeBytes === base.sizeBytes) return { head: base, pageCount: 0, bytes: 0 };
    const { pageBytes, sizeBytes } = target;
    const [commit] = await store.commit([
      {
        namespace,
        base: base.version,
        pageBytes,
        sizeBytes,
        bytesMax: (pageCount + 1) * pageBytes,
        pages: restoredPages(plan, options),
      },
    ]);
    return commit!;
  } finally {
    close();
  }
}

interface Plan {
  readonly store: PageStore;
  readonly namespace: NamespaceId;
  readonly base: Head;
  readonly target: Head;
}

async function countPages(plan: Plan, options: Progressing): Promise<{ pageCount: number; bytes: number }> {
  let [pageCount, bytes] = [0, 0];
  for await (const { data } of restoredPages(plan, options)) {
    pageCount += 1;
    bytes += data.length;
  }
  return { pageCount, bytes };
}

/** Page 1 comes with every change of a SQLite database: its change counter moves on. */
async function* restoredPages({ store, namespace, base, target }: Plan, options: Progressing): AsyncGenerator<Page> {
  const sides = { from: { store, namespace, head: target }, to: { store, namespace, head: base } };
  const last = pageCountOf(target);
  // What lies past the new end inside of a page must not come back: so that page is written, changed or not.
  let isCut = target.sizeBytes < base.sizeBytes && target.sizeBytes % target.pageBytes !== 0;
  let first: Page | undefined = await firstPage(store, namespace, base, target);
  for await (const { number, from, to, isSame } of comparePages(sides, options)) {
    if (from === undefined) continue;
    const isPresent = isSame || (isHole(from) && (to === undefined || target.pageBytes !== base.pageBytes));
    if (isPresent && !(isCut && number === last)) continue;
    if (number === last) isCut = false;
    if (first !== undefined) yield first;
    if (first === undefined || number !== 1) yield { number, data: from.subarray(0, bytesOfPage(target, number)) };
    first = undefined;
  }
  if (isCut) {
    const [page] = await store.readPages(namespace, target, [last as Page['number']]);
    yield { number: last as Page['number'], data: page!.subarray(0, bytesOfPage(target, last as Page['number'])) };
  }
  // The file became shorter, and no page that stays changed.
  if (first !== undefined && target.sizeBytes !== base.sizeBytes && last > 0) yield first;
}

/** Page 1 as it is stored anew; undefined where the version holds no plain SQLite database. */
async function firstPage(
  store: PageStore,
  namespace: NamespaceId,
  base: Head,
  target: Head,
): Promise<Page | undefined> {
  const number = 1 as Page['number'];
  if (target.sizeBytes === 0) return undefined;
  const [old] = await store.readPages(namespace, target, [number]);
  if (readHeader(old!)?.plain !== true) return undefined;
  const [newest] = base.sizeBytes === 0 ? [] : await store.readPages(namespace, base, [number]);
  const counter = (newest && readHeader(newest)?.changeCounter) ?? readHeader(old!)!.changeCounter;
  const data = Buffer.from(old!);
  stampHeader(data, (counter + 1) >>> 0);
  return { number, data };
}
