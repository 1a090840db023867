// How a command reaches a store: through the daemon that owns it while one runs, otherwise by opening it.

import { hostname } from 'node:os';
import { connectControl, socketPath } from '../admin/control-socket.js';
import { localService, type StoreService } from '../admin/store-service.js';
import { isShared, openEngine, storeDirectory } from '../kv/open.js';
import { LEASE_MS_DEFAULT, PAGE_CACHE_BYTES_DEFAULT } from '../limits.js';
import { PageStore } from '../store/page-store.js';
import type { HostOptions } from '../store/write-leases.js';
import { isGone, ownIdentity } from './process-identity.js';

export interface OpenStoreOptions {
  readonly cacheBytesMax?: number;
  /** Of a store that several hosts share. */
  readonly leaseMs?: number;
  readonly leaseReads?: boolean;
}

/**
 * Opens the store in this process; the caller closes it.
 * @throws STORE_OWNED, STORE_FORMAT, STORE_FAILED, INVALID_ARGUMENT
 */
export async function openStore(url: string, options: OpenStoreOptions = {}): Promise<PageStore> {
  const { cacheBytesMax = PAGE_CACHE_BYTES_DEFAULT } = options;
  const clock = Date.now;
  const engine = await openEngine(url, { clock });
  try {
    return await PageStore.open({ engine, clock, cacheBytesMax, host: await hostOptions(url, options) });
  } catch (error) {
    await engine.close();
    throw error;
  }
}

/** What this process tells others that share the store; undefined where it has it alone. */
export async function hostOptions(
  url: string,
  { leaseMs = LEASE_MS_DEFAULT, leaseReads = true }: OpenStoreOptions = {},
): Promise<HostOptions | undefined> {
  if (!isShared(url)) return undefined;
  // Commands on a store of their own do without the addon.
  const { bootTimeMs } = await import('../native/binding.js');
  const identity = ownIdentity();
  return { name: hostname(), pid: process.pid, identity, isGone, bootTimeMs, leaseMs, leaseReads };
}

/** Runs `use` with the store's service, and closes it. */
export async function withService<T>(url: string, use: (service: StoreService) => Promise<T>): Promise<T> {
  const directory = storeDirectory(url);
  const service =
    (directory === undefined ? undefined : await connectControl(socketPath(directory))) ??
    localService(await openStore(url), directory);
  try {
    return await use(service);
  } finally {
    await service.close();
  }
}
