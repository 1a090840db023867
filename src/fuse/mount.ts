// A mounted directory: puts the nodes together, starts the session, and ends it without losing a commit.

import { randomBytes } from 'node:crypto';
import type { Logger } from 'pino';
import { MvfuseError } from '../errors.js';
import { FUSE_WRITE_BYTES_MAX, HANDLES_PER_CONNECTION, MOUNT_CLOSE_WAIT_MS_MAX } from '../limits.js';
import { Session } from '../native/binding.js';
import type { MountObserver } from '../observers.js';
import { settledWithin } from '../settle.js';
import type { LimitsStatus, MountStatus } from '../status.js';
import type { PageStore } from '../store/page-store.js';
import type { Head, NamespaceId, NamespaceInfo } from '../store/types.js';
import type { Version } from '../version.js';
import { type Access, ownAccess } from './access.js';
import { Catalog } from './catalog.js';
import type { Connection } from './connection.js';
import { ConnectionsDirectory } from './connections-directory.js';
import { DatabaseVersion } from './database-version.js';
import { DirtyBudget, type DirtyLimits } from './dirty-budget.js';
import { Dispatcher, type Intercept } from './dispatcher.js';
import { InodeTable, ROOT_INO } from './inode-table.js';
import { filesStatus } from './mount-status.js';
import { MountedFile, type MountedFileOptions } from './mounted-file.js';
import { RootDirectory } from './root-directory.js';
import { Snapshot } from './snapshot.js';
import { SpaceBudget } from './space-budget.js';
import { WriterWaits } from './writer-waits.js';

/** What one name of the directory stands for. */
export interface MountEntry {
  readonly name: string;
  readonly namespace: NamespaceId;
  readonly namespaceName: string;
  /** Set for a name that shows one version for ever. */
  readonly pinned?: Head;
  /** Set for a name by which the owner of a maintenance lock writes. */
  readonly owner?: string;
}

/** The namespaces that are shown because of how their names begin, and made by making files. */
export interface MountDirectory {
  /** The rest of a namespace's name is the file's. */
  readonly prefix: string;
  /** Whether a namespace may be shown that needs a secret. */
  readonly admits: (namespace: NamespaceInfo) => Promise<boolean>;
  /** Makes a namespace that begins with a version of another one, however deep that is forked. */
  readonly fork: (source: NamespaceId, version: Version, name: string) => Promise<NamespaceInfo>;
}

/** What a mount may take. */
export interface MountLimits {
  readonly connectionsMax: number;
  /** Requests read from the kernel and not answered. */
  readonly queueLengthMax: number;
  readonly dirty: DirtyLimits;
  /** How long a program without SQLite's locks waits for a write lock. */
  readonly writerWaitMs: number;
}

export interface MountFilesOptions {
  /** Absolute path of an existing directory. */
  readonly mountpoint: string;
  /** Shown as the source of the mount; "mvfuse" by default. */
  readonly source?: string;
  readonly entries: readonly MountEntry[];
  /** Set where a whole directory of databases is mounted besides. */
  readonly directory?: MountDirectory;
  readonly store: PageStore;
  readonly log: Logger;
  readonly limits: MountLimits;
  readonly readOnly: boolean;
  readonly allowOther: boolean;
  /** By default this process's user, and mode 644, to which nobody but others (allowOther) is held. */
  readonly access?: Access;
  /** Whether the kernel may keep pages of live databases. */
  readonly kernelCache: boolean;
  /** A directory on the filesystem of the store, for free space. */
  readonly spaceDirectory: string | undefined;
  readonly intercept?: Intercept;
  readonly observer?: MountObserver | undefined;
  /** Hears of every namespace that is shown. */
  readonly named?: (namespace: NamespaceId, name: string) => void;
}

export interface Mount {
  /** Resolves when the mount is gone; rejects when it ended by a failure. */
  readonly ended: Promise<void>;
  /** Its files, who has them open, and what they are doing. */
  status(): Promise<MountStatus>;
  /** How much of what is limited is in use. */
  usage(): LimitsStatus;
  /**
   * Takes the mount away: open transactions are discarded, commits under way are finished first. Requests that take
   * longer than MOUNT_CLOSE_WAIT_MS_MAX are answered with an error.
   */
  close(): Promise<void>;
}

