// A tiny filesystem in memory, just enough to test the native session: one flat directory of files and symbolic links,
// POSIX locks with waiters. Handles a request at once unless a test holds it back with `intercept`.

import {
  type Attributes,
  type DirectoryEntry,
  type Entry,
  type LockRequest,
  OPEN_DIRECT_IO,
  type Request,
  type Session,
  type SetattrRequest,
} from '../../src/native/binding.js';
import { NativeLockTable } from './native-lock-table.js';

export const ERRNO = { ENOENT: 2, EINTR: 4, EIO: 5, EAGAIN: 11, EEXIST: 17, ENOSYS: 38 } as const;
export const ROOT = 1;
const S_IFDIR = 0o040000;
const S_IFREG = 0o100000;
const S_IFLNK = 0o120000;

export interface MemoryNode {
  readonly nodeid: number;
  mode: number;
  data: Buffer;
  mtimeMs: number;
  uid: number;
  gid: number;
  readonly locks: NativeLockTable;
}

export class NativeMemoryFilesystem {
  readonly names = new Map<string, MemoryNode>();
  /** Every request in its order of arrival. */
  readonly seen: Request[] = [];
  /** Returns true to keep the request from being handled; the test answers it. */
  intercept: (request: Request) => boolean = () => false;
  entryTtlMs = 0;
  attrTtlMs = 0;
  negativeTtlMs = 0;
  openFlags = OPEN_DIRECT_IO;
  session: Session | undefined;
  readonly #nodes = new Map<number, MemoryNode>();
  #lastNodeid = ROOT;

  constructor() {
    this.#nodes.set(ROOT, this.#node(ROOT, S_IFDIR | 0o755));
  }

  addFile(name: string, data: Buffer): MemoryNode {
    return this.#add(name, S_IFREG | 0o644, data);
  }

  addLink(name: string, target: string): MemoryNode {
    return this.#add(name, S_IFLNK | 0o777, Buffer.from(target));
  }

  readonly onRequests = (requests: Request[]): void => {
    for (const request of requests) {
      this.seen.push(request);
      if (!this.intercept(request)) this.handle(request);
    }
  };

  count(op: Request['op']): number {
    return this.seen.filter((request) => request.op === op).length;
  }

