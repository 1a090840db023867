// A rollback journal that somebody put beside a database: it was copied into the mount together with a database whose
// last transaction it takes back.
//
// It belongs to the namespace, not to a connection, and is kept like any other file, as the namespace
// `<database>-journal`, so that it outlives the daemon: without it the database would be read half changed. Every new
// connection finds it beside its database, until one of them rolls back with it and finalises it. A super-journal may
// have been copied with it.

import { isMvfuseError } from '../errors.js';
import { beginsJournal, JOURNAL_MAGIC_BYTES } from '../sqlite/rollback-journal.js';
import { databaseOfSuperJournal } from '../sqlite/super-journal.js';
import type { PageStore } from '../store/page-store.js';
import type { NamespaceId } from '../store/types.js';
import { DatabaseVersion } from './database-version.js';
import type { MountedFile } from './mounted-file.js';
import type { Base } from './overlay.js';

export const JOURNAL_SUFFIX = '-journal';

/**
 * Whether SQLite looks for a file in the directory itself when it recovers from a foreign journal: a super-journal, and the journals that
 * one names. It follows no symlinks to them.
 */
export async function isForRecovery(file: MountedFile): Promise<boolean> {
  const { name } = file;
  if (databaseOfSuperJournal(name) !== undefined) return true;
  if (!name.endsWith(JOURNAL_SUFFIX) || !file.made) return false;
  const version = await file.newest();
  return beginsJournal(Buffer.concat(await version.pieces(0, JOURNAL_MAGIC_BYTES)));
}

export interface ForeignJournal {
  readonly content: Base;
  /** The same as long as it is the same journal with the same content. */
  readonly identity: string;
  /** It was rolled back, durably, or is not needed any more. */
  drop(): Promise<void>;
}

/** The journal that lies beside a namespace; undefined where there is none, or no hot one. */
export async function findForeignJournal(store: PageStore, namespaceName: string): Promise<ForeignJournal | undefined> {
  const name = `${namespaceName}${JOURNAL_SUFFIX}`;
  const found = await store.findNamespace(name);
  if (found === undefined) return undefined;
  const { id, head } = found;
  const version = DatabaseVersion.shown(store, id, head);
  const read = async (offset: number, length: number): Promise<Buffer> =>
    Buffer.concat(await version.pieces(offset, length));
  // A database that merely has such a name is no journal; SQLite would delete it.
  if (!beginsJournal(await read(0, JOURNAL_MAGIC_BYTES))) return undefined;
  return {
    content: { sizeBytes: head.sizeBytes, read },
    identity: `${id}@${head.version}`,
    drop: () => drop(store, name, id),
  };
}

async function drop(store: PageStore, name: string, expected: NamespaceId): Promise<void> {
  try {
    await store.dropNamespace(name, { expected });
  } catch (error) {
    // Somebody else took it away, or put another one there.
    if (!isMvfuseError(error, 'NOT_FOUND') && !isMvfuseError(error, 'CONFLICT')) throw error;
  }
}