/** @throws MOUNT_FAILED with what the kernel or fusermount3 said */
export async function mountFiles(options: MountFilesOptions): Promise<Mount> {
  const { store, log, limits, spaceDirectory, intercept, observer } = options;
  const nowMs = (): number => performance.now();
  const space = new SpaceBudget(options.spaceDirectory, nowMs);
  const spill = new DirtyBudget(limits.dirty);
  // The other half of the queue is for those who will let them go on.
  const writerWaits = new WriterWaits({
    waitMsMax: limits.writerWaitMs,
    countMax: Math.max(1, Math.floor(limits.queueLengthMax / 2)),
  });
  const inodes = new InodeTable();
  const newInode = (): ReturnType<InodeTable['next']> => inodes.next();
  const access = options.access ?? ownAccess();
  const timeMs = Date.now();
  let session: Session | undefined;

  const connectionsIno = newInode();
  const connections: ConnectionsDirectory = new ConnectionsDirectory({
    ino: connectionsIno,
    access,
    timeMs,
    newInode,
    invalidate: options.kernelCache
      ? (ino, { offset, length }) => session!.notifyInvalidInode(ino, offset, length ?? 0)
      : undefined,
    // No range of its content.
    attributesChanged: (ino) => session!.notifyInvalidInode(ino, -1, 0),
    nameChanged: (directory, name) => session!.notifyInvalidEntry(directory, name),
    firstId: randomBytes(6).readUIntBE(0, 6),
    mountpoint: options.mountpoint,
    fileNamed: (name) => catalog.find(name),
    openMax: limits.connectionsMax,
  });
  const mounted = (
    file: Pick<MountedFileOptions, 'name' | 'namespace' | 'namespaceName' | 'owner' | 'make'>,
  ): MountedFile => {
    options.named?.(file.namespace, file.namespaceName);
    return new MountedFile({ ...file, store, log, spill, space, writerWaits, nowMs, observer });
  };
  const { directory } = options;
  const catalog: Catalog = new Catalog({
    store,
    prefix: directory?.prefix,
    namespaceOfFixed: (name) => root.namespaceOfFixed(name),
    admits: directory?.admits ?? (async () => true),
    fork: directory?.fork ?? ((source, version, name) => store.forkNamespace(source, version, name)),
    mounted,
  });
  const isWhole = directory !== undefined;
  const root: RootDirectory = new RootDirectory(ROOT_INO, {
    access,
    timeMs,
    connections,
    catalog,
    isWhole,
    newInode,
  });
  inodes.addPermanent(root);
  inodes.addPermanent(connections);
  inodes.addPermanent(root.snapshots);
  for (const entry of options.entries) {
    if (entry.pinned !== undefined) {
      const { namespace, pinned } = entry;
      const snapshot = new Snapshot({
        ino: newInode(),
        version: DatabaseVersion.shown(store, namespace, pinned),
        namespaceName: entry.namespaceName,
        access,
        mode: () => store.mode(namespace),
        open: () => store.openVersion(namespace, pinned.version),
        dropped: () => {},
      });
      root.addSnapshot(entry.name, snapshot);
      inodes.addPermanent(snapshot);
    } else {
      inodes.addPermanent(root.addDatabase(mounted(entry)));
    }
  }

  store.pinSnapshots(() => versionsRead(connections.connections(), options.entries));
  const handlesMax = limits.connectionsMax * HANDLES_PER_CONNECTION;
  const dispatcher = new Dispatcher({
    inodes,
    log,
    handlesMax,
    spaceDirectory,
    linkReads: connections.linkReads,
    intercept,
    observer,
  });
  const ended = new Promise<void>((resolve, reject) => {
    try {
      session = Session.mount(
        {
          mountpoint: options.mountpoint,
          fsName: options.source ?? 'mvfuse',
          subtype: 'mvfuse',
          allowOther: options.allowOther,
          // Others are held to the modes that the files show, and so is everybody when those were chosen.
          defaultPermissions: options.allowOther || options.access !== undefined,
          readOnly: options.readOnly,
          writeBytesMax: FUSE_WRITE_BYTES_MAX,
          queueLengthMax: limits.queueLengthMax,
          // A namespace may be made by a command, or by another host.
          cachesLists: !isWhole,
        },
        (requests) => dispatcher.receive(requests),
        (error) => {
          dispatcher.close();
          if (error === undefined) resolve();
          else reject(error);
        },
      );
      dispatcher.attach(session);
    } catch (error) {
      throw new MvfuseError('MOUNT_FAILED', `cannot mount on ${options.mountpoint}: ${(error as Error).message}`, {
        cause: error,
      });
    }
  });
  if (session === undefined) await ended;
  ended.catch(() => undefined);
  const usage = (): LimitsStatus => ({
    connections: connections.usage,
    requests: { now: dispatcher.unanswered, max: limits.queueLengthMax },
    dirtyBytes: spill.usage,
    dirtyMemoryBytes: spill.memoryUsage,
    waitingWriters: writerWaits.usage,
    writerWaitMs: limits.writerWaitMs,
  });
  const status = async (): Promise<MountStatus> => ({
    mountpoint: options.mountpoint,
    inodes: inodes.count,
    files: await filesStatus(root.files(), connections.connections()),
    limits: usage(),
  });
  return { ended, status, usage, close: () => closeMount(session!, connections, log, ended) };
}

/** What connections read, and names that show one version; other versions are kept while they are open. */
function* versionsRead(
  connections: Iterable<Connection>,
  entries: readonly MountEntry[],
): Generator<readonly [NamespaceId, Version]> {
  for (const { namespace, pinned } of entries) if (pinned !== undefined) yield [namespace, pinned.version];
  for (const { file, versions } of connections) {
    if (file.made) for (const version of versions) yield [file.namespace, version];
  }
}

async function closeMount(
  session: Session,
  connections: ConnectionsDirectory,
  log: Logger,
  ended: Promise<void>,
): Promise<void> {
  session.unmount();
  // Whoever waits in line was not answered yet; what is being served is answered before the session goes.
  const lines = [...connections.connections()].map((connection) => connection.perform(false, async () => {}));
  const served = await settledWithin(lines, MOUNT_CLOSE_WAIT_MS_MAX);
  if (!served) log.warn({ waitedMs: MOUNT_CLOSE_WAIT_MS_MAX }, 'requests that are still being served get an error');
  session.close();
  await ended.catch(() => undefined);
}
