// The mounted directory: one name for every namespace, and on lookup what it was at any moment as `name@moment`.
//
// Some names are given once and stay; where a whole directory of databases is mounted, the others come and go.

import type { DirectoryEntry } from '../native/binding.js';
import { CONNECTIONS_DIRECTORY } from './connections-directory.js';
import { DatabaseDirectory, type DirectoryOptions } from './database-directory.js';
import { DatabaseLink } from './database-link.js';
import { RequestError } from './errno.js';
import type { MountedFile } from './mounted-file.js';
import { type Caller, type InodeNumber, type Named, type Node, S_IFLNK, S_IFREG } from './node.js';
import type { Snapshot } from './snapshot.js';
import { SNAPSHOTS_DIRECTORY, SnapshotsDirectory } from './snapshots-directory.js';
import { VersionFiles } from './version-files.js';

export class RootDirectory extends DatabaseDirectory {
  /** Names that were given: databases, and versions mounted under names of their own. */
  readonly #fixed = new Map<string, DatabaseLink | Snapshot>();
  readonly snapshots: SnapshotsDirectory;

  constructor(ino: InodeNumber, options: Omit<DirectoryOptions, 'versions' | 'directories' | 'links'>) {
    const versions = new VersionFiles(options);
    super(ino, '', { ...options, versions, directories: new Map(), links: new WeakMap() });
    const { access, timeMs, newInode } = options;
    this.snapshots = new SnapshotsDirectory(newInode(), {
      access,
      timeMs,
      newInode,
      versions,
      fileNamed: (name) => this.fileNamed(name),
      fileNames: () => this.#fileNames(),
    });
  }

  addDatabase(file: MountedFile): DatabaseLink {
    const link = new DatabaseLink(this.options.newInode(), file, this.options.connections);
    this.#fixed.set(file.name, link);
    return link;
  }

  addSnapshot(name: string, snapshot: Snapshot): void {
    this.#fixed.set(name, snapshot);
  }

  /** Those that were given a name, and those of the others that are in use. */
  *files(): Generator<MountedFile> {
    for (const child of this.#fixed.values()) if (child instanceof DatabaseLink) yield child.file;
    yield* this.options.catalog.known();
  }

  /** The namespace that a given name shows, for whoever may write it. */
  namespaceOfFixed(name: string): string | undefined {
    const child = this.#fixed.get(name);
    return child instanceof DatabaseLink && child.file.owner === undefined ? child.file.namespaceName : undefined;
  }

  override async lookup(name: string, caller: Caller): Promise<Node | Named | { absentTtlMs: number }> {
    const fixed = this.#fixed.get(name);
    if (fixed !== undefined) return fixed;
    if (name === CONNECTIONS_DIRECTORY) return this.options.connections;
    if (name === SNAPSHOTS_DIRECTORY) return this.snapshots;
    return super.lookup(name, caller);
  }

  override async entries(caller: Caller): Promise<DirectoryEntry[]> {
    const fixed = [...this.#fixed].map(([name, child], index) => ({
      name,
      ino: child.ino as number,
      mode: child instanceof DatabaseLink ? S_IFLNK : S_IFREG,
      nextOffset: index + 1,
    }));
    const others = (await super.entries(caller)).filter(({ name }) => !this.#fixed.has(name));
    return [...fixed, ...others.map((entry) => ({ ...entry, nextOffset: fixed.length + entry.nextOffset }))];
  }

  /** Names that were given, and those of the mount itself, stay. */
  protected override requireMovable(name: string): void {
    const own = name === CONNECTIONS_DIRECTORY || name === SNAPSHOTS_DIRECTORY;
    if (own || this.#fixed.has(name)) throw new RequestError('EACCES');
    super.requireMovable(name);
  }

  protected override async fileNamed(name: string): Promise<MountedFile | undefined> {
    const fixed = this.#fixed.get(name);
    if (fixed === undefined) return super.fileNamed(name);
    return fixed instanceof DatabaseLink ? fixed.file : undefined;
  }

  async #fileNames(): Promise<string[]> {
    const fixed = [...this.#fixed].flatMap(([name, child]) => (child instanceof DatabaseLink ? [name] : []));
    const others = await this.options.catalog.entries('');
    return [...fixed, ...others.flatMap(({ name, isDirectory }) => (isDirectory ? [] : [name]))];
  }
}
