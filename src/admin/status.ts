// What a store can say of itself, for `mvfuse status`.

import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isMvfuseError } from '../errors.js';
import type { KeptStatus, Status } from '../status.js';
import type { PageStore } from '../store/page-store.js';
import type { NamespaceInfo } from '../store/types.js';
import { ZERO_VERSION } from '../version.js';

const NAMESPACES_AT_ONCE = 64;

/** The part of the status that the store itself knows. */
export async function storeStatus(
  store: PageStore,
  directory: string | undefined,
): Promise<Omit<Status, 'daemon' | 'mounts'>> {
  const [hosts, cluster, namespaces] = await Promise.all([store.hosts(), store.cluster(), store.listNamespaces()]);
  return {
    hosts,
    cluster,
    storeBytes: directory === undefined ? undefined : await directoryBytes(directory),
    namespaces: namespaces.length,
    retention: { ...store.retention.figures, namespaces: await keptOfAll(store, namespaces) },
    cache: store.cacheUsage,
  };
}

async function keptOfAll(store: PageStore, namespaces: readonly NamespaceInfo[]): Promise<KeptStatus[]> {
  const all: KeptStatus[] = [];
  for (let at = 0; at < namespaces.length; at += NAMESPACES_AT_ONCE) {
    const some = namespaces.slice(at, at + NAMESPACES_AT_ONCE);
    all.push(...(await Promise.all(some.map((namespace) => keptOf(store, namespace)))).flat());
  }
  return all;
}

/** Empty where it was deleted meanwhile. */
async function keptOf(store: PageStore, { id, name }: NamespaceInfo): Promise<KeptStatus[]> {
  try {
    const { retention, truncatedBefore, held } = await store.details(id);
    const oldest = truncatedBefore === ZERO_VERSION ? undefined : await store.headAt(id, truncatedBefore);
    const heldVersions = new Set(held.map(({ version }) => version)).size;
    return [{ name, retention, truncatedBefore, keptFromMs: oldest?.timeMs, heldVersions }];
  } catch (error) {
    if (isMvfuseError(error, 'NOT_FOUND')) return [];
    throw error;
  }
}

async function directoryBytes(directory: string): Promise<number> {
  let bytes = 0;
  for (const name of await readdir(directory)) {
    // A file may go while they are counted.
    bytes += (await stat(join(directory, name)).catch(() => undefined))?.size ?? 0;
  }
  return bytes;
}
