// The newest head of each namespace, and how fresh it must be.
//
// This is the one place that decides whether a remembered head will do. With a sole owner every commit
// passes through this process, so what it remembers is the newest; among several, only while this one surely
// holds the namespace's write lease. Otherwise the engine is asked, and what others committed meanwhile is told on.
// A maintenance lock is as fresh as the head: it is set and taken away by who may write the namespace. What it is called,
// whether it was dropped, and its mode may change elsewhere: then who may write it is asked to pass that on (naming.ts).

import type { Engine, ReadTransaction } from '../kv/engine.js';
import { RECENT_COMMITS_MAX } from '../limits.js';
import { type Version, ZERO_VERSION } from '../version.js';
import { readWatermark } from './held-versions.js';
import { lockKey, logKey, logRangeAfter, versionOfKey } from './keys.js';
import { emptyHead, readHead, readMeta } from './namespaces.js';
import { type ChangeRecord, decodeChange, decodeLock } from './records.js';
import type { Head, MaintenanceLock, NamespaceId } from './types.js';

/** A commit by another process, on top of `base`. */
export interface ForeignCommit {
  readonly base: Head;
  readonly version: Version;
  readonly change: ChangeRecord;
}

/** A namespace as it is now. */
export interface NamespaceState {
  readonly head: Head;
  readonly lock: MaintenanceLock | undefined;
  /** What it is called now; of one that was dropped, what it was called. */
  readonly name: string;
  /** Its name is gone, and it is removed for good when nobody wants it back. */
  readonly dropped: boolean;
  /** Permission bits, where a chmod said which. */
  readonly mode: number | undefined;
}

/** What a look at a namespace found. */
export interface HeadUpdate extends NamespaceState {
  /** The head that was known before. */
  readonly since: Head | undefined;
  /** What was committed after it, oldest first; undefined when that is too much, not all there, or nothing was known. */
  readonly commits: readonly ForeignCommit[] | undefined;
  /** How often the lock was known to change before the look. */
  readonly lockChanges: number;
  /** How often its name or mode was known to change before the look. */
  readonly nameChanges: number;
}

