// What commands ask of a store, whether this process has it open or a daemon does.

import { WRITER_WAIT_MS_DEFAULT } from '../limits.js';
import { parseMoment } from '../moment.js';
import type { MountStatus, Status } from '../status.js';
import { requireOwner } from '../store/maintenance-lock.js';
import type { UndeleteOptions } from '../store/naming.js';
import type { PageStore } from '../store/page-store.js';
import type { CollectOptions, Truncated } from '../store/retention.js';
import type {
  Commit,
  DroppedNamespace,
  Head,
  HeldVersion,
  LogEntry,
  MaintenanceLock,
  NamespaceDetails,
  NamespaceId,
  NamespaceInfo,
  PageNumber,
  RetentionPolicy,
  Tag,
} from '../store/types.js';
import { type Version, ZERO_VERSION } from '../version.js';
import { type AppliedChanges, applyChanges } from './apply-changes.js';
import { comparePages } from './compare.js';
import { type ChangesRange, exportChanges, type OutgoingChanges } from './export-changes.js';
import { forkNamespace } from './fork.js';
import { versionBefore } from './history.js';
import { restoreVersion } from './restore.js';
import { storeStatus } from './status.js';
import { importDatabase, versionBytes } from './transfer.js';
import { asOnlyWriter, asWriter } from './writer.js';

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
export type LogLine = LogEntry & {
  readonly pages?: readonly PageNumber[] | undefined;
  readonly tags: readonly string[];
};

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

/** How a namespace is removed for good. */
export interface Purge {
  /** Whether those who read it may lose it. */
  readonly force?: boolean | undefined;
  readonly id?: NamespaceId | undefined;
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
  /**
   * Takes the name away; until the answer's `removedAfterMs`, at least, it can be brought back. `id` is what the name must mean.
   * @throws BUSY while it is locked; CONFLICT when the name means another namespace
   */
  deleteNamespace(name: string, options?: { readonly id?: NamespaceId | undefined }): Promise<DroppedNamespace>;
  /**
   * Removes a namespace for good, also one that was deleted: by its name, or by name and id where several had it.
   * @throws CONFLICT while there are forks of it; BUSY while it is locked, or somebody reads it unless `force`
   */
  purgeNamespace(name: string, options?: Purge & WorkOptions): Promise<void>;
  /** The last one that was deleted by the name, or the one with the id. @throws ALREADY_EXISTS */
  undeleteNamespace(name: string, options?: UndeleteOptions): Promise<NamespaceInfo>;
  /** Those that can be brought back, the last one deleted first. */
  listDeleted(prefix?: string): Promise<DroppedNamespace[]>;
  /** Undefined: the store's policy again. `name` undefined: that policy itself. */
  setRetention(name: string | undefined, policy: RetentionPolicy | undefined): Promise<void>;
  /** The store's policy. */
  defaultRetention(): Promise<RetentionPolicy>;
  /** `proof` is the BLAKE3 of a secret, 64 hex digits; undefined takes it away. */
  setAccessProof(name: string, proof: string | undefined): Promise<void>;
  /** Permission bits, 0 to 0o777; undefined: what each mount says. */
  setMode(name: string, mode: number | undefined): Promise<void>;

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
  /**
   * The versions after a moment, as a change file (docs/change-files.md).
   * @throws INVALID_ARGUMENT for a range that ends before it begins; while the bytes are read: GONE, CORRUPT naming the page
   */
  exportChanges(name: string, range: ChangesRange): Promise<OutgoingChanges>;
  /**
   * Replays a change file onto a namespace, which is made when the file begins a chain. See applyChanges.
   * @throws CONFLICT for a file that does not fit, CORRUPT for a damaged one, BUSY
   */
  applyChanges(
    name: string,
    bytes: AsyncIterable<Uint8Array>,
    options?: { readonly signal?: AbortSignal },
  ): Promise<AppliedChanges>;
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
  const waitMs = daemon?.writerWaitMs ?? WRITER_WAIT_MS_DEFAULT;
  const idOf = async (name: string): Promise<NamespaceId> => (await store.statNamespace(name)).id;
  const resolve = async (name: string, moment: string): Promise<{ id: NamespaceId; head: Head }> => {
    const wanted = parseMoment(moment);
    const id = await idOf(name);
    return { id, head: await store.resolve(id, wanted) };
  };
  const removed = (namespace: string, dryRun: boolean, truncated: Truncated): Truncation => ({
    namespace,
    dryRun,
    ...truncated,
  });
  const collectOptions = ({ onProgress, signal, dryRun }: WorkOptions & { dryRun?: boolean }): CollectOptions => ({
    ...(dryRun === undefined ? {} : { dryRun }),
    ...(signal === undefined ? {} : { signal }),
    ...(onProgress === undefined ? {} : { onProgress: (done) => onProgress({ done, total: 0 }) }),
  });

