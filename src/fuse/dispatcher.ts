// Hands each request to its inode and answers it, exactly once.
//
// Nothing that a request does may escape: whatever is thrown becomes an errno for that request alone. Requests of
// one SQLite connection are served in order, one at a time; a lock that is waited for leaves that line while it
// waits, and an interrupted caller gets EINTR. Callers that are dying do not wait for ever (dying-callers.ts).

import { constants } from 'node:fs';
import type { Logger } from 'pino';
import { isMvfuseError } from '../errors.js';
import {
  type DirectoryEntry,
  type Entry,
  type LockRequest,
  OPEN_DIRECT_IO,
  OPEN_KEEP_CACHE,
  type Request,
  type Session,
} from '../native/binding.js';
import type { MountObserver } from '../observers.js';
import { Database } from './database.js';
import { DatabaseDirectory } from './database-directory.js';
import { describe } from './describe.js';
import { DyingCallers } from './dying-callers.js';
import { Errno, errnoOf, LimitError, LockHeldError, RequestError } from './errno.js';
import { attributeNames } from './extended-attributes.js';
import type { InodeTable } from './inode-table.js';
import type { ByteRange } from './kernel-cache.js';
import { LimitLog } from './limit-log.js';
import type { LinkReads } from './link-reads.js';
import type { CachePolicy, Caller, Node, OpenMode } from './node.js';
import { PrivateFile } from './private-file.js';
import { fileSystemSpace } from './space.js';
import { Turns } from './turns.js';

/** A lock that is waited for looks again at least this often: a reservation runs out without a wake-up. */
const LOCK_POLL_MS = 25;

/** Writes of this length take turns: cutting them into blocks takes about as long as some hundred small requests. */
const LARGE_WRITE_BYTES = 64 * 1024;

/**
 * Sees every request just before it is served; what it returns (or resolves to) answers the request with that
 * errno instead. For traces and fault injection.
 */
export type Intercept = (label: string, request: Request) => number | undefined | Promise<number | undefined>;

export interface DispatcherOptions {
  readonly inodes: InodeTable;
  readonly log: Logger;
  /** Open handles, of databases, journals and versions. */
  readonly handlesMax: number;
  /** A directory on the filesystem whose free space `df` shows; undefined for a store in memory. */
  readonly spaceDirectory: string | undefined;
  readonly linkReads: LinkReads;
  readonly intercept?: Intercept | undefined;
  readonly observer?: MountObserver | undefined;
}

interface Answer {
  (session: Session, unique: number): void;
  /** Takes back what only a caller that has got the answer could use. */
  readonly undo?: () => Promise<void>;
}

const CACHE_FLAGS: Record<CachePolicy, number> = {
  direct: OPEN_DIRECT_IO | OPEN_KEEP_CACHE,
  fresh: 0,
  keep: OPEN_KEEP_CACHE,
};

/** Of renameat2(2). */
const RENAME_NOREPLACE = 1;
/** In <linux/fuse.h>: what makes hard links, and access(2). */
const LINK = 13;
const ACCESS = 34;

const OK: Answer = (session, unique) => session.replyOk(unique);

/** What the kernel lets only its owner do in a connection. It asked before that may have changed, so it is asked again. */
const OWNERS_ONLY = new Set<Request['op']>(['open', 'create', 'unlink', 'mkdir', 'rmdir']);

/** Requests that are part of writing: an error answered to one of them spoils the transaction. */
const WRITING = new Set<Request['op']>(['write', 'fsync', 'create', 'unlink']);

