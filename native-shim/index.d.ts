// The face of the native addon. Numbers are exact integers below 2^53; 64-bit lock owners are bigints.
// Names and link targets are strings (UTF-8; a request whose name is not valid UTF-8 is answered EILSEQ natively).

interface RequestBase {
  /** Identifies the request; every request but forget and interrupt must be answered with it exactly once. */
  readonly unique: number;
  readonly nodeid: number;
  /** The calling thread's id; 0 when the kernel itself asks (RELEASE, some FLUSH). */
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}
interface Named extends RequestBase {
  readonly name: string;
}
interface OnHandle extends RequestBase {
  readonly fh: number;
}
export interface LockRequest extends OnHandle {
  readonly op: 'getlk' | 'setlk' | 'setlkw';
  readonly owner: bigint;
  /** First and last byte, both included; a lock to the end of file has end = Number.MAX_SAFE_INTEGER. */
  readonly start: number;
  readonly end: number;
  readonly type: 'read' | 'write' | 'unlock';
  /** The process id stated in the lock (0 on unlock). */
  readonly lockPid: number;
}
export interface SetattrRequest extends RequestBase {
  readonly op: 'setattr';
  /** Present exactly when the caller sets it. */
  readonly size?: number;
  readonly mode?: number;
  readonly setUid?: number;
  readonly setGid?: number;
  readonly mtimeMs?: number;
  readonly fh?: number;
}
export interface WriteRequest extends OnHandle {
  readonly op: 'write';
  readonly offset: number;
  /** A buffer of its own: JavaScript may keep it. */
  readonly data: Buffer;
}
export interface ReadRequest extends OnHandle {
  readonly op: 'read';
  readonly offset: number;
  readonly size: number;
}
export type Request =
  | (Named & { readonly op: 'lookup' | 'unlink' | 'rmdir' })
  | (Named & { readonly op: 'mkdir' | 'mknod'; readonly mode: number })
  | (Named & { readonly op: 'create'; readonly flags: number; readonly mode: number })
  | (Named & { readonly op: 'symlink'; readonly target: string })
  | (Named & { readonly op: 'rename'; readonly newParent: number; readonly newName: string; readonly flags: number })
  | (RequestBase & { readonly op: 'forget'; readonly forgets: ReadonlyArray<{ nodeid: number; count: number }> })
  | (RequestBase & { readonly op: 'interrupt'; readonly target: number })
  | (RequestBase & { readonly op: 'getattr'; readonly fh?: number })
  | (RequestBase & { readonly op: 'readlink' | 'statfs' })
  | (RequestBase & { readonly op: 'open' | 'opendir'; readonly flags: number })
  | (OnHandle & { readonly op: 'release' | 'releasedir'; readonly flags: number; readonly lockOwner: bigint })
  | (OnHandle & { readonly op: 'flush'; readonly lockOwner: bigint })
  | (OnHandle & { readonly op: 'fsync' | 'fsyncdir'; readonly dataOnly: boolean })
  | (OnHandle & { readonly op: 'readdir'; readonly offset: number; readonly size: number })
  /** `name` begins with "user.": others are refused natively. `size` is the room for the value; 0 asks how much is needed. */
  | (Named & { readonly op: 'getxattr'; readonly size: number })
  | (RequestBase & { readonly op: 'listxattr'; readonly size: number })
  | SetattrRequest
  | ReadRequest
  | WriteRequest
  | LockRequest
  /** Anything else that the kernel may ask (ioctl, fallocate …), by its number in <linux/fuse.h>. */
  | (RequestBase & { readonly op: 'other'; readonly opcode: number });

export interface Attributes {
  readonly ino: number;
  readonly size: number;
  /** File type and permission bits (S_IFMT | mode). */
  readonly mode: number;
  readonly nlink: number;
  readonly uid: number;
  readonly gid: number;
  /** Used for atime, mtime and ctime. */
  readonly mtimeMs: number;
  readonly blockBytes: number;
}
export interface Entry {
  /** 0: the name does not exist, and the kernel may remember that for entryTtlMs. */
  readonly nodeid: number;
  readonly entryTtlMs: number;
  readonly attrTtlMs: number;
  /** Left out only when nodeid is 0. */
  readonly attributes?: Attributes;
}
export interface DirectoryEntry {
  readonly name: string;
  readonly ino: number;
  /** S_IFMT bits of the mode. */
  readonly mode: number;
  /** The offset from which a following readdir continues after this entry (> 0). */
  readonly nextOffset: number;
}
export interface Statfs {
  readonly blocks: number;
  readonly blocksFree: number;
  readonly blocksAvailable: number;
  readonly files: number;
  readonly filesFree: number;
  readonly blockBytes: number;
  readonly nameBytesMax: number;
}
export interface LockDescription {
  readonly start: number;
  readonly end: number;
  readonly type: 'read' | 'write' | 'unlock';
  readonly pid: number;
}

