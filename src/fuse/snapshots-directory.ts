// `.snapshots/mydb/`: the history of a database as a directory of files, tags first, then its newest versions.
//
// Not shown by `ls -a` of the mount, so that a copy of the whole mount is not one of all its versions, too.

import { SNAPSHOTS_LISTED_MAX } from '../limits.js';
import type { Attributes, DirectoryEntry } from '../native/binding.js';
import type { Head } from '../store/types.js';
import { type Access, directoryMode } from './access.js';
import type { MountedFile } from './mounted-file.js';
import { directoryAttributes, type InodeNumber, type Named, Node, S_IFDIR, S_IFREG, UNKNOWN_INO } from './node.js';
import type { VersionFiles } from './version-files.js';

export const SNAPSHOTS_DIRECTORY = '.snapshots';

export interface SnapshotsOptions {
  readonly access: Access;
  readonly timeMs: number;
  readonly newInode: () => InodeNumber;
  readonly versions: VersionFiles;
  readonly fileNamed: (name: string) => Promise<MountedFile | undefined>;
  readonly fileNames: () => Promise<string[]>;
}

export class SnapshotsDirectory extends Node {
  readonly #options: SnapshotsOptions;
  readonly #directories = new WeakMap<MountedFile, SnapshotDirectory>();

  constructor(ino: InodeNumber, options: SnapshotsOptions) {
    super(ino);
    this.#options = options;
  }

  override async attributes(): Promise<Attributes> {
    const { access, timeMs } = this.#options;
    return directoryAttributes(this.ino, access, directoryMode(access) & 0o555, timeMs);
  }

  /** Another file may have the name the next time. */
  override async lookup(name: string): Promise<Named | { absentTtlMs: number }> {
    const file = await this.#options.fileNamed(name);
    return file === undefined ? { absentTtlMs: 0 } : { node: this.#directory(file), entryTtlMs: 0 };
  }

  override async entries(): Promise<DirectoryEntry[]> {
    return (await this.#options.fileNames()).map((name, index) => ({
      name,
      ino: UNKNOWN_INO,
      mode: S_IFDIR,
      nextOffset: index + 1,
    }));
  }

  #directory(file: MountedFile): SnapshotDirectory {
    const known = this.#directories.get(file);
    if (known !== undefined) return known;
    const directory = new SnapshotDirectory(this.#options.newInode(), file, this.#options);
    this.#directories.set(file, directory);
    return directory;
  }
}

class SnapshotDirectory extends Node {
  readonly #file: MountedFile;
  readonly #options: SnapshotsOptions;
  override readonly attrTtlMs = 0;

  constructor(ino: InodeNumber, file: MountedFile, options: SnapshotsOptions) {
    super(ino);
    this.#file = file;
    this.#options = options;
  }

  /** As old as the newest version. */
  override async attributes(): Promise<Attributes> {
    const { access } = this.#options;
    const { timeMs } = await this.#file.head();
    return directoryAttributes(this.ino, access, directoryMode(access) & 0o555, timeMs);
  }

  override async lookup(name: string): Promise<Named | { absentTtlMs: number }> {
    return (await this.#options.versions.at(this.#file, name)) ?? { absentTtlMs: 0 };
  }

  override async entries(): Promise<DirectoryEntry[]> {
    const { store, namespace } = this.#file;
    const [tags, versions] = await Promise.all([
      store.listTags(namespace),
      store.log(namespace, { limit: SNAPSHOTS_LISTED_MAX }),
    ]);
    const tagged = tags
      .sort((a, b) => b.createdMs - a.createdMs)
      .slice(0, SNAPSHOTS_LISTED_MAX)
      .map(({ name }) => ({ name, ino: UNKNOWN_INO }));
    const recent = versions.map((head: Head) => ({
      name: head.version as string,
      ino: this.#options.versions.known(this.#file, head) ?? UNKNOWN_INO,
    }));
    return [...tagged, ...recent].map((entry, index) => ({ ...entry, mode: S_IFREG, nextOffset: index + 1 }));
  }
}
