// What commands ask of a store, whether this process has it open or a daemon does.

import { MvfuseError } from '../errors.js';
import type { MountStatus, Status } from '../status.js';
import type { PageStore } from '../store/page-store.js';
import type { Commit, Head, LogEntry, NamespaceInfo } from '../store/types.js';
import type { Version } from '../version.js';
import { storeStatus } from './status.js';
import { importDatabase, versionBytes } from './transfer.js';

/** One version's bytes on their way out: `head.sizeBytes` of them. */
export interface Content {
  readonly head: Head;
  readonly bytes: AsyncIterable<Uint8Array>;
}

export interface StoreService {
  listNamespaces(): Promise<NamespaceInfo[]>;
  /** @throws ALREADY_EXISTS, INVALID_ARGUMENT */
  createNamespace(name: string): Promise<NamespaceInfo>;
  /** @throws NOT_FOUND */
  statNamespace(name: string): Promise<NamespaceInfo>;
  /** Newest first. @throws NOT_FOUND */
  log(name: string, limit: number): Promise<LogEntry[]>;
  /** The newest version unless one is named. @throws NOT_FOUND, and while the bytes are read CORRUPT */
  exportVersion(name: string, version: Version | undefined): Promise<Content>;
  /** Replaces the content as one commit; see importDatabase. @throws NOT_FOUND, INVALID_ARGUMENT, BUSY */
  importDatabase(name: string, sizeBytes: number, bytes: AsyncIterable<Uint8Array>): Promise<Commit>;
  status(): Promise<Status>;
  close(): Promise<void>;
}

/** What a daemon adds to the service on its store. */
export interface DaemonService {
  /** What is mounted. */
  readonly mounts: () => Promise<MountStatus[]>;
  /** How long an import waits for a write lock. */
  readonly writerWaitMs: number;
}

/**
 * The service on a store that is open here.
 * @param directory of the store, if it has one
 * @param daemon what this process is as a daemon, when it is one
 */
export function localService(store: PageStore, directory: string | undefined, daemon?: DaemonService): StoreService {
  return {
    listNamespaces: () => store.listNamespaces(),
    createNamespace: (name) => store.createNamespace(name),
    statNamespace: (name) => store.statNamespace(name),
    log: async (name, limit) => store.log((await store.statNamespace(name)).id, { limit }),
    exportVersion: async (name, version) => {
      const namespace = await store.statNamespace(name);
      const head = version === undefined ? namespace.head : await store.headAt(namespace.id, version);
      if (head === undefined) throw new MvfuseError('NOT_FOUND', `namespace "${name}" has no version ${version}`);
      return { head, bytes: versionBytes(store, namespace.id, head) };
    },
    importDatabase: async (name, sizeBytes, bytes) =>
      importDatabase(store, (await store.statNamespace(name)).id, sizeBytes, bytes, daemon?.writerWaitMs),
    status: async () => ({
      daemon:
        daemon === undefined
          ? undefined
          : {
              pid: process.pid,
              uptimeMs: Math.round(process.uptime() * 1000),
              residentBytes: process.memoryUsage.rss(),
            },
      mounts: (await daemon?.mounts()) ?? [],
      ...(await storeStatus(store, directory)),
    }),
    close: () => store.close(),
  };
}