  handle(request: Request): void {
    const session = this.session;
    if (session === undefined) throw new Error('no session');
    const { unique } = request;
    const node = this.#nodes.get(request.nodeid);
    if (request.op === 'forget') return;
    if (request.op === 'interrupt') {
      for (const each of this.#nodes.values()) each.locks.interrupt(request.target);
      return;
    }
    if (node === undefined) return session.replyError(unique, ERRNO.ENOENT);
    switch (request.op) {
      case 'lookup': {
        const found = this.names.get(request.name);
        if (found !== undefined) return session.replyEntry(unique, this.#entry(found));
        if (this.negativeTtlMs === 0) return session.replyError(unique, ERRNO.ENOENT);
        return session.replyEntry(unique, { nodeid: 0, entryTtlMs: this.negativeTtlMs, attrTtlMs: 0 });
      }
      case 'create': {
        const created = this.#add(request.name, request.mode, Buffer.alloc(0));
        return session.replyCreate(unique, this.#entry(created), created.nodeid, this.openFlags);
      }
      case 'unlink':
        return this.names.delete(request.name) ? session.replyOk(unique) : session.replyError(unique, ERRNO.ENOENT);
      case 'rename': {
        const moved = this.names.get(request.name);
        if (moved === undefined) return session.replyError(unique, ERRNO.ENOENT);
        this.names.delete(request.name);
        this.names.set(request.newName, moved);
        return session.replyOk(unique);
      }
      case 'getattr':
        return session.replyAttributes(unique, this.attrTtlMs, attributesOf(node));
      case 'setattr':
        setAttributes(node, request);
        return session.replyAttributes(unique, this.attrTtlMs, attributesOf(node));
      case 'readlink':
        return session.replyData(unique, [node.data]);
      case 'open':
        return session.replyOpen(unique, node.nodeid, this.openFlags);
      case 'opendir':
        return session.replyOpen(unique, 0, 0);
      case 'read':
        return session.replyData(unique, [node.data.subarray(request.offset, request.offset + request.size)]);
      case 'write': {
        const end = request.offset + request.data.length;
        if (end > node.data.length) node.data = Buffer.concat([node.data, Buffer.alloc(end - node.data.length)]);
        request.data.copy(node.data, request.offset);
        return session.replyWrite(unique, request.data.length);
      }
      case 'readdir':
        return session.replyDirectory(unique, this.#listing(request.offset), request.size);
      case 'release':
        node.locks.releaseOwner(request.lockOwner);
        return session.replyOk(unique);
      case 'flush':
        node.locks.releaseOwner(request.lockOwner);
        return session.replyOk(unique);
      case 'fsync':
      case 'fsyncdir':
      case 'releasedir':
        return session.replyOk(unique);
      case 'statfs':
        return session.replyStatfs(unique, {
          blocks: 1000,
          blocksFree: 900,
          blocksAvailable: 800,
          files: 70,
          filesFree: 60,
          blockBytes: 4096,
          nameBytesMax: 255,
        });
      case 'getlk':
      case 'setlk':
      case 'setlkw':
        return this.#lock(session, node, request);
      default:
        return session.replyError(unique, ERRNO.ENOSYS);
    }
  }

  #lock(session: Session, node: MemoryNode, request: LockRequest): void {
    const { unique } = request;
    if (request.op === 'getlk') {
      const other = node.locks.conflict(request);
      return session.replyLock(unique, other ?? { start: 0, end: 0, type: 'unlock', pid: 0 });
    }
    const answer = (isGranted: boolean) =>
      isGranted ? session.replyOk(unique) : session.replyError(unique, ERRNO.EINTR);
    if (request.op === 'setlkw') return node.locks.acquireOrWait(request, answer);
    return node.locks.acquire(request) ? session.replyOk(unique) : session.replyError(unique, ERRNO.EAGAIN);
  }

  #node(nodeid: number, mode: number, data: Buffer = Buffer.alloc(0)): MemoryNode {
    return { nodeid, mode, data, mtimeMs: 1_700_000_000_123, uid: 0, gid: 0, locks: new NativeLockTable() };
  }

  #add(name: string, mode: number, data: Buffer): MemoryNode {
    const node = this.#node(++this.#lastNodeid, mode, data);
    this.#nodes.set(node.nodeid, node);
    this.names.set(name, node);
    return node;
  }

  #entry(node: MemoryNode): Entry {
    const { nodeid } = node;
    return { nodeid, entryTtlMs: this.entryTtlMs, attrTtlMs: this.attrTtlMs, attributes: attributesOf(node) };
  }

  #listing(offset: number): DirectoryEntry[] {
    return [...this.names]
      .map(([name, node], index) => ({ name, ino: node.nodeid, mode: node.mode, nextOffset: index + 1 }))
      .slice(offset);
  }
}

function attributesOf(node: MemoryNode): Attributes {
  return {
    ino: node.nodeid,
    size: node.data.length,
    mode: node.mode,
    nlink: 1,
    uid: node.uid,
    gid: node.gid,
    mtimeMs: node.mtimeMs,
    blockBytes: 4096,
  };
}

function setAttributes(node: MemoryNode, request: SetattrRequest): void {
  if (request.size !== undefined) {
    const kept = node.data.subarray(0, request.size);
    node.data = Buffer.concat([kept, Buffer.alloc(request.size - kept.length)]);
  }
  if (request.mode !== undefined) node.mode = request.mode;
  if (request.mtimeMs !== undefined) node.mtimeMs = request.mtimeMs;
  if (request.setUid !== undefined) node.uid = request.setUid;
  if (request.setGid !== undefined) node.gid = request.setGid;
}
