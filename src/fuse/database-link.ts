// A database as the directory shows it: a symlink that gives every opener a connection of its own.

import { basename } from 'node:path';
import type { Attributes } from '../native/binding.js';
import { databaseMode, MODE_TTL_MS } from './access.js';
import { type ConnectionsDirectory, connectionsPath, ID_DIGITS } from './connections-directory.js';
import type { MountedFile } from './mounted-file.js';
import { type Caller, directoryAttributes, type InodeNumber, Node, S_IFLNK } from './node.js';

/** A database in the root: the symlink that gives every opener a connection of its own. */
export class DatabaseLink extends Node {
  readonly file: MountedFile;
  /** Of its mode; the rest stays. */
  override readonly attrTtlMs = MODE_TTL_MS;
  readonly #connections: ConnectionsDirectory;

  constructor(ino: InodeNumber, file: MountedFile, connections: ConnectionsDirectory) {
    super(ino);
    this.file = file;
    this.#connections = connections;
  }

  override async attributes(): Promise<Attributes> {
    const { access, timeMs } = this.#connections.options;
    const { name: path } = this.file;
    const target = connectionsPath(path).length + ID_DIGITS + 2 + Buffer.byteLength(basename(path));
    return {
      ...directoryAttributes(this.ino, access, 0, timeMs),
      size: target,
      // The kernel does not look at it. rsync does, and would chmod what it has copied, which it does to no symlink.
      mode: S_IFLNK | databaseMode(access, this.file.mode),
      nlink: 1,
    };
  }

  override async readlink(caller: Caller): Promise<string> {
    this.#connections.linkReads.read(this.ino, caller.pid);
    return this.#connections.issue(this.file, caller);
  }
}
