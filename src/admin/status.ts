// What a store can say of itself, for `mvfuse status`.

import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Status } from '../status.js';
import type { PageStore } from '../store/page-store.js';

/** The part of the status that the store itself knows. */
export async function storeStatus(
  store: PageStore,
  directory: string | undefined,
): Promise<Omit<Status, 'daemon' | 'mounts'>> {
  const [hosts, cluster] = await Promise.all([store.hosts(), store.cluster()]);
  return {
    hosts,
    cluster,
    storeBytes: directory === undefined ? undefined : await directoryBytes(directory),
    namespaces: (await store.listNamespaces()).length,
    cache: store.cacheUsage,
  };
}

async function directoryBytes(directory: string): Promise<number> {
  let bytes = 0;
  for (const name of await readdir(directory)) {
    // A file may go while they are counted.
    bytes += (await stat(join(directory, name)).catch(() => undefined))?.size ?? 0;
  }
  return bytes;
}
