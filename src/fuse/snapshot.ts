// A version as a regular file that never changes: one inode for everybody, cached by the kernel, read-only.

import type { Attributes } from '../native/binding.js';
import type { OpenVersion } from '../store/page-store.js';
import { type Access, MODE_TTL_MS, snapshotMode } from './access.js';
import type { DatabaseVersion } from './database-version.js';
import { RequestError } from './errno.js';
import { type ExtendedAttributes, versionAttributes } from './extended-attributes.js';
import { type CachePolicy, fileAttributes, type InodeNumber, Node, type OpenMode } from './node.js';

export interface SnapshotOptions {
  readonly ino: InodeNumber;
  readonly namespaceName: string;
  readonly version: DatabaseVersion;
  readonly access: Access;
  /** The namespace's own. */
  readonly mode: () => number | undefined;
  /** Keeps the version while a handle is open. @throws GONE when it was removed */
  readonly open: () => Promise<OpenVersion>;
  /** Called when the kernel has forgotten the file. */
  readonly dropped: () => void;
}

export class Snapshot extends Node {
  /** Nothing but the mode changes. */
  override readonly attrTtlMs = MODE_TTL_MS;
  readonly #options: SnapshotOptions;
  /** By handle. */
  readonly #opened = new Map<number, OpenVersion>();

  constructor(options: SnapshotOptions) {
    super(options.ino);
    this.#options = options;
  }

  override async attributes(): Promise<Attributes> {
    const { version, access, mode } = this.#options;
    const { sizeBytes, timeMs } = version.head;
    return fileAttributes(this.ino, access, snapshotMode(access, mode()), sizeBytes, timeMs);
  }

  override async extendedAttributes(): Promise<ExtendedAttributes> {
    const { namespaceName, version } = this.#options;
    return versionAttributes(namespaceName, version.head);
  }

  /** SQLite takes EACCES for "open it read-only then", and reports writes as SQLITE_READONLY. */
  override async open(fh: number, mode: OpenMode): Promise<CachePolicy> {
    if (mode.writable || mode.truncate) throw new RequestError('EACCES');
    this.#opened.set(fh, await this.#options.open());
    return 'keep';
  }

  override read(_fh: number, offset: number, size: number): Promise<Buffer[]> {
    return this.#options.version.pieces(offset, size);
  }

  override async release(fh: number): Promise<void> {
    this.#opened.get(fh)?.close();
    this.#opened.delete(fh);
  }

  /** Nobody but the store can change anything about it. */
  override async setAttributes(): Promise<void> {
    throw new RequestError('EACCES');
  }

  override forgotten(): void {
    this.#options.dropped();
  }
}
