// How a command reaches a store: through the daemon that owns it while one runs or is named, otherwise by opening it.

import { hostname } from 'node:os';
import { connectApi, connectSocket, type DaemonClient, parseApiUrl } from '../admin/api/client.js';
import { readToken } from '../admin/api/token.js';
import { daemonSockets, embeddedSocketPath } from '../admin/socket-path.js';
import { localService, type StoreService } from '../admin/store-service.js';
import { isShared, openEngine, storeDirectory, storeIdentity } from '../kv/open.js';
import { LEASE_MS_DEFAULT, PAGE_CACHE_BYTES_DEFAULT } from '../limits.js';
import type { StoreObserver } from '../observers.js';
import { PageStore } from '../store/page-store.js';
import type { HostOptions } from '../store/write-leases.js';
import type { ServiceOptions } from './options.js';
import { isGone, ownIdentity } from './process-identity.js';

export interface OpenStoreOptions {
  readonly cacheBytesMax?: number;
  /** Of a store that several hosts share. */
  readonly leaseMs?: number;
  readonly leaseReads?: boolean;
  readonly observer?: StoreObserver;
}

/**
 * Opens the store in this process; the caller closes it.
 * @throws STORE_OWNED, STORE_FORMAT, STORE_FAILED, INVALID_ARGUMENT
 */
export async function openStore(url: string, options: OpenStoreOptions = {}): Promise<PageStore> {
  const { cacheBytesMax = PAGE_CACHE_BYTES_DEFAULT, observer } = options;
  const clock = Date.now;
  const engine = await openEngine(url, { clock });
  try {
    return await PageStore.open({ engine, clock, cacheBytesMax, host: await hostOptions(url, options), observer });
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

/** Runs `use` with the service on the store that the options, or its URL alone, name, and closes it. */
export async function withService<T>(
  named: ServiceOptions | string,
  use: (service: StoreService) => Promise<T>,
): Promise<T> {
  const options = typeof named === 'string' ? { store: named } : named;
  const service =
    (await connectDaemon(options)) ?? localService(await openStore(options.store), storeDirectory(options.store));
  try {
    return await use(service);
  } finally {
    await service.close();
  }
}

/** The daemon that the options name, or else that owns the store; undefined when the store is to be opened here. */
async function connectDaemon({ store, api, apiTokenFile }: ServiceOptions): Promise<DaemonClient | undefined> {
  if (api !== undefined) {
    return connectApi(parseApiUrl(api, apiTokenFile === undefined ? undefined : readToken(apiTokenFile)));
  }
  const directory = storeDirectory(store);
  return directory === undefined ? undefined : connectSocket(embeddedSocketPath(directory));
}

/** All daemons that the options may mean: on this machine, of this user, where none is named. The caller closes them. */
export async function connectDaemons(options: ServiceOptions): Promise<DaemonClient[]> {
  const named = await connectDaemon(options);
  if (named !== undefined) return [named];
  if (options.api !== undefined || storeDirectory(options.store) !== undefined) return [];
  const sockets = daemonSockets(storeIdentity(options.store));
  return (await Promise.all(sockets.map(connectSocket))).filter((daemon) => daemon !== undefined);
}
