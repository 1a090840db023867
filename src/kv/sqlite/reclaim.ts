// Giving free pages of the database file back to the disk, a few at a time, between groups.
//
// SQLite uses pages that were freed again; only when they are more than a part of the file is it cut, by moving pages from
// its end. A file that was made without incremental vacuum (by the first releases) keeps its size: VACUUM would need as
// much room again, and stop all commits meanwhile.

import type Database from 'better-sqlite3';
import { isPassing, toStoreError } from './sqlite-error.js';

/** Pages moved in one transaction: a few milliseconds. */
const STEP_PAGES = 256;
/** Kept for the commits to come: this many pages, and this part of the file. */
const KEPT_PAGES = 256;
const KEPT_SHARE = 0.1;
const INCREMENTAL = 2;

export interface Reclaimed {
  readonly bytes: number;
  readonly isDone: boolean;
}

/** @throws STORE_FAILED, CORRUPT */
export function reclaimStep(db: Database.Database): Reclaimed {
  try {
    const number = (name: string): number => db.pragma(name, { simple: true }) as number;
    const pages = number('page_count');
    const spare = number('freelist_count') - Math.max(KEPT_PAGES, Math.floor(pages * KEPT_SHARE));
    if (spare <= 0 || number('auto_vacuum') !== INCREMENTAL) return { bytes: 0, isDone: true };
    db.pragma(`incremental_vacuum(${Math.min(spare, STEP_PAGES)})`);
    const freed = pages - number('page_count');
    return { bytes: freed * number('page_size'), isDone: freed === 0 || spare <= STEP_PAGES };
  } catch (cause) {
    const error = toStoreError(cause, 'giving space back to the disk failed');
    if (isPassing(error)) return { bytes: 0, isDone: true };
    throw error;
  }
}
