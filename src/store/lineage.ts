// What a fork goes on from: its parent at a version, the parent's parent, and so on.
//
// A page that was never written or cut off in a fork is what it was there. The lineage of a namespace never changes.

import type { ReadTransaction } from '../kv/engine.js';
import type { Version } from '../version.js';
import { metaKey } from './keys.js';
import { decodeMeta } from './records.js';
import type { NamespaceId } from './types.js';

export interface Ancestor {
  readonly namespace: NamespaceId;
  /** Its last version that the fork has in common with it. */
  readonly version: Version;
}

/** The lineages of all namespaces, as far as they are known in this process. */
export class Lineages {
  readonly #known = new Map<NamespaceId, readonly Ancestor[]>();

  /** The nearest first; empty for what is no fork. */
  async load(transaction: ReadTransaction, namespace: NamespaceId): Promise<readonly Ancestor[]> {
    const known = this.#known.get(namespace);
    if (known !== undefined) return known;
    const meta = await transaction.get(metaKey(namespace));
    // Nothing to remember of a namespace that was removed.
    if (meta === undefined) return [];
    const { parent } = decodeMeta(meta);
    const lineage = parent === undefined ? [] : [parent, ...(await this.load(transaction, parent.namespace))];
    this.#known.set(namespace, lineage);
    return lineage;
  }
}
