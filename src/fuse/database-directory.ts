// A directory of databases, in which names come and go with the namespaces of the store (catalog.ts). What a name shows
// depends on who asks (creators.ts), so the kernel asks each time.

import type { Attributes, DirectoryEntry } from '../native/binding.js';
import { LOCK_PREFIX } from '../store/maintenance-lock.js';
import { type Access, directoryMode } from './access.js';
import type { Catalog } from './catalog.js';
import type { Connection } from './connection.js';
import type { ConnectionsDirectory } from './connections-directory.js';
import { DatabaseLink } from './database-link.js';
import { DOTFILE_LOCK_SUFFIX } from './dotfile-lock.js';
import { RequestError } from './errno.js';
import { isForRecovery, JOURNAL_SUFFIX } from './foreign-journal.js';
import type { MountedFile } from './mounted-file.js';
import {
  type Caller,
  type Created,
  directoryAttributes,
  type InodeNumber,
  type Named,
  Node,
  type OpenMode,
  S_IFDIR,
  S_IFLNK,
  S_IFREG,
  UNKNOWN_INO,
} from './node.js';
import type { VersionFiles } from './version-files.js';

/** What all directories of a mount share. */
export interface DirectoryOptions {
  readonly access: Access;
  readonly timeMs: number;
  readonly connections: ConnectionsDirectory;
  readonly catalog: Catalog;
  readonly versions: VersionFiles;
  /** Whether files may be made that have no name yet. */
  readonly isWhole: boolean;
  readonly newInode: () => InodeNumber;
  /** Directories that the kernel knows, by path. */
  readonly directories: Map<string, DatabaseDirectory>;
  /** Of files that come and go. */
  readonly links: WeakMap<MountedFile, DatabaseLink>;
}

/** Behind all namespaces in a listing. */
const JOURNALS_AT = 2 ** 50;

export class DatabaseDirectory extends Node {
  /** From the root of the mount, with a slash behind it: `dir/`; empty for the root itself. */
  readonly path: string;
  protected readonly options: DirectoryOptions;
  /** By name: databases as the owners of maintenance locks reach them. */
  readonly #locked = new Map<string, DatabaseLink>();

  constructor(ino: InodeNumber, path: string, options: DirectoryOptions) {
    super(ino);
    this.path = path;
    this.options = options;
  }

  override async attributes(): Promise<Attributes> {
    const { access, timeMs, isWhole } = this.options;
    return directoryAttributes(this.ino, access, directoryMode(access, isWhole), timeMs);
  }

  /** The creator's, of its journals and its lock. */
  override connectionOf(name: string, pid: number): Connection | undefined {
    const { creators } = this.options.connections;
    const path = this.path + name;
    return creators.ofJournal(path, pid) ?? creators.ofDotfileLock(path, pid);
  }

