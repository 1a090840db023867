// The mounted directory: one name for every namespace, and on lookup what it was at any moment as `name@moment`.
//
// Some names are given once and stay; where a whole directory of databases is mounted, the others come and go with the
// namespaces of the store (catalog.ts). What those show depends on who asks (creators.ts), so the kernel asks each time.

import type { Attributes, DirectoryEntry } from '../native/binding.js';
import { LOCK_PREFIX } from '../store/maintenance-lock.js';
import type { NamespaceId } from '../store/types.js';
import { type Access, directoryMode } from './access.js';
import type { Catalog } from './catalog.js';
import type { Connection } from './connection.js';
import { CONNECTIONS_DIRECTORY, type ConnectionsDirectory, DatabaseLink } from './connections-directory.js';
import { RequestError } from './errno.js';
import type { MountedFile } from './mounted-file.js';
import {
  type Caller,
  type Created,
  directoryAttributes,
  type InodeNumber,
  type Named,
  Node,
  type OpenMode,
  S_IFLNK,
  S_IFREG,
  UNKNOWN_INO,
} from './node.js';
import type { Snapshot } from './snapshot.js';
import { SNAPSHOTS_DIRECTORY, SnapshotsDirectory } from './snapshots-directory.js';
import { VersionFiles } from './version-files.js';

export interface RootOptions {
  readonly ino: InodeNumber;
  readonly access: Access;
  readonly timeMs: number;
  readonly connections: ConnectionsDirectory;
  readonly catalog: Catalog;
  /** Whether files may be made here that have no name yet. */
  readonly isWhole: boolean;
  readonly newInode: () => InodeNumber;
}

export class RootDirectory extends Node {
  readonly #options: RootOptions;
  /** Names that were given: databases, and versions mounted under names of their own. */
  readonly #fixed = new Map<string, DatabaseLink | Snapshot>();
  /** Of what comes and goes. */
  readonly #links = new WeakMap<MountedFile, DatabaseLink>();
  /** By name: databases as the owners of maintenance locks reach them. */
  readonly #locked = new Map<string, DatabaseLink>();
  readonly #versions: VersionFiles;
  readonly snapshots: SnapshotsDirectory;

  constructor(options: RootOptions) {
    super(options.ino);
    this.#options = options;
    this.#versions = new VersionFiles(options);
    const { access, timeMs, newInode } = options;
    this.snapshots = new SnapshotsDirectory(newInode(), {
      access,
      timeMs,
      newInode,
      versions: this.#versions,
      fileNamed: (name) => this.#fileNamed(name),
      fileNames: async () => (await this.entries()).map(({ name }) => name),
    });
  }

