// The mounted directory: one name for every namespace, and on lookup what it was at any moment as `name@moment`.

import type { Attributes, DirectoryEntry } from '../native/binding.js';
import { LOCK_PREFIX } from '../store/maintenance-lock.js';
import { type Access, directoryMode } from './access.js';
import { CONNECTIONS_DIRECTORY, type ConnectionsDirectory, DatabaseLink } from './connections-directory.js';
import type { MountedFile } from './mounted-file.js';
import { directoryAttributes, type InodeNumber, type Named, Node, S_IFLNK, S_IFREG, TTL_LONG_MS } from './node.js';
import type { Snapshot } from './snapshot.js';
import { SNAPSHOTS_DIRECTORY, SnapshotsDirectory } from './snapshots-directory.js';
import { VersionFiles } from './version-files.js';

export interface RootOptions {
  readonly ino: InodeNumber;
  readonly access: Access;
  readonly timeMs: number;
  readonly connections: ConnectionsDirectory;
  readonly newInode: () => InodeNumber;
}

export class RootDirectory extends Node {
  readonly #options: RootOptions;
  /** What `ls` shows: databases, and versions mounted under names of their own. */
  readonly #children = new Map<string, DatabaseLink | Snapshot>();
  /** By name: databases as the owners of maintenance locks reach them. */
  readonly #locked = new Map<string, DatabaseLink>();
  readonly #versions: VersionFiles;
  readonly snapshots: SnapshotsDirectory;

  constructor(options: RootOptions) {
    super(options.ino);
    this.#options = options;
    this.#versions = new VersionFiles(options);
    const { access, timeMs, newInode } = options;
    const files = (): Iterable<MountedFile> => this.files();
    this.snapshots = new SnapshotsDirectory(newInode(), { access, timeMs, newInode, versions: this.#versions, files });
  }

  addDatabase(file: MountedFile): DatabaseLink {
    const link = new DatabaseLink(this.#options.newInode(), file, this.#options.connections);
    this.#children.set(file.name, link);
    return link;
  }

  addSnapshot(name: string, snapshot: Snapshot): void {
    this.#children.set(name, snapshot);
  }

  *files(): Generator<MountedFile> {
    for (const child of this.#children.values()) if (child instanceof DatabaseLink) yield child.file;
  }

  fileNamed(name: string): MountedFile | undefined {
    const child = this.#children.get(name) ?? this.#locked.get(name);
    return child instanceof DatabaseLink ? child.file : undefined;
  }

  override async attributes(): Promise<Attributes> {
    const { access, timeMs } = this.#options;
    return directoryAttributes(this.ino, access, directoryMode(access), timeMs);
  }

  override async lookup(name: string): Promise<Node | Named | { absentTtlMs: number }> {
    const child = this.#children.get(name);
    if (child !== undefined) return child;
    if (name === CONNECTIONS_DIRECTORY) return this.#options.connections;
    if (name === SNAPSHOTS_DIRECTORY) return this.snapshots;
    const at = name.indexOf('@');
    const file = this.fileNamed(name.slice(0, at));
    if (at === -1 || file === undefined) return { absentTtlMs: TTL_LONG_MS };
    const moment = name.slice(at + 1);
    const found = moment.startsWith(LOCK_PREFIX)
      ? await this.#ofLockOwner(name, file, moment.slice(LOCK_PREFIX.length))
      : await this.#versions.at(file, moment);
    return found ?? { absentTtlMs: 0 };
  }

  override async entries(): Promise<DirectoryEntry[]> {
    return [...this.#children].map(([name, child], index) => ({
      name,
      ino: child.ino,
      mode: child instanceof DatabaseLink ? S_IFLNK : S_IFREG,
      nextOffset: index + 1,
    }));
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
