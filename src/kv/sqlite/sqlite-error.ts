// What SQLite's result codes mean for a store (https://sqlite.org/rescode.html).

import { type ErrorCode, MvfuseError } from '../../errors.js';

/** The project's error for one of SQLite or of the filesystem; an MvfuseError is passed through. */
export function toStoreError(error: unknown, what: string): MvfuseError {
  if (error instanceof MvfuseError) return error;
  const { code = 'unknown', message = String(error) } = error as { code?: string; message?: string };
  return new MvfuseError(storeCode(code), `${what}: ${message} (${code})`, { cause: error });
}

/** Whether the store was left as it was and can go on: the error tells of a state that may pass. */
export function isPassing(error: MvfuseError): boolean {
  return error.code === 'NO_SPACE' || error.code === 'BUSY';
}

function storeCode(code: string): ErrorCode {
  if (code === 'SQLITE_FULL' || code === 'ENOSPC' || code === 'EDQUOT') return 'NO_SPACE';
  if (code === 'SQLITE_BUSY' || code.startsWith('SQLITE_BUSY_')) return 'BUSY';
  if (code === 'SQLITE_NOTADB') return 'STORE_FORMAT';
  if (code === 'SQLITE_CORRUPT' || code.startsWith('SQLITE_CORRUPT_')) return 'CORRUPT';
  return 'STORE_FAILED';
}