  return {
    listNamespaces: (prefix) => store.listNamespaces(prefix),
    createNamespace: (name) => store.createNamespace(name),
    statNamespace: async (name) => store.details(await idOf(name)),
    renameNamespace: (name, newName) => store.renameNamespace(name, newName),
    deleteNamespace: async (name, { id } = {}) => store.statDropped(await store.dropNamespace(name, { expected: id })),
    undeleteNamespace: (name, options) => store.undeleteNamespace(name, options),
    listDeleted: (prefix) => store.listDropped(prefix),
    purgeNamespace: async (name, { force = false, id: wanted, signal } = {}) => {
      const id = await store.removeNamespace(name, { force, id: wanted });
      await store.retention.purge(id, signal === undefined ? {} : { signal });
      await store.reclaim();
    },
    setRetention: async (name, policy) => {
      if (name === undefined) await store.retention.setDefaultPolicy(policy);
      else await store.setRetention(await idOf(name), policy);
    },
    defaultRetention: () => store.retention.defaultPolicy(),
    setAccessProof: async (name, proof) => store.setAccessProof(await idOf(name), proof),
    setMode: async (name, mode) => store.setMode(await idOf(name), mode),

    resolve: async (name, moment) => (await resolve(name, moment)).head,
    log: async (name, { limit, since, pages = false }) => {
      const id = await idOf(name);
      const after = since === undefined ? ZERO_VERSION : await versionBefore(store, id, parseMoment(since));
      const [changes, tags] = await Promise.all([store.log(id, { limit, after, pages }), store.listTags(id)]);
      return changes.map((entry) => ({
        ...entry,
        tags: tags.filter(({ version }) => version === entry.version).map((tag) => tag.name),
      }));
    },
    timePoints: (timeMs, name) => timePoints(store, timeMs, name),
    listTags: async (name) => store.listTags(await idOf(name)),
    addTag: async (name, tag, moment, options) => {
      const { id, head } = await resolve(name, moment);
      return store.addTag(id, tag, head.version, options);
    },
    removeTag: async (name, tag) => store.removeTag(await idOf(name), tag),

    fork: async (name, moment, newName, options) => {
      const { id, head } = await resolve(name, moment);
      return forkNamespace(store, { source: id, version: head.version, name: newName }, options);
    },
    rollback: async (name, moment, { dryRun = false, ...options } = {}) => {
      const { id, head } = await resolve(name, moment);
      const restore = () => restoreVersion(store, id, head.version, { dryRun, ...options });
      const done = dryRun ? await restore() : await asWriter(store, id, waitMs, restore);
      return { namespace: name, dryRun, restored: head, ...done };
    },
    diff: async (from, to, options) => {
      const sides = await Promise.all([resolve(from.namespace, from.moment), resolve(to.namespace, to.moment)]);
      return difference(store, sides, options);
    },
    truncate: async (name, moment, options = {}) => {
      const id = await idOf(name);
      const version = await versionBefore(store, id, parseMoment(moment));
      const truncated = await store.retention.truncate(id, version, collectOptions(options));
      if (options.dryRun !== true) await store.reclaim();
      return removed(name, options.dryRun === true, truncated);
    },
    collect: async (name, options = {}) => {
      const all = name === undefined ? await store.listNamespaces() : [await store.statNamespace(name)];
      if (name === undefined && options.dryRun !== true) await store.retention.purgeDeleted(collectOptions(options));
      const results: Truncation[] = [];
      for (const namespace of all) {
        const done = await store.retention.apply(namespace.id, collectOptions(options));
        results.push(removed(namespace.name, options.dryRun === true, done));
      }
      if (options.dryRun !== true) await store.reclaim();
      return results;
    },

    lock: async (name, owner, moment) => {
      const latest = parseMoment(moment).kind === 'latest';
      const { id, head } = await resolve(name, moment);
      return asOnlyWriter(store, id, waitMs, () => store.lockNamespace(id, owner, latest ? undefined : head.version));
    },
    unlock: async (name, owner, how) => {
      const id = await idOf(name);
      return asOnlyWriter(store, id, waitMs, () => unlock(store, { id, name }, owner, how));
    },

    exportVersion: async (name, moment) => {
      const { id, head } = await resolve(name, moment);
      return { head, bytes: openVersionBytes(store, id, head) };
    },
    importDatabase: async (name, sizeBytes, bytes) => importDatabase(store, await idOf(name), sizeBytes, bytes, waitMs),
    exportChanges: (name, range) => exportChanges(store, name, range),
    applyChanges: (name, bytes, options) => applyChanges(store, name, bytes, { ...options, waitMsMax: waitMs }),
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

/** Kept while it is read, which begins with the first piece. */
async function* openVersionBytes(store: PageStore, id: NamespaceId, head: Head): AsyncGenerator<Uint8Array> {
  const opened = await store.openVersion(id, head.version);
  try {
    yield* versionBytes(store, id, head);
  } finally {
    opened.close();
  }
}

async function difference(
  store: PageStore,
  [from, to]: readonly [ResolvedVersion, ResolvedVersion],
  options: WorkOptions = {},
): Promise<Difference> {
  const opened = [await store.openVersion(from.id, from.head.version)];
  try {
    opened.push(await store.openVersion(to.id, to.head.version));
    const sides = {
      from: { store, namespace: from.id, head: from.head },
      to: { store, namespace: to.id, head: to.head },
    };
    const pages: PageNumber[] = [];
    for await (const { number, isSame } of comparePages(sides, options)) if (!isSame) pages.push(number);
    return { from: from.head, to: to.head, pages };
  } finally {
    for (const version of opened) version.close();
  }
}

interface ResolvedVersion {
  readonly id: NamespaceId;
  readonly head: Head;
}

/** To be called as the only writer. */
async function unlock(
  store: PageStore,
  { id, name }: { readonly id: NamespaceId; readonly name: string },
  owner: string,
  how: 'commit' | 'rollback',
): Promise<Head> {
  const lock = await store.maintenanceLock(id);
  requireOwner(name, lock, owner);
  // Should the second step not be reached, the first one finds nothing to do the next time.
  if (how === 'rollback') await restoreVersion(store, id, lock.base);
  await store.unlockNamespace(id, owner);
  return store.head(id);
}

/** Of one namespace, or the nearest of all of them. */
async function timePoints(store: PageStore, timeMs: number, name: string | undefined): Promise<TimePoints> {
  const namespaces = name === undefined ? await store.listNamespaces() : [await store.statNamespace(name)];
  const points = await Promise.all(namespaces.map(({ id }) => store.timePoints(id, timeMs)));
  const newest = points.flatMap(({ notAfter }) => notAfter ?? []).sort((a, b) => (a.version < b.version ? 1 : -1));
  const oldest = points.flatMap(({ after }) => after ?? []).sort((a, b) => (a.version < b.version ? -1 : 1));
  return { notAfter: newest[0], after: oldest[0] };
}