export class Dispatcher {
  readonly #options: DispatcherOptions;
  readonly #inodes: InodeTable;
  readonly #interrupts = new Map<number, AbortController>();
  readonly #limitLog: LimitLog;
  readonly #callers = new DyingCallers((request) => {
    this.#give(request, (session, unique) => session.replyError(unique, Errno.EINTR));
  });
  readonly #turns = new Turns();
  /** What the last one who lists a directory, and is not done, was begun to be told. */
  readonly #listings = new WeakMap<Node, { readonly pid: number; readonly entries: DirectoryEntry[] }>();
  #lastHandle = 0;
  #handles = 0;
  #unanswered = 0;
  #session: Session | undefined;

  constructor(options: DispatcherOptions) {
    this.#options = options;
    this.#inodes = options.inodes;
    this.#limitLog = new LimitLog(options.log, () => performance.now());
  }

  /** Requests that are being served. */
  get unanswered(): number {
    return this.#unanswered;
  }

  attach(session: Session): void {
    this.#session = session;
  }

  receive(requests: readonly Request[]): void {
    for (const request of requests) {
      if (request.op === 'forget') {
        for (const { nodeid, count } of request.forgets) this.#inodes.forget(nodeid, count);
      } else if (request.op === 'interrupt') {
        this.#interrupts.get(request.target)?.abort();
        this.#callers.interrupted(request.target);
      } else {
        void this.#answer(request);
      }
    }
  }

  /** The session is over. */
  close(): void {
    this.#callers.close();
  }

  async #answer(request: Request): Promise<void> {
    this.#callers.came(request);
    const { observer } = this.#options;
    const startMs = observer === undefined ? 0 : performance.now();
    let errno = 0;
    let answer: Answer;
    this.#unanswered += 1;
    try {
      answer = await this.#serve(request);
    } catch (error) {
      errno = errnoOf(error, request.op);
      if (error instanceof LimitError) this.#limitLog.tell(error, request.op);
      else if (!(error instanceof RequestError)) this.#logFailure(request, error, errno);
      const answered = errno;
      answer = (session, unique) => session.replyError(unique, answered);
    } finally {
      this.#unanswered -= 1;
      this.#interrupts.delete(request.unique);
    }
    observer?.answered(request.op, performance.now() - startMs, errno);
    if (this.#callers.served(request)) this.#give(request, answer);
    else await answer.undo?.().catch((error: unknown) => this.#logFailure(request, error, Errno.EINTR));
  }

  #give(request: Request, answer: Answer): void {
    try {
      answer(this.#session!, request.unique);
    } catch (error) {
      this.#options.log.error({ err: error, op: request.op }, 'an answer could not be given');
    }
  }

  async #serve(request: Request): Promise<Answer> {
    const node = this.#inodes.get(request.nodeid);
    this.#options.linkReads.came(request, node instanceof DatabaseDirectory);
    if (request.op === 'setlkw') return this.#waitForLock(request, node);
    return this.#perform(request, node, () => this.#handle(request, node));
  }

  /** In the connection's line where the inode belongs to one. */
  async #perform(request: Request, node: Node, serve: () => Promise<Answer>): Promise<Answer> {
    const { intercept } = this.#options;
    const intercepted = async (): Promise<Answer> => {
      const errno = await intercept?.(describe(request, node), request);
      if (errno !== undefined) throw new RequestError(errno, 'injected');
      return serve();
    };
    const connection = 'name' in request ? node.connectionOf(request.name, request.pid) : node.connection;
    if (connection === undefined) return intercept === undefined ? serve() : intercepted();
    const service = intercept === undefined ? serve : intercepted;
    // The kernel may hold a page for a read while it drops pages for another request of the same connection.
    if (request.op === 'read' && node instanceof Database) return service();
    return connection.perform(writes(request, node), service, bytesWritten(request, node));
  }

  async #handle(request: Request, node: Node): Promise<Answer> {
    if (OWNERS_ONLY.has(request.op) && node.connection?.admits(request.uid) === false) throw new RequestError('EACCES');
    switch (request.op) {
      case 'lookup':
        return this.#lookup(node, request.name, this.#caller(request));
      case 'getattr': {
        const attributes = await node.attributes();
        return (session, unique) => session.replyAttributes(unique, node.attrTtlMs, attributes);
      }
      case 'setattr': {
        await node.setAttributes(request, this.#caller(request));
        const attributes = await node.attributes();
        return (session, unique) => session.replyAttributes(unique, node.attrTtlMs, attributes);
      }
      case 'getxattr': {
        const value = (await node.extendedAttributes()).get(request.name);
        if (value === undefined) throw new RequestError('ENODATA');
        return (session, unique) => session.replyXattr(unique, Buffer.from(value), request.size);
      }
      case 'listxattr': {
        const names = attributeNames(await node.extendedAttributes());
        return (session, unique) => session.replyXattr(unique, names, request.size);
      }
      case 'readlink': {
        const target = Buffer.from(await node.readlink(this.#caller(request)));
        return (session, unique) => session.replyData(unique, [target]);
      }
      case 'open':
        return this.#open(node, request.flags, this.#caller(request));
      case 'create':
        return this.#create(node, request.name, request.flags, this.#caller(request));
      case 'read': {
        const pieces = await node.read(request.fh, request.offset, request.size);
        const answer: Answer = (session, unique) => {
          try {
            session.replyData(unique, pieces);
          } finally {
            node.readAnswered(pieces);
          }
        };
        return Object.assign(answer, { undo: async () => node.readAnswered(pieces) });
      }
      case 'write': {
        const { length } = request.data;
        if (length >= LARGE_WRITE_BYTES) await this.#turns.next();
        await node.write(request.fh, request.offset, request.data, this.#caller(request));
        return (session, unique) => session.replyWrite(unique, length);
      }
      case 'fsync':
        await node.sync(request.fh);
        return OK;
      case 'flush':
        await node.flush(request.fh, request.lockOwner, this.#caller(request));
        return OK;
      case 'release':
        this.#handles -= 1;
        await node.release(request.fh);
        return OK;
      case 'unlink':
        await node.unlink(request.name, this.#caller(request));
        return OK;
      case 'rename': {
        const { name, newName, newParent, flags } = request;
        if ((flags & ~RENAME_NOREPLACE) !== 0) throw new RequestError('EINVAL');
        const target = this.#inodes.get(newParent);
        await node.rename(name, target, newName, (flags & RENAME_NOREPLACE) === 0, this.#caller(request));
        return OK;
      }
      case 'readdir': {
        const entries = await this.#entriesFrom(node, request);
        return (session, unique) => session.replyDirectory(unique, entries, request.size);
      }
      case 'getlk':
        return this.#getLock(request, node);
      case 'setlk':
        await this.#lock(request, node);
        return OK;
      case 'statfs': {
        const space = await fileSystemSpace(this.#options.spaceDirectory);
        return (session, unique) => session.replyStatfs(unique, space);
      }
      case 'mkdir':
        return this.#entryAnswer(await node.makeDirectory(request.name, this.#caller(request)), 0);
      case 'symlink':
        return this.#entryAnswer(await node.makeLink(request.name, request.target), 0);
      case 'rmdir':
        await node.removeDirectory(request.name, this.#caller(request));
        return OK;
      case 'mknod':
        throw new RequestError('EACCES');
      case 'other':
        // Once refused, the kernel would not ask again, and nobody could see that a link was followed (link-reads.ts).
        if (request.opcode === ACCESS) return OK;
        throw new RequestError(request.opcode === LINK ? 'EPERM' : 'ENOSYS');
      default:
        // opendir and fsyncdir among them: the kernel does not ask again.
        throw new RequestError('ENOSYS');
    }
  }

  async #lookup(parent: Node, name: string, caller: Caller): Promise<Answer> {
    const found = await parent.lookup(name, caller);
    if ('absentTtlMs' in found) {
      const { absentTtlMs } = found;
      return (session, unique) => session.replyEntry(unique, { nodeid: 0, entryTtlMs: absentTtlMs, attrTtlMs: 0 });
    }
    const { node, entryTtlMs } = 'node' in found ? found : { node: found, entryTtlMs: found.entryTtlMs };
    return this.#entryAnswer(node, entryTtlMs);
  }

  async #entryAnswer(node: Node, entryTtlMs: number): Promise<Answer> {
    const entry = { ...(await this.#entry(node)), entryTtlMs };
    return (session, unique) => {
      this.#inodes.remember(node);
      session.replyEntry(unique, entry);
    };
  }

  /** A directory is listed once, however many requests it takes: what comes meanwhile may be left out. */
  async #entriesFrom(node: Node, request: Extract<Request, { op: 'readdir' }>): Promise<DirectoryEntry[]> {
    const { pid, offset } = request;
    const known = offset === 0 ? undefined : this.#listings.get(node);
    const entries = known?.pid === pid ? known.entries : await node.entries(this.#caller(request));
    const rest = entries.filter(({ nextOffset }) => nextOffset > offset);
    if (rest.length > 0) this.#listings.set(node, { pid, entries });
    else this.#listings.delete(node);
    return rest;
  }

  async #open(node: Node, flags: number, caller: Caller): Promise<Answer> {
    const fh = this.#nextHandle();
    const mode = openMode(flags);
    const policy = await node.open(fh, mode, caller);
    this.#handles += 1;
    const answer: Answer = (session, unique) => session.replyOpen(unique, fh, CACHE_FLAGS[policy]);
    const release = (): Promise<void> => {
      this.#handles -= 1;
      return node.release(fh);
    };
    return Object.assign(answer, { undo: () => node.connection?.perform(false, release) ?? release() });
  }

  async #create(parent: Node, name: string, flags: number, caller: Caller): Promise<Answer> {
    const fh = this.#nextHandle();
    const created = await parent.create(name, fh, openMode(flags), caller);
    const { node, policy, entryTtlMs = node.entryTtlMs } = created;
    const release = (): Promise<void> => {
      this.#handles -= 1;
      return node.release(fh);
    };
    this.#handles += 1;
    try {
      const entry = { ...(await this.#entry(node)), entryTtlMs };
      const answer: Answer = (session, unique) => {
        this.#inodes.remember(node);
        session.replyCreate(unique, entry, fh, CACHE_FLAGS[policy]);
      };
      return Object.assign(answer, { undo: () => node.connection?.perform(false, release) ?? release() });
    } catch (error) {
      await release();
      throw error;
    }
  }

  async #entry(node: Node): Promise<Entry> {
    const attributes = await node.attributes();
    return { nodeid: node.ino, entryTtlMs: node.entryTtlMs, attrTtlMs: node.attrTtlMs, attributes };
  }

  // --- locks

  /** Journals and snapshots are not contended for; only databases have locks that mean something. */
  async #lock(request: LockRequest, node: Node): Promise<void> {
    if (node instanceof Database) await node.connection.lock(request);
  }

  async #getLock(request: LockRequest, node: Node): Promise<Answer> {
    const held = node instanceof Database ? node.connection.lockInTheWay(request) : undefined;
    const { start, end } = request;
    return (session, unique) => session.replyLock(unique, held ?? { start, end, type: 'unlock', pid: 0 });
  }

  async #waitForLock(request: LockRequest, node: Node): Promise<Answer> {
    const { connection } = node;
    const { signal } = this.#caller(request);
    for (;;) {
      try {
        return await this.#perform(request, node, async () => {
          await this.#lock(request, node);
          return OK;
        });
      } catch (error) {
        if (!(error instanceof LockHeldError) || connection === undefined) throw error;
      }
      await connection.lockChanged(LOCK_POLL_MS, signal);
      if (signal?.aborted) throw new RequestError('EINTR');
    }
  }

  // --- callers and handles

  /** Most requests never wait, so the signal is made when somebody asks for it. */
  #caller(request: Request): Caller {
    const interrupts = this.#interrupts;
    return {
      uid: request.uid,
      gid: request.gid,
      pid: request.pid,
      get signal(): AbortSignal {
        let interrupt = interrupts.get(request.unique);
        if (interrupt === undefined) {
          interrupt = new AbortController();
          interrupts.set(request.unique, interrupt);
        }
        return interrupt.signal;
      },
    };
  }

  /** @throws ENFILE when too many are open */
  #nextHandle(): number {
    const { handlesMax } = this.#options;
    if (this.#handles >= handlesMax) throw new LimitError('ENFILE', 'open handles', '--max-connections', handlesMax);
    this.#lastHandle += 1;
    return this.#lastHandle;
  }

  #logFailure(request: Request, error: unknown, errno: number): void {
    const passing = isMvfuseError(error) && error.code !== 'STORE_FAILED' && error.code !== 'CORRUPT';
    this.#options.log[passing ? 'warn' : 'error']({ err: error, op: request.op, errno }, 'a request failed');
  }
}

function writes(request: Request, node: Node): boolean {
  // What was refused there is written anew, in the same place.
  if (node instanceof PrivateFile && node.kind === 'wal') return false;
  if (WRITING.has(request.op)) return true;
  if (request.op === 'setattr') return request.size !== undefined;
  return request.op === 'open' && node instanceof PrivateFile;
}

function bytesWritten(request: Request, node: Node): ByteRange | undefined {
  if (request.op !== 'write' || !(node instanceof Database)) return undefined;
  return { offset: request.offset, length: request.data.length };
}

function openMode(flags: number): OpenMode {
  const access = flags & (constants.O_WRONLY | constants.O_RDWR);
  return {
    readable: access !== constants.O_WRONLY,
    writable: access !== constants.O_RDONLY,
    truncate: (flags & constants.O_TRUNC) !== 0,
    append: (flags & constants.O_APPEND) !== 0,
    exclusive: (flags & constants.O_EXCL) !== 0,
  };
}
