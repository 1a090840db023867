// Who wants to know what the store and a mount do: figures for whoever runs the daemon (admin/api/metrics.ts).
//
// An observer is told after the fact, must not throw, and must cost next to nothing; without one nothing is measured.

import type { Commit, NamespaceId } from './store/types.js';

export interface StoreObserver {
  /** All of them at one version. */
  committed(commits: ReadonlyArray<{ readonly namespace: NamespaceId; readonly commit: Commit }>, ms: number): void;
  /** Pages that were not in memory were read. */
  pagesRead(count: number, ms: number): void;
  /** A commit or a read was refused, or failed, with an error of this code (errors.ts, or INTERNAL). */
  failed(operation: 'commit' | 'read', code: string): void;
  leaseChanged(change: 'taken' | 'passed-on' | 'lost'): void;
}

export interface MountObserver {
  /** A request was answered, with an error where errno is not 0. */
  answered(op: string, ms: number, errno: number): void;
  /**
   * A connection was not let write: another connection here does (busy), another host does or a maintenance lock is there
   * (elsewhere), or there is a newer version than its snapshot (conflict).
   */
  writerRefused(namespace: NamespaceId, reason: 'busy' | 'elsewhere' | 'conflict'): void;
}
