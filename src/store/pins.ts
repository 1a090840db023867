// Which versions this process has open, as it tells those who share the store: they must be kept for it.
//
// A snapshot of the newest version is told of with the next sign of life, long before retention may reach it
// (RETENTION_GRACE_MS). Should that come too late after all, the version is not pinned, and reading it fails.

import { isDeepStrictEqual } from 'node:util';
import type { Transaction } from '../kv/engine.js';
import { PIN_MS_MAX, PINNED_VERSIONS_MAX } from '../limits.js';
import type { Version } from '../version.js';
import { readHeld, readWatermark } from './held-versions.js';
import { type DaemonId, pinKey } from './keys.js';
import { encodePin } from './records.js';
import type { NamespaceId } from './types.js';

/** The versions of each namespace that are open somewhere in this process, ascending. */
export type SnapshotsOpen = ReadonlyMap<NamespaceId, readonly Version[]>;

export class Pins {
  readonly #daemon: DaemonId;
  /** What is written in the store. */
  #written: SnapshotsOpen = new Map();
  /** Where something may still be written that holds nothing, and must not once this process is seen again. */
  readonly #lost = new Set<NamespaceId>();

  constructor(daemon: DaemonId) {
    this.#daemon = daemon;
  }

  /** What the others can see of it. */
  isPinned(namespace: NamespaceId, version: Version): boolean {
    return this.#written.get(namespace)?.includes(version) === true;
  }

  /** To be called when others may have taken away what was written. */
  forget(): void {
    for (const namespace of this.#written.keys()) this.#lost.add(namespace);
    this.#written = new Map();
  }

  /**
   * To be called by a transaction; once it is committed, what it returns is to be called. A version that may be half
   * removed already is not pinned, and whoever reads it is told so.
   */
  async write(transaction: Transaction, snapshots: SnapshotsOpen): Promise<() => void> {
    const pins = new Map<NamespaceId, readonly Version[]>();
    for (const [namespace, versions] of snapshots) {
      const known = this.#written.get(namespace) ?? [];
      if (isDeepStrictEqual(known, versions)) {
        pins.set(namespace, known);
        continue;
      }
      const late = new Set(await removedOf(transaction, namespace, without(versions, known)));
      // The oldest are those that may be removed first.
      const pinned = versions.filter((version) => !late.has(version)).slice(0, PINNED_VERSIONS_MAX);
      if (pinned.length === 0) continue;
      pins.set(namespace, pinned);
      transaction.set(pinKey(namespace, this.#daemon), encodePin({ versions: pinned, keptMs: PIN_MS_MAX }));
    }
    for (const namespace of new Set([...this.#written.keys(), ...this.#lost])) {
      if (!pins.has(namespace)) transaction.clear(pinKey(namespace, this.#daemon));
    }
    return () => {
      this.#written = pins;
      this.#lost.clear();
    };
  }
}

function without(versions: readonly Version[], known: readonly Version[]): Version[] {
  return versions.filter((version) => !known.includes(version));
}

/** Those older than the watermark that nothing in the store holds. */
async function removedOf(
  transaction: Transaction,
  namespace: NamespaceId,
  versions: readonly Version[],
): Promise<Version[]> {
  const watermark = await readWatermark(transaction, namespace);
  const old = versions.filter((version) => version < watermark);
  if (old.length === 0) return [];
  const held = await readHeld(transaction, namespace, []);
  return old.filter((version) => !held.some((hold) => hold.version === version));
}
