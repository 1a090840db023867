// A version as a regular file that never changes: one inode for everybody, cached by the kernel, read-only.

import type { Attributes } from '../native/binding.js';
import { type Access, snapshotMode } from './access.js';
import type { DatabaseVersion } from './database-version.js';
import { RequestError } from './errno.js';
import { type ExtendedAttributes, versionAttributes } from './extended-attributes.js';
import { type CachePolicy, fileAttributes, type InodeNumber, Node, type OpenMode } from './node.js';

export class Snapshot extends Node {
  readonly #namespaceName: string;
  readonly #version: DatabaseVersion;
  readonly #access: Access;
  readonly #dropped: () => void;

  /** @param dropped called when the kernel has forgotten the file */
  constructor(ino: InodeNumber, namespaceName: string, version: DatabaseVersion, access: Access, dropped: () => void) {
    super(ino);
    this.#namespaceName = namespaceName;
    this.#version = version;
    this.#access = access;
    this.#dropped = dropped;
  }

  override async attributes(): Promise<Attributes> {
    const { sizeBytes, timeMs } = this.#version.head;
    return fileAttributes(this.ino, this.#access, snapshotMode(this.#access), sizeBytes, timeMs);
  }

  override async extendedAttributes(): Promise<ExtendedAttributes> {
    return versionAttributes(this.#namespaceName, this.#version.head);
  }

  /** SQLite takes EACCES for "open it read-only then", and reports writes as SQLITE_READONLY. */
  override async open(_fh: number, mode: OpenMode): Promise<CachePolicy> {
    if (mode.writable || mode.truncate) throw new RequestError('EACCES');
    return 'keep';
  }

  override read(_fh: number, offset: number, size: number): Promise<Buffer[]> {
    return this.#version.pieces(offset, size);
  }

  /** Nobody but the store can change anything about it. */
  override async setAttributes(): Promise<void> {
    throw new RequestError('EACCES');
  }

  override forgotten(): void {
    this.#dropped();
  }
}
