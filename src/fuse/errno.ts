// The only place that knows errno: its numbers, and which one SQLite must see for which failure.
//
// SQLite turns the errno of a request into one of its own results, and the same errno means different things
// at different requests: EAGAIN at a lock is SQLITE_BUSY with a retry, EIO at a read is taken for corruption.

import { type ErrorCode, isMvfuseError } from '../errors.js';

export const Errno = {
  EPERM: 1,
  ENOENT: 2,
  EINTR: 4,
  EIO: 5,
  EBADF: 9,
  EAGAIN: 11,
  EACCES: 13,
  EBUSY: 16,
  EEXIST: 17,
  EXDEV: 18,
  ENOTDIR: 20,
  EISDIR: 21,
  EINVAL: 22,
  ENFILE: 23,
  EFBIG: 27,
  ENOSPC: 28,
  EROFS: 30,
  ENAMETOOLONG: 36,
  ENOLCK: 37,
  ENOSYS: 38,
  ENOTEMPTY: 39,
  ENODATA: 61,
  EOPNOTSUPP: 95,
  ENOTCONN: 107,
  ETIMEDOUT: 110,
  ESTALE: 116,
} as const;

export type ErrnoName = keyof typeof Errno;

/** A request is refused with this errno, on purpose. */
export class RequestError extends Error {
  readonly errno: number;

  constructor(errno: ErrnoName | number, message?: string) {
    super(message ?? String(errno));
    this.name = 'RequestError';
    this.errno = typeof errno === 'number' ? errno : Errno[errno];
  }
}

/** A lock is held by somebody else: who is ready to wait may. */
export class LockHeldError extends RequestError {
  constructor() {
    super('EAGAIN', 'the lock is held');
  }
}

/** A limit that was set for the whole mount is reached. Whoever runs the daemon is told which (limit-log.ts). */
export class LimitError extends RequestError {
  /** What is limited. */
  readonly limit: string;
  /** The option that sets it; undefined where the limit is fixed. */
  readonly option: string | undefined;
  readonly max: number;

  constructor(errno: ErrnoName, limit: string, option: string | undefined, max: number) {
    super(errno, `limit reached: ${limit}`);
    this.name = 'LimitError';
    this.limit = limit;
    this.option = option;
    this.max = max;
  }
}

/** What an error of the store means to a request that changes something. */
const ERRNO_OF: Record<ErrorCode, number> = {
  INVALID_ARGUMENT: Errno.EINVAL,
  NOT_FOUND: Errno.ENOENT,
  GONE: Errno.ENOENT,
  ALREADY_EXISTS: Errno.EEXIST,
  CONFLICT: Errno.EIO,
  BUSY: Errno.EBUSY,
  READ_ONLY: Errno.EROFS,
  ACCESS_DENIED: Errno.EACCES,
  LIMIT: Errno.EFBIG,
  NO_SPACE: Errno.ENOSPC,
  STORE_OWNED: Errno.EIO,
  STORE_FORMAT: Errno.EIO,
  STORE_FAILED: Errno.EIO,
  CORRUPT: Errno.EIO,
  MOUNT_FAILED: Errno.EIO,
  CLOSED: Errno.EIO,
  NOT_READY: Errno.EIO,
};

/** The errno that answers a request of kind `op` that failed with `error`. */
export function errnoOf(error: unknown, op: string): number {
  if (error instanceof RequestError) return error.errno;
  // SQLite reads EIO, ERANGE and ENXIO at a READ as a corrupt filesystem; a time-out is an ordinary I/O error.
  if (op === 'read') return Errno.ETIMEDOUT;
  const errno = isMvfuseError(error) ? ERRNO_OF[error.code] : systemErrno(error);
  return errno ?? Errno.EIO;
}

/** No room for a temporary file, whatever the system calls it; ENOSPC alone is SQLITE_FULL. */
const NO_ROOM: readonly unknown[] = ['EDQUOT', 'EMFILE', 'ENFILE'];

/** The errno of an error that Node's own file functions threw (spill files). */
function systemErrno(error: unknown): number | undefined {
  const name = (error as { code?: unknown } | undefined)?.code;
  if (NO_ROOM.includes(name)) return Errno.ENOSPC;
  return typeof name === 'string' && name in Errno ? Errno[name as ErrnoName] : undefined;
}