type Naming = Pick<NamespaceState, 'name' | 'dropped' | 'mode'>;

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
  readonly #locks = new Map<NamespaceId, MaintenanceLock>();
  readonly #locksKnown = new Set<NamespaceId>();
  /** How often this process has changed the lock of a namespace, or learned of it for sure. */
  readonly #lockChanges = new Map<NamespaceId, number>();
  readonly #names = new Map<NamespaceId, Naming>();
  /** Those of which that may be wrong. */
  readonly #namesForgotten = new Set<NamespaceId>();
  /** How often this process has changed a namespace's name or mode, dropped it or brought it back, or looked for sure. */
  readonly #nameChanges = new Map<NamespaceId, number>();

  constructor({ engine, isSole, onForeignCommit }: HeadsOptions) {
    this.#engine = engine;
    this.#isSole = isSole;
    this.#onForeignCommit = onForeignCommit;
  }

  /** @throws NOT_FOUND */
  async newest(namespace: NamespaceId): Promise<Head> {
    return this.remembered(namespace)?.head ?? (await this.#ask(namespace)).head;
  }

  /** The head together with the maintenance lock. @throws NOT_FOUND */
  async state(namespace: NamespaceId): Promise<NamespaceState> {
    return this.remembered(namespace) ?? this.#ask(namespace);
  }

  /** What is remembered, where that surely is how it is. */
  remembered(namespace: NamespaceId): NamespaceState | undefined {
    // Asked in this order: the lease is looked at after the request arrived.
    const head = this.#known.get(namespace);
    // Who commits learns of a head, but not of a lock.
    const naming = this.#namesForgotten.has(namespace) ? undefined : this.#names.get(namespace);
    if (head === undefined || naming === undefined || !this.#locksKnown.has(namespace)) return undefined;
    return this.#isSole(namespace) ? { head, lock: this.#locks.get(namespace), ...naming } : undefined;
  }

  /** Permission bits as the last look found them, however old that is; undefined before the first one. */
  mode(namespace: NamespaceId): number | undefined {
    return this.#names.get(namespace)?.mode;
  }

  /** A lock that this process has set or taken away. */
  rememberLock(namespace: NamespaceId, lock: MaintenanceLock | undefined): void {
    this.#lockChanges.set(namespace, (this.#lockChanges.get(namespace) ?? 0) + 1);
    this.#keepLock(namespace, lock);
  }

  /** To be called when this process may have changed what the namespace is called, its mode, or whether it is dropped. */
  forgetName(namespace: NamespaceId): void {
    this.#nameChanges.set(namespace, (this.#nameChanges.get(namespace) ?? 0) + 1);
    this.#namesForgotten.add(namespace);
  }

  #keepLock(namespace: NamespaceId, lock: MaintenanceLock | undefined): void {
    this.#locksKnown.add(namespace);
    if (lock === undefined) this.#locks.delete(namespace);
    else this.#locks.set(namespace, lock);
  }

  async #ask(namespace: NamespaceId): Promise<NamespaceState> {
    const update = await this.#engine.read((transaction) => this.look(transaction, namespace));
    const { lock, name, dropped, mode } = update;
    return { head: this.takeIn(namespace, update), lock, name, dropped, mode };
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
    const { begin, end } = logRangeAfter(namespace, since?.version ?? ZERO_VERSION);
    const lockChanges = this.#lockChanges.get(namespace) ?? 0;
    const nameChanges = this.#nameChanges.get(namespace) ?? 0;
    const [head, { name, droppedMs, mode }, lock, watermark, entries] = await Promise.all([
      readHead(transaction, namespace),
      readMeta(transaction, namespace),
      readLock(transaction, namespace),
      readWatermark(transaction, namespace),
      since === undefined ? [] : transaction.getRange(begin, end, { limit: RECENT_COMMITS_MAX + 1 }),
    ]);
    const dropped = droppedMs !== undefined;
    const update = { head, lock, name, dropped, mode, since, lockChanges, nameChanges };
    // Before the watermark the changelog has gaps.
    const isComplete = since !== undefined && since.version >= watermark && entries.length <= RECENT_COMMITS_MAX;
    if (!isComplete) return { ...update, commits: undefined };
    let base: Head = since;
    const commits = entries.map(({ key, value }) => {
      const commit = { base, version: versionOfKey(key), change: decodeChange(value) };
      base = headOf(commit.version, commit.change);
      return commit;
    });
    return { ...update, commits };
  }

  /**
   * Remembers what a look found; answers the newer of its head and the one known.
   * @param isSure nobody but this process can have set or taken away a lock since
   */
  takeIn(namespace: NamespaceId, update: HeadUpdate, isSure = false): Head {
    const { head, lock, name, dropped, mode, since, commits, lockChanges, nameChanges } = update;
    if (commits !== undefined && this.#known.get(namespace) === since) {
      for (const commit of commits) this.#onForeignCommit(namespace, commit);
    }
    // A look that began before the last change of the lock was known may come late.
    if (isSure) this.rememberLock(namespace, lock);
    else if ((this.#lockChanges.get(namespace) ?? 0) === lockChanges) this.#keepLock(namespace, lock);
    if ((this.#nameChanges.get(namespace) ?? 0) === nameChanges) {
      this.#names.set(namespace, { name, dropped, mode });
      this.#namesForgotten.delete(namespace);
      if (isSure) this.#nameChanges.set(namespace, nameChanges + 1);
    }
    return this.remember(namespace, head);
  }

  /** The head of the commit named `version`; undefined when this namespace has none. */
  async at(namespace: NamespaceId, version: Version): Promise<Head | undefined> {
    const known = this.#known.get(namespace);
    if (known?.version === version) return known;
    return this.#engine.read((transaction) => readHeadAt(transaction, namespace, version));
  }

  /** Takes in a head that was read or committed; answers the newer of it and the one known. */
  remember(namespace: NamespaceId, head: Head): Head {
    const known = this.#known.get(namespace);
    if (known !== undefined && known.version >= head.version) return known;
    this.#known.set(namespace, head);
    return head;
  }
}

/** The head as the commit `version` left it; undefined when the changelog does not have that one (any more). */
export async function readHeadAt(
  transaction: ReadTransaction,
  namespace: NamespaceId,
  version: Version,
): Promise<Head | undefined> {
  if (version === ZERO_VERSION) return emptyHead((await readMeta(transaction, namespace)).createdMs);
  const entry = await transaction.get(logKey(namespace, version));
  return entry && headOf(version, decodeChange(entry));
}

async function readLock(transaction: ReadTransaction, namespace: NamespaceId): Promise<MaintenanceLock | undefined> {
  const bytes = await transaction.get(lockKey(namespace));
  return bytes && decodeLock(bytes);
}

function headOf(version: Version, { pageBytes, sizeBytes, timeMs }: ChangeRecord): Head {
  return { version, pageBytes, sizeBytes, timeMs };
}
