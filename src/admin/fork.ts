// Forks a namespace: at once where the pages can be shared, by copying them where it is too deep already.

import { randomUUID } from 'node:crypto';
import { isMvfuseError, MvfuseError } from '../errors.js';
import { bytesOfPage } from '../store/page-count.js';
import type { PageStore } from '../store/page-store.js';
import type { Head, NamespaceId, NamespaceInfo, Page } from '../store/types.js';
import type { Version } from '../version.js';
import type { Progressing } from './compare.js';
import { allPages, isHole, pageBatches } from './pages.js';

export interface ForkOf {
  readonly source: NamespaceId;
  readonly version: Version;
  readonly name: string;
}

/**
 * The new namespace; it has its name only when it is whole.
 * @throws INVALID_ARGUMENT, NOT_FOUND, GONE, ALREADY_EXISTS, and the signal's reason
 */
export async function forkNamespace(
  store: PageStore,
  { source, version, name }: ForkOf,
  options: Progressing = {},
): Promise<NamespaceInfo> {
  if (!(await store.isForkedOut(source))) return store.forkNamespace(source, version, name);
  await requireFree(store, name);
  const { head, close } = await store.openVersion(source, version);
  try {
    return await copyVersion(store, source, head, name, options);
  } finally {
    close();
  }
}

async function copyVersion(
  store: PageStore,
  source: NamespaceId,
  head: Head,
  name: string,
  options: Progressing,
): Promise<NamespaceInfo> {
  const [proof, { mode }] = await Promise.all([store.accessProof(source), store.statById(source)]);
  const unfinished = await store.createNamespace(`.unfinished-fork-${randomUUID()}`, { mode });
  try {
    if (proof !== undefined) await store.setAccessProof(unfinished.id, proof);
    const { pageBytes, sizeBytes } = head;
    const pages = copiedPages(store, source, head, options);
    await store.acquireLease(unfinished.id, 0);
    await store.commit([{ namespace: unfinished.id, base: unfinished.head.version, pageBytes, sizeBytes, pages }]);
    return await store.renameNamespace(unfinished.name, name);
  } catch (error) {
    // What cannot be removed now says by its name what it is; the first error says more.
    const removed = store.removeNamespace(unfinished.name, { id: unfinished.id, force: true });
    await removed.then((id) => store.retention.purge(id)).catch(() => undefined);
    throw error;
  }
}

/** Before all is copied; the last word has the transaction that gives the name. @throws INVALID_ARGUMENT, ALREADY_EXISTS */
async function requireFree(store: PageStore, name: string): Promise<void> {
  try {
    await store.statNamespace(name);
  } catch (error) {
    if (isMvfuseError(error, 'NOT_FOUND')) return;
    throw error;
  }
  throw new MvfuseError('ALREADY_EXISTS', `the namespace "${name}" exists already`);
}

async function* copiedPages(
  store: PageStore,
  namespace: NamespaceId,
  head: Head,
  { onProgress, signal }: Progressing,
): AsyncGenerator<Page> {
  const total = Math.ceil(head.sizeBytes / head.pageBytes);
  let done = 0;
  for (const numbers of pageBatches(allPages(head))) {
    signal?.throwIfAborted();
    for (const [index, page] of (await store.readPages(namespace, head, numbers)).entries()) {
      const number = numbers[index]!;
      if (!isHole(page)) yield { number, data: page.subarray(0, bytesOfPage(head, number)) };
    }
    done += numbers.length;
    onProgress?.({ done, total });
  }
}
