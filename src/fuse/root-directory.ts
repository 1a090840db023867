// The mounted directory: one name for every namespace, and on lookup every version of it as `name@version`.

import type { Attributes, DirectoryEntry } from '../native/binding.js';
import { isVersion } from '../version.js';
import { type Access, directoryMode } from './access.js';
import { CONNECTIONS_DIRECTORY, type ConnectionsDirectory, DatabaseLink } from './connections-directory.js';
import type { DatabaseVersion } from './database-version.js';
import type { MountedFile } from './mounted-file.js';
import { directoryAttributes, type InodeNumber, Node, S_IFLNK, S_IFREG, TTL_LONG_MS } from './node.js';
import { Snapshot } from './snapshot.js';

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
  /** Versions that the kernel knows, by file name. */
  readonly #snapshots = new Map<string, Snapshot>();

  constructor(options: RootOptions) {
    super(options.ino);
    this.#options = options;
  }

  addDatabase(file: MountedFile): DatabaseLink {
    const link = new DatabaseLink(this.#options.newInode(), file, this.#options.connections);
    this.#children.set(file.name, link);
    return link;
  }

  addSnapshot(name: string, namespaceName: string, version: DatabaseVersion): Snapshot {
    const { newInode, access } = this.#options;
    const snapshot = new Snapshot(newInode(), namespaceName, version, access, () => {});
    this.#children.set(name, snapshot);
    return snapshot;
  }

  *files(): Generator<MountedFile> {
    for (const child of this.#children.values()) if (child instanceof DatabaseLink) yield child.file;
  }

  fileNamed(name: string): MountedFile | undefined {
    const child = this.#children.get(name);
    return child instanceof DatabaseLink ? child.file : undefined;
  }

  override async attributes(): Promise<Attributes> {
    const { access, timeMs } = this.#options;
    return directoryAttributes(this.ino, access, directoryMode(access), timeMs);
  }

  override async lookup(name: string): Promise<Node | { absentTtlMs: number }> {
    const child = this.#children.get(name);
    if (child !== undefined) return child;
    if (name === CONNECTIONS_DIRECTORY) return this.#options.connections;
    const at = name.lastIndexOf('@');
    if (at === -1) return { absentTtlMs: TTL_LONG_MS };
    return (await this.#snapshot(name, name.slice(0, at), name.slice(at + 1))) ?? { absentTtlMs: 0 };
  }

  override async entries(): Promise<DirectoryEntry[]> {
    return [...this.#children].map(([name, child], index) => ({
      name,
      ino: child.ino,
      mode: child instanceof DatabaseLink ? S_IFLNK : S_IFREG,
      nextOffset: index + 1,
    }));
  }

  async #snapshot(name: string, fileName: string, version: string): Promise<Snapshot | undefined> {
    const known = this.#snapshots.get(name);
    if (known !== undefined) return known;
    const file = this.fileNamed(fileName);
    if (file === undefined || !isVersion(version)) return undefined;
    const head = await file.headAt(version);
    if (head === undefined) {
      file.log.info({ version }, 'no such version of the namespace');
      return undefined;
    }
    const { newInode, access } = this.#options;
    const dropped = (): boolean => this.#snapshots.delete(name);
    const snapshot =
      this.#snapshots.get(name) ?? new Snapshot(newInode(), file.namespaceName, file.shown(head), access, dropped);
    this.#snapshots.set(name, snapshot);
    return snapshot;
  }
}
