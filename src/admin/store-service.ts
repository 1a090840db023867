// What commands ask of a store, whether this process has it open or a daemon does.

import { MvfuseError } from '../errors.js';
import type { MountStatus, Status } from '../status.js';
import type { PageStore } from '../store/page-store.js';
import type {
  Commit,
  Head,
  HeldVersion,
  LogEntry,
  MaintenanceLock,
  NamespaceDetails,
  NamespaceInfo,
  PageNumber,
  RetentionPolicy,
  Tag,
} from '../store/types.js';
import type { Version } from '../version.js';
import { storeStatus } from './status.js';
import { importDatabase, versionBytes } from './transfer.js';

/** One version's bytes on their way out: `head.sizeBytes` of them. */
export interface Content {
  readonly head: Head;
  readonly bytes: AsyncIterable<Uint8Array>;
}

/** How far something slow is. */
export interface Progress {
  /** Of `total`, in the same unit; 0 when that is not known. */
  readonly done: number;
  readonly total: number;
}

export interface WorkOptions {
  readonly onProgress?: (progress: Progress) => void;
  /** Ends the work early, between two of its steps. */
  readonly signal?: AbortSignal;
}

/** What a removal of versions did, or would do. */
export interface Truncation {
  readonly namespace: string;
  readonly dryRun: boolean;
  /** Older versions are gone, but for those that are held. */
  readonly truncatedBefore: Version;
  /** Versions removed. */
  readonly versions: number;
  /** Bytes of page images that their commits wrote; what nothing else needs of that is freed. */
  readonly bytes: number;
  readonly held: readonly HeldVersion[];
}

export interface Rollback {
  readonly namespace: string;
  readonly dryRun: boolean;
  /** The version whose content is the newest again. */
  readonly restored: Head;
  /** Pages and bytes that the new commit wrote, or would write. */
  readonly pageCount: number;
  readonly bytes: number;
  /** The head afterwards; of a dry run, as it is. */
  readonly head: Head;
}

export interface Difference {
  readonly from: Head;
  readonly to: Head;
  /** Pages that are not the same, those that only one has among them; ascending. */
  readonly pages: readonly PageNumber[];
}

/** One line of the log. */
export type LogLine = LogEntry & { readonly pages?: readonly PageNumber[] | undefined; readonly tags: readonly string[] };

export interface LogQuery {
  readonly limit: number;
  /** A moment: only versions after it. */
  readonly since?: string | undefined;
  /** Whether to tell which pages each commit wrote. */
  readonly pages?: boolean | undefined;
}

/** The versions around a time: the newest at or before it, the oldest after it. */
export interface TimePoints {
  readonly notAfter: { readonly version: Version; readonly timeMs: number } | undefined;
  readonly after: { readonly version: Version; readonly timeMs: number } | undefined;
}

/**
 * Names of namespaces as they are stored; moments as in moment.ts, always without the "@". Besides what is said below all may
 * throw NOT_FOUND, GONE, INVALID_ARGUMENT, STORE_FAILED.
 */
export interface StoreService {
  listNamespaces(prefix?: string): Promise<NamespaceInfo[]>;
  /** A name that ends in ":" and 64 hex digits carries its access proof. @throws ALREADY_EXISTS */
  createNamespace(name: string): Promise<NamespaceInfo>;
  statNamespace(name: string): Promise<NamespaceDetails>;
  /** @throws ALREADY_EXISTS */
  renameNamespace(name: string, newName: string): Promise<NamespaceInfo>;
  /** @throws CONFLICT while there are forks of it, BUSY while it is locked, or somebody reads it unless `force` */
  deleteNamespace(name: string, options?: { readonly force?: boolean } & WorkOptions): Promise<void>;
  /** Undefined: the store's policy again. `name` undefined: that policy itself. */
  setRetention(name: string | undefined, policy: RetentionPolicy | undefined): Promise<void>;
  /** The store's policy. */
  defaultRetention(): Promise<RetentionPolicy>;
  /** `proof` is the BLAKE3 of a secret, 64 hex digits; undefined takes it away. */
  setAccessProof(name: string, proof: string | undefined): Promise<void>;

  /** The version at a moment. */
  resolve(name: string, moment: string): Promise<Head>;
  /** Newest first. */
  log(name: string, query: LogQuery): Promise<LogLine[]>;
  /** Of one namespace, or of the whole store. */
  timePoints(timeMs: number, name?: string): Promise<TimePoints>;
  listTags(name: string): Promise<Tag[]>;
  /** @throws ALREADY_EXISTS unless `move` */
  addTag(name: string, tag: string, moment: string, options?: { readonly move?: boolean }): Promise<Tag>;
  removeTag(name: string, tag: string): Promise<void>;

  /** @throws ALREADY_EXISTS */
  fork(name: string, moment: string, newName: string, options?: WorkOptions): Promise<NamespaceInfo>;
  /** @throws BUSY while somebody writes */
  rollback(name: string, moment: string, options?: { readonly dryRun?: boolean } & WorkOptions): Promise<Rollback>;
  diff(from: NamespaceMoment, to: NamespaceMoment, options?: WorkOptions): Promise<Difference>;
  /** Removes the versions before a moment. */
  truncate(name: string, moment: string, options?: { readonly dryRun?: boolean } & WorkOptions): Promise<Truncation>;
  /** Applies the policies, frees what nothing needs, and returns space to the disk. All namespaces, or one. */
  collect(name: string | undefined, options?: { readonly dryRun?: boolean } & WorkOptions): Promise<Truncation[]>;

  /** @throws BUSY while another owner has it, or somebody writes */
  lock(name: string, owner: string, moment: string): Promise<MaintenanceLock>;
  /** @throws CONFLICT when `owner` does not have it */
  unlock(name: string, owner: string, how: 'commit' | 'rollback'): Promise<Head>;

  /** One version's bytes. While they are read: CORRUPT naming the page. */
  exportVersion(name: string, moment: string): Promise<Content>;
  /** Replaces the content as one commit; see importDatabase. @throws BUSY */
  importDatabase(name: string, sizeBytes: number, bytes: AsyncIterable<Uint8Array>): Promise<Commit>;
  status(): Promise<Status>;
  close(): Promise<void>;
}

/** A namespace and a moment of it. */
export interface NamespaceMoment {
  readonly namespace: string;
  readonly moment: string;
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
