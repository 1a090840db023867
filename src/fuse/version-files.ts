// Versions as files, wherever in the mount they are asked for: `mydb@<moment>` and `.snapshots/mydb/<moment>`.
//
// Each version is one inode for everybody, however it was named. A name that is not a version may mean another one the next
// time, so the kernel does not remember those; and a version may be removed, so it does not remember that one for long.

import { isMvfuseError } from '../errors.js';
import { parseMoment } from '../moment.js';
import type { Head } from '../store/types.js';
import type { Access } from './access.js';
import type { MountedFile } from './mounted-file.js';
import type { InodeNumber, Named } from './node.js';
import { Snapshot } from './snapshot.js';

/** How long the kernel may believe that a version is still there. */
const VERSION_TTL_MS = 1_000;

export interface VersionFilesOptions {
  readonly access: Access;
  readonly newInode: () => InodeNumber;
}

export class VersionFiles {
  readonly #options: VersionFilesOptions;
  /** Versions that the kernel knows. */
  readonly #known = new Map<string, Snapshot>();

  constructor(options: VersionFilesOptions) {
    this.#options = options;
  }

  /** What the moment's name stands for now; undefined, with the reason in the log, where that is nothing. */
  async at(file: MountedFile, name: string): Promise<Named | undefined> {
    const moment = momentOf(name);
    if (moment === undefined) return undefined;
    try {
      const head = await file.resolve(moment);
      return { node: this.#fileOf(file, head), entryTtlMs: moment.kind === 'version' ? VERSION_TTL_MS : 0 };
    } catch (error) {
      if (!isMvfuseError(error, 'NOT_FOUND') && !isMvfuseError(error, 'GONE')) throw error;
      file.log.info({ moment: name, reason: error.message }, 'no such version of the namespace');
      return undefined;
    }
  }

  /** The inode of a version, if the kernel knows it. */
  known(file: MountedFile, { version }: Head): InodeNumber | undefined {
    return this.#known.get(keyOf(file, version))?.ino;
  }

  #fileOf(file: MountedFile, head: Head): Snapshot {
    const key = keyOf(file, head.version);
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const { newInode, access } = this.#options;
    const snapshot = new Snapshot({
      ino: newInode(),
      version: file.shown(head),
      namespaceName: file.namespaceName,
      access,
      mode: () => file.mode,
      open: () => file.store.openVersion(file.namespace, head.version),
      dropped: () => this.#known.delete(key),
    });
    this.#known.set(key, snapshot);
    return snapshot;
  }
}

function keyOf({ namespace }: MountedFile, version: Head['version']): string {
  return `${namespace}@${version}`;
}

/** SQLite asks for journals beside every file that it opens: those are no moments, and cost nothing. */
function momentOf(name: string): ReturnType<typeof parseMoment> | undefined {
  try {
    return parseMoment(name);
  } catch {
    return undefined;
  }
}
