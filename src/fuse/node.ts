// What every inode of the mount can be asked. A kind of node overrides what it serves; the rest is refused with
// the errno that a program expects from a filesystem that does not do such a thing.

import type { Attributes, DirectoryEntry, SetattrRequest } from '../native/binding.js';
import type { Owner } from './access.js';
import type { Connection } from './connection.js';
import { RequestError } from './errno.js';
import { type ExtendedAttributes, NO_ATTRIBUTES } from './extended-attributes.js';

declare const inodeNumberBrand: unique symbol;
/** Names an inode towards the kernel; never given out twice while the daemon runs. */
export type InodeNumber = number & { readonly [inodeNumberBrand]: true };

export const S_IFDIR = 0o040000;
export const S_IFREG = 0o100000;
export const S_IFLNK = 0o120000;

/** Long enough to be remembered until memory runs short; for what changes only by what the kernel itself asks. */
export const TTL_LONG_MS = 24 * 3600 * 1000;

/** What a directory says of a file whose inode is not known yet. */
export const UNKNOWN_INO = 0xffff_ffff;

/** Block size shown to programs that size their buffers by it. */
const BLOCK_BYTES_SHOWN = 4096;

/** Who asks. */
export interface Caller {
  readonly uid: number;
  readonly gid: number;
  /** Thread id. */
  readonly pid: number;
  /** Aborts when the caller was interrupted. */
  readonly signal: AbortSignal;
}

export interface OpenMode {
  readonly readable: boolean;
  readonly writable: boolean;
  readonly truncate: boolean;
  /** Every write goes to the end of the file. */
  readonly append: boolean;
  /** A file that is made must not be there before. */
  readonly exclusive: boolean;
}

/** A child under a name that the kernel is to remember for another time than its node says. */
export interface Named {
  readonly node: Node;
  readonly entryTtlMs: number;
}

/** A file that was made, and is open. */
export interface Created {
  readonly node: Node;
  readonly entryTtlMs?: number;
  readonly policy: CachePolicy;
}

/** How the kernel is to treat an open file: not cache it, cache it anew, or keep what it has cached. */
export type CachePolicy = 'direct' | 'fresh' | 'keep';

export abstract class Node {
  readonly ino: InodeNumber;
  /** How often the kernel was given this node and has not forgotten it. */
  lookups = 0;
  /** How long the kernel may remember the name, and the attributes. */
  readonly entryTtlMs: number = TTL_LONG_MS;
  readonly attrTtlMs: number = TTL_LONG_MS;

  constructor(ino: InodeNumber) {
    this.ino = ino;
  }

  /** The SQLite connection that this inode is part of; its requests are served one after the other. */
  get connection(): Connection | undefined {
    return undefined;
  }

  /** The one that a name in this directory is part of, as a thread sees it. */
  connectionOf(_name: string, _pid: number): Connection | undefined {
    return this.connection;
  }

  abstract attributes(): Promise<Attributes>;

  async extendedAttributes(): Promise<ExtendedAttributes> {
    return NO_ATTRIBUTES;
  }

  /** The child, or for how long the kernel may remember that there is none. */
  async lookup(_name: string, _caller: Caller): Promise<Node | Named | { absentTtlMs: number }> {
    throw new RequestError('ENOTDIR');
  }
  async entries(_caller: Caller): Promise<DirectoryEntry[]> {
    throw new RequestError('ENOTDIR');
  }
  async create(_name: string, _fh: number, _mode: OpenMode, _caller: Caller): Promise<Created> {
    throw new RequestError('EACCES');
  }
  async unlink(_name: string, _caller: Caller): Promise<void> {
    throw new RequestError('EACCES');
  }
  async makeDirectory(_name: string, _caller: Caller): Promise<Node> {
    throw new RequestError('EPERM');
  }
  async makeLink(_name: string, _target: string): Promise<Node> {
    throw new RequestError('EPERM');
  }
  async removeDirectory(_name: string, _caller: Caller): Promise<void> {
    throw new RequestError('EACCES');
  }
  /** @param replace whether a file that has the new name is replaced */
  async rename(_name: string, _newParent: Node, _newName: string, _replace: boolean, _caller: Caller): Promise<void> {
    throw new RequestError('EACCES');
  }
  async readlink(_caller: Caller): Promise<string> {
    throw new RequestError('EINVAL');
  }
  /** Returns how the kernel is to treat what is read through the handle. */
  async open(_fh: number, _mode: OpenMode, _caller: Caller): Promise<CachePolicy> {
    throw new RequestError('EISDIR');
  }
  async read(_fh: number, _offset: number, _size: number): Promise<Buffer[]> {
    throw new RequestError('EISDIR');
  }
  /** What `read` gave was answered. */
  readAnswered(_pieces: Buffer[]): void {}
  async write(_fh: number, _offset: number, _data: Buffer, _caller: Caller): Promise<void> {
    throw new RequestError('EBADF');
  }
  /** What a kind of node does not keep is taken all the same, as on filesystems that have no owners and times. */
  async setAttributes(_request: SetattrRequest, _caller: Caller): Promise<void> {}
  async sync(_fh: number): Promise<void> {}
  async flush(_fh: number, _lockOwner: bigint, _caller: Caller): Promise<void> {}
  async release(_fh: number): Promise<void> {}
  /** The kernel has forgotten the node: it may be dropped. */
  forgotten(): void {}
}

export function directoryAttributes(ino: InodeNumber, owner: Owner, mode: number, timeMs: number): Attributes {
  return {
    ino,
    size: 0,
    mode: S_IFDIR | mode,
    // Not told, by convention: fts(3) takes 2 for a directory without others in it, and tries to unlink those.
    nlink: 1,
    uid: owner.uid,
    gid: owner.gid,
    mtimeMs: timeMs,
    blockBytes: BLOCK_BYTES_SHOWN,
  };
}

export function fileAttributes(
  ino: InodeNumber,
  owner: Owner,
  mode: number,
  sizeBytes: number,
  timeMs: number,
): Attributes {
  return {
    ino,
    size: sizeBytes,
    mode: S_IFREG | mode,
    // SQLite takes another link count for a file that was moved away from under it.
    nlink: 1,
    uid: owner.uid,
    gid: owner.gid,
    mtimeMs: timeMs,
    blockBytes: BLOCK_BYTES_SHOWN,
  };
}
