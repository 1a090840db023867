// The newest head of each namespace, and how fresh it must be.
//
// This is the one place that decides whether a remembered head will do. With a sole owner every commit
// passes through this process, so what it remembers is the newest; otherwise the engine is asked each time.

import type { Engine } from '../kv/engine.js';
import { type Version, ZERO_VERSION } from '../version.js';
import { logKey } from './keys.js';
import { emptyHead, readCreatedMs, readHead } from './namespaces.js';
import { decodeChange } from './records.js';
import type { Head, NamespaceId } from './types.js';

export class Heads {
  readonly #engine: Engine;
  /** Whether a remembered head is the newest. */
  #trusted: boolean;
  readonly #known = new Map<NamespaceId, Head>();

  constructor(engine: Engine, soleOwner: boolean) {
    this.#engine = engine;
    this.#trusted = soleOwner;
  }

  /** @throws NOT_FOUND */
  async newest(namespace: NamespaceId): Promise<Head> {
    const known = this.#known.get(namespace);
    if (known !== undefined && this.#trusted) return known;
    return this.remember(namespace, await this.#engine.read((transaction) => readHead(transaction, namespace)));
  }

  /**
   * To be called when a commit came back with STORE_FAILED: nobody knows what the newest head is, and the engine alone
   * says whether it may still be asked. Reads from memory must not go on as if nothing had happened.
   */
  distrust(): void {
    this.#trusted = false;
  }

  /** The head of the commit named `version`; undefined when this namespace has none. */
  async at(namespace: NamespaceId, version: Version): Promise<Head | undefined> {
    const known = this.#known.get(namespace);
    if (known?.version === version) return known;
    return this.#engine.read(async (transaction) => {
      if (version === ZERO_VERSION) return emptyHead(await readCreatedMs(transaction, namespace));
      const entry = await transaction.get(logKey(namespace, version));
      if (entry === undefined) return undefined;
      const { timeMs, pageBytes, sizeBytes } = decodeChange(entry);
      return { version, pageBytes, sizeBytes, timeMs };
    });
  }

  /** Takes in a head that was read or committed; answers the newer of it and the one known. */
  remember(namespace: NamespaceId, head: Head): Head {
    const known = this.#known.get(namespace);
    if (known !== undefined && known.version >= head.version) return known;
    this.#known.set(namespace, head);
    return head;
  }
}
