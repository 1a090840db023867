// Which versions this process has open, as it tells those who share the store: they must be kept for it.

import type { Transaction } from '../kv/engine.js';
import { PIN_MS_MAX } from '../limits.js';
import type { Version } from '../version.js';
import { type DaemonId, pinKey } from './keys.js';
import { encodePin } from './records.js';
import type { NamespaceId } from './types.js';

/** The oldest version of each namespace that is open somewhere in this process. */
export type SnapshotsOpen = ReadonlyArray<readonly [NamespaceId, Version]>;

export class Pins {
  readonly #daemon: DaemonId;
  /** What is written in the store. */
  #written: ReadonlyMap<NamespaceId, Version> = new Map();

  constructor(daemon: DaemonId) {
    this.#daemon = daemon;
  }

  /** To be called by a transaction; once it is committed, what it returns is to be called. */
  write(transaction: Transaction, snapshots: SnapshotsOpen): () => void {
    const pins = new Map(snapshots);
    for (const namespace of this.#written.keys()) {
      if (!pins.has(namespace)) transaction.clear(pinKey(namespace, this.#daemon));
    }
    for (const [namespace, version] of pins) {
      if (this.#written.get(namespace) === version) continue;
      transaction.set(pinKey(namespace, this.#daemon), encodePin({ version, keptMs: PIN_MS_MAX }));
    }
    return () => {
      this.#written = pins;
    };
  }
}
