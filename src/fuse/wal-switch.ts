// A wish for a write-ahead log that cannot be seen, or not be hidden: page 1 is encrypted, or has a checksum.
//
// There is no such log here, so after `PRAGMA journal_mode=WAL` nobody could open the database any more. SQLite switches
// with a commit of page 1 alone, and asks for the log with the next statement. Then that commit is taken back: the
// statement fails, and the database goes on with a rollback journal. Nobody can have committed anything in between.

import { PAGE_BYTES_MAX } from '../limits.js';
import type { Version } from '../version.js';
import type { DatabaseVersion } from './database-version.js';
import type { KernelCache } from './kernel-cache.js';
import type { Overlay } from './overlay.js';
import type { Transaction } from './transaction.js';

/** A commit of SQLite's that may be the switch. */
export interface WalSwitch {
  readonly before: DatabaseVersion;
  readonly version: Version;
}

/** The commit of `dirty`, if it may be the switch. */
export function walSwitch(before: DatabaseVersion, version: Version, dirty: Overlay): WalSwitch | undefined {
  const hidden = before.header?.plain === true;
  if (hidden || before.sizeBytes === 0 || before.sizeBytes !== dirty.sizeBytes) return undefined;
  return dirty.touchedOnly(PAGE_BYTES_MAX) ? { before, version } : undefined;
}

/** The log is asked for: takes the switch back, if it was the last commit. */
export async function takeBackWal(transaction: Transaction, cache: KernelCache): Promise<void> {
  const { file } = transaction;
  const last = file.walSwitch;
  if (last === undefined || transaction.phase !== 'reading' || transaction.version !== last.version) return;
  try {
    await transaction.becomeWriter();
    await transaction.write(0, Buffer.concat(await last.before.pieces(0, PAGE_BYTES_MAX)));
    await transaction.commit();
    file.walSwitch = undefined;
    await cache.drop([{ offset: 0, length: PAGE_BYTES_MAX }]);
    file.log.warn('a write-ahead log was asked for, which an encrypted database cannot have here: it goes on without');
  } catch (error) {
    file.log.error(
      { err: error },
      'the switch to a write-ahead log was not taken back: until it is, nobody can open the database',
    );
  } finally {
    await transaction.endWrite(false);
  }
}
