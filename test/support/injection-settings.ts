// The combinations of settings that error injection goes through.

import type { Setting } from './injection.js';

const SYNCHRONOUS: Record<Setting['journal'], ReadonlyArray<Setting['synchronous']>> = {
  // EXTRA differs from FULL only where a journal is removed; without a journal file FULL is NORMAL.
  DELETE: ['OFF', 'NORMAL', 'FULL', 'EXTRA'],
  TRUNCATE: ['OFF', 'NORMAL', 'FULL'],
  PERSIST: ['OFF', 'NORMAL', 'FULL'],
  MEMORY: ['OFF', 'FULL'],
  OFF: ['OFF', 'FULL'],
};

/**
 * With `spill`, without the exclusive lock and no journal: SQLite cannot roll back what it spilled then, on any
 * filesystem, and tells nobody that it gave up.
 */
export function injectionSettings(journal: Setting['journal'], spill = false): Setting[] {
  const settings: Setting[] = [];
  for (const synchronous of SYNCHRONOUS[journal]) {
    for (const locking of ['NORMAL', 'EXCLUSIVE'] as const) {
      if (spill && journal === 'OFF' && locking === 'EXCLUSIVE') continue;
      for (const cursor of ['none', 'dropped', 'kept'] as const) {
        settings.push({ journal, synchronous, locking, cursor, spill });
      }
    }
  }
  return settings;
}
