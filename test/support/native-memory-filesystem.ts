// A tiny filesystem in memory, just enough to test the native session: one flat directory of files and symbolic links,
// POSIX locks with waiters. Handles a request at once unless a test holds it back with `intercept`.

import {
  type Attributes,
  type DirectoryEntry,
  type Entry,
  OPEN_DIRECT_IO,
  type Request,
  type Session,
  type SetattrRequest,
} from '../../src/native/binding.js';
import { NativeLockTable } from './native-lock-table.js';

export const ERRNO = { ENOENT: 2, EINTR: 4, EIO: 5, EAGAIN: 11, EEXIST: 17, ENOSYS: 38, ENODATA: 61 } as const;
export const ROOT = 1;
const S_IFDIR = 0o040000;
const S_IFREG = 0o100000;
const S_IFLNK = 0o120000;

const STATFS = {
  blocks: 1000,
  blocksFree: 900,
  blocksAvailable: 800,
  files: 70,
  filesFree: 60,
  blockBytes: 4096,
  nameBytesMax: 255,
};

export interface MemoryNode {
  readonly nodeid: number;
  mode: number;
  data: Buffer;
  mtimeMs: number;
  uid: number;
  gid: number;
  readonly xattrs: Map<string, Buffer>;
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
    if (request.op === 'forget') return;
    if (request.op === 'interrupt') {
      for (const node of this.#nodes.values()) node.locks.interrupt(request.target);
      return;
    }
    const node = this.#nodes.get(request.nodeid);
    if (node === undefined) session.replyError(request.unique, ERRNO.ENOENT);
    else this.#answer(session, node, request);
  }

  #answer(session: Session, node: MemoryNode, request: Exclude<Request, { op: 'forget' | 'interrupt' }>): void {
    const { unique } = request;
    switch (request.op) {
      case 'lookup':
        this.#lookup(session, unique, this.names.get(request.name));
        break;
      case 'create': {
        const created = this.#add(request.name, request.mode, Buffer.alloc(0));
        session.replyCreate(unique, this.#entry(created), created.nodeid, this.openFlags);
        break;
      }
      case 'unlink':
        replyDone(session, unique, this.names.delete(request.name), ERRNO.ENOENT);
        break;
      case 'rename': {
        const moved = this.names.get(request.name);
        this.names.delete(request.name);
        if (moved !== undefined) this.names.set(request.newName, moved);
        replyDone(session, unique, moved !== undefined, ERRNO.ENOENT);
        break;
      }
      case 'setattr':
        setAttributes(node, request);
        session.replyAttributes(unique, this.attrTtlMs, attributesOf(node));
        break;
      case 'getattr':
        session.replyAttributes(unique, this.attrTtlMs, attributesOf(node));
        break;
      case 'readlink':
        session.replyData(unique, [node.data]);
        break;
      case 'open':
        session.replyOpen(unique, node.nodeid, this.openFlags);
        break;
      case 'opendir':
        session.replyOpen(unique, 0, 0);
        break;
      case 'read':
        session.replyData(unique, [node.data.subarray(request.offset, request.offset + request.size)]);
        break;
      case 'write':
        write(node, request.offset, request.data);
        session.replyWrite(unique, request.data.length);
        break;
      case 'readdir':
        session.replyDirectory(unique, this.#listing(request.offset), request.size);
        break;
      case 'release':
      case 'flush':
        node.locks.releaseOwner(request.lockOwner);
        session.replyOk(unique);
        break;
      case 'fsync':
      case 'fsyncdir':
      case 'releasedir':
        session.replyOk(unique);
        break;
      case 'statfs':
        session.replyStatfs(unique, STATFS);
        break;
      case 'getxattr': {
        const value = node.xattrs.get(request.name);
        if (value === undefined) session.replyError(unique, ERRNO.ENODATA);
        else session.replyXattr(unique, value, request.size);
        break;
      }
      case 'listxattr': {
        const names = [...node.xattrs.keys()].map((name) => `${name}\0`).join('');
        session.replyXattr(unique, Buffer.from(names), request.size);
        break;
      }
      case 'getlk':
        session.replyLock(unique, node.locks.conflict(request) ?? { start: 0, end: 0, type: 'unlock', pid: 0 });
        break;
      case 'setlk':
        replyDone(session, unique, node.locks.acquire(request), ERRNO.EAGAIN);
        break;
      case 'setlkw':
        node.locks.acquireOrWait(request, (isGranted) => replyDone(session, unique, isGranted, ERRNO.EINTR));
        break;
      default:
        session.replyError(unique, ERRNO.ENOSYS);
    }
  }

  #lookup(session: Session, unique: number, found: MemoryNode | undefined): void {
    if (found !== undefined) session.replyEntry(unique, this.#entry(found));
    else if (this.negativeTtlMs === 0) session.replyError(unique, ERRNO.ENOENT);
    else session.replyEntry(unique, { nodeid: 0, entryTtlMs: this.negativeTtlMs, attrTtlMs: 0 });
  }

  #node(nodeid: number, mode: number, data: Buffer = Buffer.alloc(0)): MemoryNode {
    return {
      nodeid,
      mode,
      data,
      mtimeMs: 1_700_000_000_123,
      uid: 0,
      gid: 0,
      xattrs: new Map(),
      locks: new NativeLockTable(),
    };
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

function replyDone(session: Session, unique: number, isDone: boolean, errno: number): void {
  if (isDone) session.replyOk(unique);
  else session.replyError(unique, errno);
}

function write(node: MemoryNode, offset: number, data: Buffer): void {
  const missing = offset + data.length - node.data.length;
  if (missing > 0) node.data = Buffer.concat([node.data, Buffer.alloc(missing)]);
  data.copy(node.data, offset);
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
