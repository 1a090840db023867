// The newest head of each namespace, and how fresh it must be.
//
// This is the one place that decides whether a remembered head will do. With a sole owner every commit
// passes through this process, so what it remembers is the newest; among several, only while this one surely
// holds the namespace's write lease. Otherwise the engine is asked, and what others committed meanwhile is told on.

import type { Engine, ReadTransaction } from '../kv/engine.js';
import { RECENT_COMMITS_MAX } from '../limits.js';
import { type Version, ZERO_VERSION } from '../version.js';
import { logKey, logRangeAfter, versionOfKey } from './keys.js';
import { emptyHead, readCreatedMs, readHead } from './namespaces.js';
import { type ChangeRecord, decodeChange } from './records.js';
import type { Head, NamespaceId } from './types.js';

/** A commit by another process, on top of `base`. */
export interface ForeignCommit {
  readonly base: Head;
  readonly version: Version;
  readonly change: ChangeRecord;
}

/** What a look at a namespace found. */
export interface HeadUpdate {
  readonly head: Head;
  /** The head that was known before. */
  readonly since: Head | undefined;
  /** What was committed after it, oldest first; undefined when that is too much, or nothing was known. */
  readonly commits: readonly ForeignCommit[] | undefined;
}

export interface HeadsOptions {
  readonly engine: Engine;
  /** Whether nobody else can have committed to the namespace since its head was remembered. */
  readonly isSole: (namespace: NamespaceId) => boolean;
  readonly onForeignCommit: (namespace: NamespaceId, commit: ForeignCommit) => void;
}

export class Heads {
  readonly #engine: Engine;
  readonly #isSole: (namespace: NamespaceId) => boolean;
  readonly #onForeignCommit: HeadsOptions['onForeignCommit'];
  readonly #known = new Map<NamespaceId, Head>();

  constructor({ engine, isSole, onForeignCommit }: HeadsOptions) {
    this.#engine = engine;
    this.#isSole = isSole;
    this.#onForeignCommit = onForeignCommit;
  }

  /** @throws NOT_FOUND */
  async newest(namespace: NamespaceId): Promise<Head> {
    // Asked in this order: the lease is looked at after the request arrived.
    const known = this.#known.get(namespace);
    if (known !== undefined && this.#isSole(namespace)) return known;
    return this.takeIn(namespace, await this.#engine.read((transaction) => this.look(transaction, namespace)));
  }

  /** What is remembered, however old. */
  known(namespace: NamespaceId): Head | undefined {
    return this.#known.get(namespace);
  }

  /**
   * To be called when a commit came back with STORE_FAILED: nobody knows what the newest head is. What comes next asks
   * the engine, which alone says whether it may still be asked.
   */
  forget(namespace: NamespaceId): void {
    this.#known.delete(namespace);
  }

  /** Reads the head, and what was committed since the one that is known. @throws NOT_FOUND */
  async look(transaction: ReadTransaction, namespace: NamespaceId): Promise<HeadUpdate> {
    const since = this.#known.get(namespace);
    if (since === undefined) {
      return { head: await readHead(transaction, namespace), since, commits: undefined };
    }
    const { begin, end } = logRangeAfter(namespace, since.version);
    const [head, entries] = await Promise.all([
      readHead(transaction, namespace),
      transaction.getRange(begin, end, { limit: RECENT_COMMITS_MAX + 1 }),
    ]);
    if (entries.length > RECENT_COMMITS_MAX) return { head, since, commits: undefined };
    let base = since;
    const commits = entries.map(({ key, value }) => {
      const commit = { base, version: versionOfKey(key), change: decodeChange(value) };
      base = headOf(commit.version, commit.change);
      return commit;
    });
    return { head, since, commits };
  }

  /** Remembers what a look found; answers the newer of its head and the one known. */
  takeIn(namespace: NamespaceId, { head, since, commits }: HeadUpdate): Head {
    if (commits !== undefined && this.#known.get(namespace) === since) {
      for (const commit of commits) this.#onForeignCommit(namespace, commit);
    }
    return this.remember(namespace, head);
  }

  /** The head of the commit named `version`; undefined when this namespace has none. */
  async at(namespace: NamespaceId, version: Version): Promise<Head | undefined> {
    const known = this.#known.get(namespace);
    if (known?.version === version) return known;
    return this.#engine.read(async (transaction) => {
      if (version === ZERO_VERSION) return emptyHead(await readCreatedMs(transaction, namespace));
      const entry = await transaction.get(logKey(namespace, version));
      return entry && headOf(version, decodeChange(entry));
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

function headOf(version: Version, { pageBytes, sizeBytes, timeMs }: ChangeRecord): Head {
  return { version, pageBytes, sizeBytes, timeMs };
}
