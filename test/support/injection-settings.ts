// What error injection varies, and what is known beforehand about each combination: which request makes a commit
// final, which errno fits which request, and after which errors a connection must go on.

export const EIO = 5;
export const EAGAIN = 11;
export const ENOSPC = 28;

export interface Setting {
  readonly journal: 'DELETE' | 'TRUNCATE' | 'PERSIST' | 'MEMORY' | 'OFF';
  readonly synchronous: 'OFF' | 'NORMAL' | 'FULL' | 'EXTRA';
  readonly locking: 'NORMAL' | 'EXCLUSIVE';
  /** Another statement of the connection: none, dropped before the next transaction, or open to the end. */
  readonly cursor: 'none' | 'dropped' | 'kept';
  /** A cache so small that pages are written before COMMIT. */
  readonly spill: boolean;
}

export interface Fault {
  /** The nth request of COMMIT, or of the whole transaction when it spills; 0 for the store's next commit. */
  readonly nth: number;
  readonly errno: number;
  /** The mth request after it. */
  readonly next?: { readonly nth: number; readonly errno: number };
}

export function settingName(setting: Setting): string {
  const { journal, synchronous, locking, cursor, spill } = setting;
  return `${journal} ${synchronous} ${locking} cursor=${cursor}${spill ? ' spill' : ''}`;
}

export function errnosFor(label: string): number[] {
  if (/^(W|CREATE)/.test(label)) return [EIO, ENOSPC];
  if (/^[rwu](P|S|R|PR|\*)$/.test(label)) return [EAGAIN, EIO];
  return [EIO];
}

/** Without a commit event between transactions: all of them are committed when the connection is closed. */
export function commitsAtClose(setting: Setting): boolean {
  return setting.locking === 'EXCLUSIVE' && /MEMORY|OFF/.test(setting.journal) && setting.synchronous === 'OFF';
}

/** The request that makes a commit final; an error answered to it or before it leaves nothing of the transaction. */
export function commitPoint(setting: Setting): string | undefined {
  if (setting.synchronous !== 'OFF') return 'FSYNC(db)';
  switch (setting.journal) {
    case 'TRUNCATE':
      return 'TRUNC(j)';
    case 'PERSIST':
      return 'WZ(j)';
    case 'DELETE':
      return setting.locking === 'EXCLUSIVE' ? 'WZ(j)' : 'UNLINK(j)';
    default:
      return setting.locking === 'EXCLUSIVE' ? undefined : 'rS';
  }
}

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

/** Whether one error leaves a connection that can write without being opened again: its rollback can be told. */
export function goesOn(setting: Setting): boolean {
  if (setting.cursor === 'kept') return false;
  return setting.locking === 'NORMAL' || (setting.journal !== 'MEMORY' && setting.journal !== 'OFF');
}

/**
 * Whether an error answered there leaves it open if the transaction is in: past the commit point, where a second error
 * hits its rollback, and at the downgrade that SQLite takes for done.
 */
export function mayHaveCommitted(setting: Setting, fault: Fault, labels: readonly string[]): boolean {
  const point = commitPoint(setting);
  if (point === undefined || fault.next !== undefined) return true;
  const committedAt = labels.lastIndexOf(point) + 1;
  return fault.nth > committedAt || (point === 'rS' && fault.nth === committedAt);
}
