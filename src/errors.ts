// The one error class of the project and its closed set of codes.
//
// Everything that can fail on purpose throws an MvfuseError; callers branch on `code`, never on a
// message. The table below says for each code whether the same call may be tried again, which HTTP
// status an API answers and which status a command exits with. The errno that a filesystem request
// is answered with depends on the request too and is decided in fuse/errno.ts.

interface Meaning {
  /** Whether the same call, unchanged, may succeed later. */
  readonly retryable: boolean;
  readonly httpStatus: number;
  /** Process exit status of a command that ends with this error; 1 is kept for defects. */
  readonly exitStatus: number;
}

const MEANINGS = {
  /** An argument, flag, name or URL that can never be right. */
  INVALID_ARGUMENT: { retryable: false, httpStatus: 400, exitStatus: 2 },
  /** A namespace, version or file that does not exist. */
  NOT_FOUND: { retryable: false, httpStatus: 404, exitStatus: 3 },
  /** A version that was there and has been removed. */
  GONE: { retryable: false, httpStatus: 410, exitStatus: 3 },
  ALREADY_EXISTS: { retryable: false, httpStatus: 409, exitStatus: 4 },
  /** The head moved since the snapshot was taken; nothing was written. */
  CONFLICT: { retryable: false, httpStatus: 409, exitStatus: 5 },
  /** Somebody else holds the write lock; nothing was written. */
  BUSY: { retryable: true, httpStatus: 423, exitStatus: 5 },
  READ_ONLY: { retryable: false, httpStatus: 403, exitStatus: 6 },
  /** A secret, token or proof is missing or wrong. */
  ACCESS_DENIED: { retryable: false, httpStatus: 403, exitStatus: 12 },
  /** A documented maximum was passed (see limits.ts). */
  LIMIT: { retryable: false, httpStatus: 413, exitStatus: 7 },
  /** No space is left where the data must go. */
  NO_SPACE: { retryable: true, httpStatus: 507, exitStatus: 7 },
  /** Another process owns the store. */
  STORE_OWNED: { retryable: true, httpStatus: 503, exitStatus: 8 },
  /** The store states a format that this release does not know. */
  STORE_FORMAT: { retryable: false, httpStatus: 500, exitStatus: 8 },
  /** The store failed to read or write; for a write, nothing was acknowledged. */
  STORE_FAILED: { retryable: true, httpStatus: 503, exitStatus: 8 },
  /** Stored bytes do not match their checksum or cannot be decoded. */
  CORRUPT: { retryable: false, httpStatus: 500, exitStatus: 9 },
  /** Mounting or unmounting failed. */
  MOUNT_FAILED: { retryable: false, httpStatus: 500, exitStatus: 10 },
  /** Closed, or shutting down. */
  CLOSED: { retryable: true, httpStatus: 503, exitStatus: 11 },
  /** What was waited for did not come in time. */
  NOT_READY: { retryable: true, httpStatus: 503, exitStatus: 13 },
} as const satisfies Record<string, Meaning>;

export type ErrorCode = keyof typeof MEANINGS;

export const ERROR_CODES = Object.keys(MEANINGS) as readonly ErrorCode[];

/** An expected failure: `code` is stable, `message` names the cause and, where there is one, the way out. */
export class MvfuseError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'MvfuseError';
    this.code = code;
  }
}

export function errorMeaning(code: ErrorCode): Meaning {
  return MEANINGS[code];
}

/** Whether `error` is an MvfuseError, with that code when one is given. */
export function isMvfuseError(error: unknown, code?: ErrorCode): error is MvfuseError {
  return error instanceof MvfuseError && (code === undefined || error.code === code);
}
