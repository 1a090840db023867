// data.sqlite: the tables of the sqlite engine, its pragmas, and the format that it states.
//
//   pairs    key → its value when small, else the id of its content row. WITHOUT ROWID, so that the index
//            stays dense: with page images in it, commits take 1.6 times and reads twice as long.
//   content  id → a large value
//   meta     one row: the counter of the newest commit
//
// application_id says whose file it is, user_version its format. See docs/storage-format.md.

import { dirname } from 'node:path';
import Database from 'better-sqlite3';
import { MvfuseError } from '../../errors.js';
import { KV_READ_CACHE_KIB } from '../../limits.js';
import { settleLog, syncDirectory } from './durable-start.js';

export const DATA_FILE = 'data.sqlite';
/** "mvfs" in ASCII. */
export const APPLICATION_ID = 0x6d766673;
export const DATA_FORMAT = 1;

/** Larger values go to the content table. */
export const INLINE_VALUE_BYTES_MAX = 200;

const PAGE_BYTES = 4096;
const WRITER_CACHE_KIB = 16 * 1024;
/** How much of the write-ahead log is kept on disk once it was copied into the database. */
const WAL_KEPT_BYTES = 64 * 1024 * 1024;
const BUSY_MS = 5_000;

const SCHEMA = `
  CREATE TABLE pairs (key BLOB PRIMARY KEY NOT NULL, value BLOB, content INTEGER) WITHOUT ROWID;
  CREATE TABLE content (id INTEGER PRIMARY KEY, value BLOB NOT NULL);
  CREATE TABLE meta (id INTEGER PRIMARY KEY CHECK (id = 1), counter INTEGER NOT NULL);
  INSERT INTO meta VALUES (1, 0);
`;

/**
 * The only writing connection of a store, created and checked; what it finds is durable. It never copies the log back
 * by itself: see checkpoint.ts. No other connection may be open.
 * @throws STORE_FORMAT when the file is of another program or of a newer format
 */
export function openForWriting(path: string, bytesMax: number | undefined): Database.Database {
  settleLog(path);
  const db = new Database(path, { timeout: BUSY_MS });
  try {
    db.pragma(`page_size = ${PAGE_BYTES}`);
    requireFormat(db, path);
    // Only a new file takes it: free pages can be given back (reclaim.ts).
    if (isEmpty(db)) db.pragma('auto_vacuum = INCREMENTAL');
    db.pragma('journal_mode = WAL');
    db.pragma('synchronous = FULL');
    db.pragma('wal_autocheckpoint = 0');
    db.pragma(`journal_size_limit = ${WAL_KEPT_BYTES}`);
    db.pragma(`cache_size = -${WRITER_CACHE_KIB}`);
    if (isEmpty(db)) create(db);
    // The log exists by now, and keeps its name until this connection is closed.
    syncDirectory(dirname(path));
    if (bytesMax !== undefined) db.pragma(`max_page_count = ${Math.ceil(bytesMax / PAGE_BYTES)}`);
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

export function openForReading(path: string): Database.Database {
  const db = new Database(path, { readonly: true, fileMustExist: true, timeout: BUSY_MS });
  db.pragma(`cache_size = -${KV_READ_CACHE_KIB}`);
  return db;
}

function requireFormat(db: Database.Database, path: string): void {
  if (isEmpty(db)) return;
  const application = db.pragma('application_id', { simple: true }) as number;
  const format = db.pragma('user_version', { simple: true }) as number;
  if (application !== APPLICATION_ID) {
    throw new MvfuseError('STORE_FORMAT', `${path} is not a store of mvfuse: its application id is ${application}`);
  }
  if (format !== DATA_FORMAT) {
    throw new MvfuseError(
      'STORE_FORMAT',
      `${path} has format ${format}; this release knows format ${DATA_FORMAT} only. Open it with a newer release.`,
    );
  }
}

function isEmpty(db: Database.Database): boolean {
  return db.prepare('SELECT 1 FROM sqlite_schema LIMIT 1').get() === undefined;
}

function create(db: Database.Database): void {
  db.transaction(() => {
    db.exec(SCHEMA);
    db.pragma(`application_id = ${APPLICATION_ID}`);
    db.pragma(`user_version = ${DATA_FORMAT}`);
  })();
}
