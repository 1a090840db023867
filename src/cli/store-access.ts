// How a command reaches a store: through the daemon that owns it while one runs, otherwise by opening it.

import { connectControl, socketPath } from '../admin/control-socket.js';
import { localService, type StoreService } from '../admin/store-service.js';
import { openEngine, storeDirectory } from '../kv/open.js';
import { PAGE_CACHE_BYTES_DEFAULT } from '../limits.js';
import { PageStore } from '../store/page-store.js';

/** Opens the store in this process; the caller closes it. @throws STORE_OWNED, STORE_FORMAT, INVALID_ARGUMENT */
export async function openStore(url: string, cacheBytesMax = PAGE_CACHE_BYTES_DEFAULT): Promise<PageStore> {
  const clock = Date.now;
  const engine = await openEngine(url, { clock });
  try {
    return await PageStore.open({ engine, clock, cacheBytesMax });
  } catch (error) {
    await engine.close();
    throw error;
  }
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
