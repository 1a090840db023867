// Before a store is used: makes durable what is found in its files, so that nothing is read or built on that a loss of
// power would take back.
//
// A process that died, or whose sync failed, leaves a write-ahead log that is whole in the kernel's cache and need not
// be on the disk. After a failed sync the kernel even takes those pages for written, so that no later sync writes them
// (fsync(2), ERRORS); commits that are appended to such a log would be lost with it.

import { closeSync, fsyncSync, openSync, readSync, writeSync } from 'node:fs';

const CHUNK_BYTES = 1024 * 1024;

/**
 * Writes the log of the database at `path` over itself and syncs it. Whenever this is interrupted, nothing has changed.
 * To be called while no connection to it is open.
 */
export function settleLog(path: string): void {
  let log: number;
  try {
    log = openSync(`${path}-wal`, 'r+');
  } catch (error) {
    // Closed in order, or new.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  try {
    const chunk = Buffer.alloc(CHUNK_BYTES);
    for (let offset = 0, bytes = 0; ; offset += bytes) {
      bytes = readSync(log, chunk, 0, CHUNK_BYTES, offset);
      if (bytes === 0) break;
      for (let done = 0; done < bytes; ) done += writeSync(log, chunk, done, bytes - done, offset + done);
    }
    fsyncSync(log);
  } finally {
    closeSync(log);
  }
}

/** Makes the names of files in it durable. SQLite does so too for its log, but does not look whether that failed. */
export function syncDirectory(directory: string): void {
  const descriptor = openSync(directory, 'r');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