  addDatabase(file: MountedFile): DatabaseLink {
    const link = new DatabaseLink(this.#options.newInode(), file, this.#options.connections);
    this.#fixed.set(file.name, link);
    return link;
  }

  addSnapshot(name: string, snapshot: Snapshot): void {
    this.#fixed.set(name, snapshot);
  }

  /** Those that were given a name, and those of the others that are in use. */
  *files(): Generator<MountedFile> {
    for (const child of this.#fixed.values()) if (child instanceof DatabaseLink) yield child.file;
    yield* this.#options.catalog.known();
  }

  /** The namespace that a given name shows, for whoever may write it. */
  namespaceOfFixed(name: string): string | undefined {
    const child = this.#fixed.get(name);
    return child instanceof DatabaseLink && child.file.owner === undefined ? child.file.namespaceName : undefined;
  }

  override async attributes(): Promise<Attributes> {
    const { access, timeMs, isWhole } = this.#options;
    return directoryAttributes(this.ino, access, directoryMode(access, isWhole), timeMs);
  }

  /** The creator's, of its journals. */
  override connectionOf(name: string, pid: number): Connection | undefined {
    return this.#options.connections.creators.ofJournal(name, pid);
  }

  override async lookup(name: string, caller: Caller): Promise<Node | Named | { absentTtlMs: number }> {
    const { connections } = this.#options;
    const fixed = this.#fixed.get(name);
    if (fixed !== undefined) return fixed;
    if (name === CONNECTIONS_DIRECTORY) return connections;
    if (name === SNAPSHOTS_DIRECTORY) return this.snapshots;
    if (name.includes('@')) return (await this.#atMoment(name)) ?? { absentTtlMs: 0 };
    const journal = connections.creators.ofJournal(name, caller.pid)?.sibling(name);
    if (journal !== undefined) return journal;
    const file = await this.#options.catalog.find(name);
    if (file === undefined) return { absentTtlMs: 0 };
    const created = connections.creators.seenBy(file, caller.pid);
    created?.foundAs(name);
    return { node: created?.database ?? this.#linkOf(file), entryTtlMs: 0 };
  }

  override async entries(): Promise<DirectoryEntry[]> {
    const fixed = [...this.#fixed].map(([name, child], index) => ({
      name,
      ino: child.ino as number,
      mode: child instanceof DatabaseLink ? S_IFLNK : S_IFREG,
      nextOffset: index + 1,
    }));
    const others = (await this.#options.catalog.entries())
      .filter(({ name }) => !this.#fixed.has(name))
      .map(({ name, namespace }) => ({
        name,
        ino: UNKNOWN_INO,
        mode: S_IFLNK,
        nextOffset: positionOf(namespace, fixed.length),
      }));
    return [...fixed, ...others];
  }

  override async create(
    name: string,
    fh: number,
    mode: OpenMode,
    caller: Caller,
    exclusive: boolean,
  ): Promise<Created> {
    const { connections, catalog } = this.#options;
    this.#requireMovable(name);
    const creator = connections.creators.ofJournal(name, caller.pid);
    if (creator !== undefined) return { node: await creator.createSibling(name), policy: 'direct' };
    const existing = await catalog.find(name);
    if (existing !== undefined && exclusive) throw new RequestError('EEXIST');
    const file = existing ?? (await catalog.create(name));
    const connection = connections.creators.of(file) ?? connections.createInRoot(file, caller);
    const policy = await connection.perform(false, () => connection.database.open(fh, mode, caller));
    return { node: connection.database, entryTtlMs: 0, policy };
  }

  override async unlink(name: string, caller: Caller): Promise<void> {
    const { connections, catalog } = this.#options;
    this.#requireMovable(name);
    const creator = connections.creators.ofJournal(name, caller.pid);
    if (creator?.sibling(name) !== undefined) return creator.unlinkSibling(name);
    const file = await catalog.find(name);
    if (file === undefined) throw new RequestError('ENOENT');
    if (connections.linkReads.isCopied(this.#linkOf(file).ino, caller.pid)) {
      file.log.warn('not removed: only its symlink was copied elsewhere, as mv does; cp copies the file');
      throw new RequestError('EBUSY');
    }
    // A hot journal that was put beside the database that this process created.
    await creator?.transaction.journalFinalised(true);
    await catalog.remove(file);
  }

  override async rename(
    name: string,
    newParent: Node,
    newName: string,
    replace: boolean,
    caller: Caller,
  ): Promise<void> {
    const { connections, catalog } = this.#options;
    if (newParent !== this) throw new RequestError('EACCES');
    this.#requireMovable(name);
    this.#requireMovable(newName);
    const { creators } = connections;
    // A journal in use belongs to its database.
    if (creators.ofJournal(name, caller.pid)?.sibling(name) !== undefined) throw new RequestError('EACCES');
    const file = await catalog.find(name);
    if (file === undefined) throw new RequestError('ENOENT');
    if (!replace && (await catalog.find(newName)) !== undefined) throw new RequestError('EEXIST');
    const creator = creators.of(file);
    await creator?.perform(false, () => creator.flushPlain(true));
    await catalog.rename(file, newName);
  }

  /** Names that were given, and those of the mount itself, stay; and nobody changes a version. */
  #requireMovable(name: string): void {
    const own = name === CONNECTIONS_DIRECTORY || name === SNAPSHOTS_DIRECTORY;
    if (own || this.#fixed.has(name) || name.includes('@')) throw new RequestError('EACCES');
  }

  async #fileNamed(name: string): Promise<MountedFile | undefined> {
    const fixed = this.#fixed.get(name);
    if (fixed === undefined) return this.#options.catalog.find(name);
    return fixed instanceof DatabaseLink ? fixed.file : undefined;
  }

  #linkOf(file: MountedFile): DatabaseLink {
    const { newInode, connections } = this.#options;
    const link = this.#links.get(file) ?? new DatabaseLink(newInode(), file, connections);
    this.#links.set(file, link);
    return link;
  }

  async #atMoment(name: string): Promise<Named | undefined> {
    const at = name.indexOf('@');
    const file = await this.#fileNamed(name.slice(0, at));
    if (file === undefined) return undefined;
    const moment = name.slice(at + 1);
    return moment.startsWith(LOCK_PREFIX)
      ? this.#ofLockOwner(name, file, moment.slice(LOCK_PREFIX.length))
      : this.#versions.at(file, moment);
  }

  async #ofLockOwner(name: string, file: MountedFile, owner: string): Promise<Named | undefined> {
    const locked = await file.ofLockOwner(owner);
    if (locked === undefined) return undefined;
    const { newInode, connections } = this.#options;
    const node = this.#locked.get(name) ?? new DatabaseLink(newInode(), locked, connections);
    this.#locked.set(name, node);
    return { node, entryTtlMs: 0 };
  }
}

/** Where a listing goes on: ids ascend, and are never used twice, so files that come and go do not move the others. */
function positionOf(namespace: NamespaceId, fixedCount: number): number {
  return fixedCount + namespace;
}
