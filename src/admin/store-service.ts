// What commands ask of a store, whether this process has it open or a daemon does.

import type { PageStore } from '../store/page-store.js';
import type { LogEntry, NamespaceInfo } from '../store/types.js';

export interface StoreService {
  listNamespaces(): Promise<NamespaceInfo[]>;
  /** @throws ALREADY_EXISTS, INVALID_ARGUMENT */
  createNamespace(name: string): Promise<NamespaceInfo>;
  /** @throws NOT_FOUND */
  statNamespace(name: string): Promise<NamespaceInfo>;
  /** Newest first. @throws NOT_FOUND */
  log(name: string, limit: number): Promise<LogEntry[]>;
  close(): Promise<void>;
}

/** The service on a store that is open here. */
export function localService(store: PageStore): StoreService {
  return {
    listNamespaces: () => store.listNamespaces(),
    createNamespace: (name) => store.createNamespace(name),
    statNamespace: (name) => store.statNamespace(name),
    log: async (name, limit) => store.log((await store.statNamespace(name)).id, { limit }),
    close: () => store.close(),
  };
}