  override async lookup(name: string, caller: Caller): Promise<Node | Named | { absentTtlMs: number }> {
    const { connections, catalog } = this.options;
    const { creators } = connections;
    if (name.includes('@')) return (await this.#atMoment(name)) ?? { absentTtlMs: 0 };
    const path = this.path + name;
    const journal = creators.ofJournal(path, caller.pid)?.sibling(path);
    if (journal !== undefined) return journal;
    const lock = creators.ofDotfileLock(path, caller.pid)?.dotfileLock;
    if (lock !== undefined) return lock;
    const file = await catalog.find(path);
    if (file !== undefined) {
      const created = creators.seenBy(file, caller.pid);
      created?.foundAs(path);
      const plain = created ?? ((await isForRecovery(file)) ? connections.plain(file, caller) : undefined);
      return { node: plain?.database ?? this.#linkOf(file), entryTtlMs: 0 };
    }
    // SQLite asks for a journal at each transaction.
    const isDirectory = !name.endsWith(JOURNAL_SUFFIX) && (await catalog.hasDirectory(`${path}/`));
    return isDirectory ? { node: this.#directory(`${path}/`), entryTtlMs: 0 } : { absentTtlMs: 0 };
  }

  /** Ids of namespaces ascend, and are never used twice: those that come and go do not move the others. */
  override async entries({ pid }: Caller): Promise<DirectoryEntry[]> {
    const { catalog, connections } = this.options;
    const entries = (await catalog.entries(this.path)).map(({ name, isDirectory, namespace }) => ({
      name,
      ino: UNKNOWN_INO,
      mode: isDirectory ? S_IFDIR : S_IFLNK,
      nextOffset: namespace as number,
    }));
    for (const { name: path, ino } of connections.creators.journalsSeenBy(pid)) {
      const name = path.slice(this.path.length);
      if (!path.startsWith(this.path) || name.includes('/')) continue;
      entries.push({ name, ino, mode: S_IFREG, nextOffset: JOURNALS_AT + ino });
    }
    return entries;
  }

  override async create(name: string, fh: number, mode: OpenMode, caller: Caller): Promise<Created> {
    const { connections, catalog } = this.options;
    this.requireMovable(name);
    const path = this.path + name;
    const creator = connections.creators.ofJournal(path, caller.pid);
    if (creator !== undefined) return { node: await creator.createSibling(path), policy: 'direct' };
    const existing = await catalog.find(path);
    if (existing !== undefined && mode.exclusive) throw new RequestError('EEXIST');
    const file = existing ?? (await catalog.create(path));
    const connection = connections.plain(file, caller);
    try {
      const policy = await connection.perform(false, () => connection.database.open(fh, mode, caller));
      return { node: connection.database, entryTtlMs: 0, policy };
    } catch (error) {
      // Who is refused has made nothing.
      if (existing === undefined) catalog.takeBack(file);
      throw error;
    }
  }

  override async unlink(name: string, caller: Caller): Promise<void> {
    const { connections, catalog } = this.options;
    this.requireMovable(name);
    const path = this.path + name;
    const creator = connections.creators.ofJournal(path, caller.pid);
    if (creator?.sibling(path) !== undefined) return creator.unlinkSibling(path);
    const file = await catalog.find(path);
    if (file === undefined) throw new RequestError('ENOENT');
    if (connections.linkReads.isCopied(this.#linkOf(file).ino, caller.pid)) {
      file.log.warn('not removed: only its symlink was copied elsewhere, as mv does; cp copies the file');
      throw new RequestError('EBUSY');
    }
    // A hot journal that was put beside the database that this process created: it has rolled back with it.
    if ((await creator?.file.foreignJournal()) !== undefined) await creator!.transaction.journalFinalised(true);
    await catalog.remove(file);
  }

  override async rename(
    name: string,
    newParent: Node,
    newName: string,
    replace: boolean,
    caller: Caller,
  ): Promise<void> {
    if (!(newParent instanceof DatabaseDirectory)) throw new RequestError('EACCES');
    this.requireMovable(name);
    newParent.requireMovable(newName);
    const { connections, catalog } = this.options;
    const { creators } = connections;
    const path = this.path + name;
    const newPath = newParent.path + newName;
    // A journal in use belongs to its database.
    if (creators.ofJournal(path, caller.pid)?.sibling(path) !== undefined) throw new RequestError('EACCES');
    const file = await catalog.find(path);
    // Who moves a directory then copies what is in it.
    if (file === undefined) throw new RequestError((await catalog.hasDirectory(`${path}/`)) ? 'EXDEV' : 'ENOENT');
    if (!replace && (await catalog.find(newPath)) !== undefined) throw new RequestError('EEXIST');
    if (await catalog.hasDirectory(`${newPath}/`)) throw new RequestError(replace ? 'EISDIR' : 'EEXIST');
    catalog.requireName(newPath);
    const creator = creators.of(file);
    await creator?.perform(false, () => creator.flushPlain(true));
    await catalog.rename(file, newPath);
  }

  override async makeDirectory(name: string, { pid }: Caller): Promise<Node> {
    const { isWhole, catalog, connections } = this.options;
    this.requireMovable(name);
    const path = this.path + name;
    const locked = connections.creators.ofDotfileLock(path, pid);
    if (locked !== undefined) return locked.takeDotfileLock(pid);
    // Whoever else locks the database so does it below its symlink; a directory that stays would be in everybody's way.
    const database = name.endsWith(DOTFILE_LOCK_SUFFIX) ? path.slice(0, -DOTFILE_LOCK_SUFFIX.length) : undefined;
    if (!isWhole || (database !== undefined && (await catalog.find(database)) !== undefined)) {
      throw new RequestError('EPERM');
    }
    if (name.endsWith(JOURNAL_SUFFIX)) throw new RequestError('EACCES');
    await catalog.makeDirectory(`${path}/`);
    return this.#directory(`${path}/`);
  }

  /** Who copies a database as the symlink that it is shown as (cp -a, rsync -a, tar) wants another such database. */
  override async makeLink(name: string, target: string): Promise<Node> {
    const { isWhole, connections, catalog } = this.options;
    const source = connections.fileOfTarget(target);
    if (!isWhole || source === undefined) throw new RequestError('EPERM');
    this.requireMovable(name);
    return this.#linkOf(await catalog.copy(source, this.path + name));
  }

  override async removeDirectory(name: string, { pid }: Caller): Promise<void> {
    const { connections, catalog } = this.options;
    this.requireMovable(name);
    const path = this.path + name;
    const locked = connections.creators.ofDotfileLock(path, pid);
    if (locked !== undefined) return locked.giveBackDotfileLock();
    await catalog.removeDirectory(`${path}/`);
  }

  override forgotten(): void {
    this.options.directories.delete(this.path);
  }

  /** Nobody changes a version. @throws EACCES */
  protected requireMovable(name: string): void {
    if (name.includes('@')) throw new RequestError('EACCES');
  }

  protected fileNamed(name: string): Promise<MountedFile | undefined> {
    return this.options.catalog.find(this.path + name);
  }

  #directory(path: string): DatabaseDirectory {
    const { directories, newInode } = this.options;
    const directory = directories.get(path) ?? new DatabaseDirectory(newInode(), path, this.options);
    directories.set(path, directory);
    return directory;
  }

  #linkOf(file: MountedFile): DatabaseLink {
    const { links, newInode, connections } = this.options;
    const link = links.get(file) ?? new DatabaseLink(newInode(), file, connections);
    links.set(file, link);
    return link;
  }

  async #atMoment(name: string): Promise<Named | undefined> {
    const at = name.indexOf('@');
    const file = await this.fileNamed(name.slice(0, at));
    if (file === undefined) return undefined;
    const moment = name.slice(at + 1);
    return moment.startsWith(LOCK_PREFIX)
      ? this.#ofLockOwner(name, file, moment.slice(LOCK_PREFIX.length))
      : this.options.versions.at(file, moment);
  }

  async #ofLockOwner(name: string, file: MountedFile, owner: string): Promise<Named | undefined> {
    const locked = await file.ofLockOwner(owner);
    if (locked === undefined) return undefined;
    const { newInode, connections } = this.options;
    const node = this.#locked.get(name) ?? new DatabaseLink(newInode(), locked, connections);
    this.#locked.set(name, node);
    return { node, entryTtlMs: 0 };
  }
}