export interface MountOptions {
  /** Absolute path of an existing directory. */
  readonly mountpoint: string;
  /** Shown as the source and, after "fuse.", the type in /proc/mounts. */
  readonly fsName: string;
  readonly subtype: string;
  readonly allowOther: boolean;
  readonly defaultPermissions: boolean;
  readonly readOnly: boolean;
  /** At most 1 MiB. */
  readonly writeBytesMax: number;
  /** Requests handed to JavaScript and not yet answered; past it nothing more is read. */
  readonly queueLengthMax: number;
  /**
   * Whether the kernel may keep what a directory lists until it changes it itself, or sees another mtime. Otherwise OPENDIR
   * and RELEASEDIR are answered natively, and never come to JavaScript; when true, answer them ENOSYS.
   */
  readonly cachesLists: boolean;
}

/** FOPEN_* bits of an open or create answer. */
export declare const OPEN_DIRECT_IO: number;
export declare const OPEN_KEEP_CACHE: number;

/**
 * A mounted FUSE session. Answers are written to the kernel at once, on the calling thread; an answer to a
 * `unique` that is not waiting for one throws an Error with code 'ERR_NOT_PENDING'; so does a second answer.
 * When the kernel no longer wants an answer (the caller was killed, the mount is gone) it is dropped silently.
 */
export declare class Session {
  /**
   * Mounts and begins to read. `onRequests` gets the requests in the order in which the kernel
   * gave them; it must not throw. `onEnd` is called once, when the session is over (unmounted, aborted or
   * closed), with an Error when it ended by a failure; no requests come after it. A session that has not
   * ended keeps the event loop alive.
   * @throws Error with `code` (errno name) when mounting fails; the message carries what fusermount3 said.
   */
  static mount(
    options: MountOptions,
    onRequests: (requests: Request[]) => void,
    onEnd: (error: Error | undefined) => void,
  ): Session;

  /** Requests that were refused natively, and never came to `onRequests`. */
  readonly refusedCount: number;

  replyOk(unique: number): void;
  /** `errno` is the positive number. */
  replyError(unique: number, errno: number): void;
  replyEntry(unique: number, entry: Entry): void;
  replyAttributes(unique: number, attrTtlMs: number, attributes: Attributes): void;
  replyOpen(unique: number, fh: number, openFlags: number): void;
  replyCreate(unique: number, entry: Entry, fh: number, openFlags: number): void;
  /** Answers read and readlink: the pieces one after the other; they are not kept after the call. */
  replyData(unique: number, pieces: readonly Uint8Array[]): void;
  replyWrite(unique: number, bytes: number): void;
  /** As many of the entries as fit in `size` bytes; none of them means the end of the directory. */
  replyDirectory(unique: number, entries: readonly DirectoryEntry[], size: number): void;
  replyStatfs(unique: number, statfs: Statfs): void;
  replyLock(unique: number, lock: LockDescription): void;
  /**
   * Answers getxattr with the value, and listxattr with the names, each with a NUL behind it; `size` is the request's.
   * With a size of 0 it answers how long that is, and with one that is too small ERANGE. ENODATA is for replyError.
   */
  replyXattr(unique: number, value: Uint8Array, size: number): void;

  /** Sent from a thread of their own; resolve when the kernel has acted (an unknown inode or name is fine). */
  notifyInvalidInode(nodeid: number, offset: number, length: number): Promise<void>;
  notifyInvalidEntry(parent: number, name: string): Promise<void>;
  notifyDelete(parent: number, child: number, name: string): Promise<void>;

  /**
   * Takes the mount off the tree (lazily: open files stay usable until close) without ending the session.
   * @throws Error with `code` when it cannot; a mount that is already gone is fine.
   */
  unmount(): void;
  /** Ends the session now: requests still unanswered fail with ENOTCONN for their callers. onEnd follows. */
  close(): void;
}

/**
 * Sends one datagram to the unix socket at an absolute path, or to an abstract one whose name begins with "@". Never waits.
 * @throws Error with `code`: EAGAIN when the receiver has no room, ENOENT or ECONNREFUSED when there is none
 */
export declare function sendDatagram(path: string, data: Uint8Array): void;

/** Milliseconds since the machine was started, those that it slept included (CLOCK_BOOTTIME). */
export declare function bootTimeMs(): number;
