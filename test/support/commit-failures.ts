// Requests of a transaction that can fail, and what the application must then see: at its COMMIT, or in a statement that
// spills pages before that.
//
// Never the finalisation of a journal after the commit happened at FSYNC(db): with synchronous=OFF it is the commit.

import { constants } from 'node:os';
import type { JournalMode, Synchronous } from './lockstep.js';

const { EIO, ENOSPC, EAGAIN } = constants.errno;

export interface CommitFailure {
  readonly label: string;
  readonly nth: number;
  readonly errno: number;
  /** SQLite's name for the error of the COMMIT, or of the statement that spills. */
  readonly error: string;
  readonly modes: readonly JournalMode[];
  readonly synchronous: readonly Synchronous[];
  /** A statement larger than the cache fails, before the COMMIT. */
  readonly spills: boolean;
  /** The transaction changes a second database too. */
  readonly bothDatabases: boolean;
  /**
   * Whether the connection may keep its lock after the error. Without a journal file and without FSYNC(db) nothing tells
   * the end of SQLite's rollback from new writes, and such a connection rightly fails until it unlocks.
   */
  readonly staysLocked: boolean;
}

const SYNCED: readonly Synchronous[] = ['normal', 'full', 'extra'];
const UNSYNCED: readonly Synchronous[] = ['off'];
const FILES: readonly JournalMode[] = ['delete', 'truncate', 'persist'];

function failure(label: string, errno: number, error: string, rest: Partial<CommitFailure> = {}): CommitFailure {
  const defaults = {
    nth: 1,
    modes: FILES,
    synchronous: SYNCED,
    bothDatabases: false,
    spills: false,
    staysLocked: true,
  };
  return { label, errno, error, ...defaults, ...rest };
}

export const COMMIT_FAILURES: readonly CommitFailure[] = [
  failure('W(db)', ENOSPC, 'SQLITE_FULL', { spills: true, nth: 3 }),
  failure('W(db)', EIO, 'SQLITE_IOERR_WRITE', { spills: true, bothDatabases: true }),
  failure('W(db)', EIO, 'SQLITE_IOERR_WRITE', { modes: ['memory'], spills: true, nth: 2 }),
  failure('FSYNC(db)', EIO, 'SQLITE_IOERR_FSYNC'),
  failure('FSYNC(db)', ENOSPC, 'SQLITE_IOERR_FSYNC', { bothDatabases: true }),
  failure('FSYNC(db)', EIO, 'SQLITE_IOERR_FSYNC', { bothDatabases: true, nth: 2 }),
  failure('UNLINK(mj)', EIO, 'SQLITE_IOERR_DELETE', { bothDatabases: true }),
  failure('FSYNC(j)', EIO, 'SQLITE_IOERR_FSYNC'),
  failure('W(db)', ENOSPC, 'SQLITE_FULL'),
  failure('W(db)', EIO, 'SQLITE_IOERR_WRITE', { bothDatabases: true, nth: 2 }),
  failure('wP', EAGAIN, 'SQLITE_BUSY'),
  failure('W(db)', EIO, 'SQLITE_IOERR_WRITE', { synchronous: UNSYNCED }),
  failure('UNLINK(j)', EIO, 'SQLITE_IOERR_DELETE', { modes: ['delete'], synchronous: UNSYNCED, staysLocked: false }),
  failure('TRUNC(j)', EIO, 'SQLITE_IOERR_TRUNCATE', { modes: ['truncate'], synchronous: UNSYNCED, staysLocked: false }),
  failure('WZ(j)', EIO, 'SQLITE_IOERR_WRITE', { modes: ['persist'], synchronous: UNSYNCED, staysLocked: false }),
  failure('FSYNC(db)', EIO, 'SQLITE_IOERR_FSYNC', { modes: ['memory'] }),
  failure('FSYNC(db)', EIO, 'SQLITE_IOERR_FSYNC', { modes: ['memory'], bothDatabases: true, nth: 2 }),
  failure('W(db)', ENOSPC, 'SQLITE_FULL', { modes: ['memory'] }),
  failure('W(db)', EIO, 'SQLITE_IOERR_WRITE', { modes: ['memory'], synchronous: UNSYNCED, staysLocked: false }),
  failure('FSYNC(db)', EIO, 'SQLITE_IOERR_FSYNC', { modes: ['off'], staysLocked: false }),
  failure('W(db)', ENOSPC, 'SQLITE_FULL', {
    modes: ['off'],
    synchronous: [...SYNCED, ...UNSYNCED],
    staysLocked: false,
  }),
];
