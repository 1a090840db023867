// Retention: which versions are kept, by policy or by command, and the work of removing the others.
//
// First the watermark is moved, in a transaction of its own; from then on nobody reads an older version but for those that
// are held, and what only they needed is removed step by step (collector.ts). A policy never reaches the newest version.
// Where several hosts share a store it leaves alone what was the newest within RETENTION_GRACE_MS: a snapshot that was
// taken of it elsewhere may not be known here yet.

import { setTimeout as sleep } from 'node:timers/promises';
import { isMvfuseError, MvfuseError } from '../errors.js';
import { keyAfter } from '../kv/bytes.js';
import type { Engine, ReadTransaction } from '../kv/engine.js';
import type { KeyRange } from '../kv/tuple.js';
import { REMOVED_KEYS_MAX, RETENTION_GRACE_MS, UNDELETE_MS } from '../limits.js';
import { type Version, versionToBytes, ZERO_VERSION } from '../version.js';
import { COLLECT_LIMITS, type Collected, type CollectLimits, collectStep } from './collector.js';
import { heldBefore, readHeld, readWatermark } from './held-versions.js';
import {
  droppedRange,
  logKey,
  logRange,
  namespaceOfDroppedKey,
  namespaceOfRemovedKey,
  namespaceRange,
  policyKey,
  removedKey,
  removedRange,
  versionOfKey,
  watermarkKey,
} from './keys.js';
import { readTimePoints } from './moments.js';
import { listNamespaceIds, readHead, readMeta } from './namespaces.js';
import type { OpenVersions } from './open-versions.js';
import { decodeChange, decodeDropped, decodePolicy, encodePolicy } from './records.js';
import { removeDropped } from './removal.js';
import type { HeldVersion, NamespaceId, RetentionPolicy } from './types.js';

/** What a removal of versions did, or would do. */
export interface Truncated extends Collected {
  /** Older versions are gone, but for those that are held. */
  readonly truncatedBefore: Version;
  /** Older versions that are kept, and for whom. */
  readonly held: readonly HeldVersion[];
}

export interface CollectOptions {
  /** Only tells what would be removed. */
  readonly dryRun?: boolean;
  /** Hears of versions removed. */
  readonly onProgress?: (versions: number) => void;
  readonly signal?: AbortSignal;
  /** Leaves as much time to others as it takes itself. */
  readonly isGentle?: boolean;
}

/** What retention has done since the store was opened. */
export interface RetentionFigures extends Collected {
  /** When all namespaces were last gone through; undefined while they never were. */
  readonly lastRunMs: number | undefined;
  readonly failures: number;
  readonly lastFailure: string | undefined;
}

export interface RetentionOptions {
  readonly engine: Engine;
  /** Wall clock in ms since 1970. */
  readonly clock: () => number;
  readonly openVersions: OpenVersions;
  /** Whether other processes have the store open. */
  readonly isShared: boolean;
  /** Called before each round: signs of life of processes that are gone are to be removed. */
  readonly forgetSilent?: () => Promise<void>;
  /** Hears of a namespace that was removed for good because nobody brought it back. */
  readonly onRemoved: (namespace: NamespaceId) => void;
  /** Smaller ones make long collections cheap to test. */
  readonly limits?: Partial<CollectLimits> | undefined;
}

const LOG_PAGE_ENTRIES = 1_000;

export class Retention {
  readonly #engine: Engine;
  readonly #clock: () => number;
  readonly #openVersions: OpenVersions;
  readonly #isShared: boolean;
  readonly #forgetSilent: () => Promise<void>;
  readonly #onRemoved: (namespace: NamespaceId) => void;
  readonly #limits: CollectLimits;
  readonly #stopped = new AbortController();
  #running: Promise<void> | undefined;
  #figures: RetentionFigures = { versions: 0, bytes: 0, lastRunMs: undefined, failures: 0, lastFailure: undefined };

  constructor({ engine, clock, openVersions, isShared, forgetSilent, onRemoved, limits }: RetentionOptions) {
    this.#engine = engine;
    this.#clock = clock;
    this.#openVersions = openVersions;
    this.#isShared = isShared;
    this.#limits = { ...COLLECT_LIMITS, ...limits };
    this.#onRemoved = onRemoved;
    this.#forgetSilent = forgetSilent ?? (async () => {});
  }

  get figures(): RetentionFigures {
    return this.#figures;
  }

  /** What is open in this process, as far as the store itself does not tell. */
  open(namespace: NamespaceId): readonly Version[] {
    return this.#isShared ? [] : this.#openVersions.of(namespace);
  }

  // --- policies

  /** Of namespaces that have none of their own. */
  async defaultPolicy(): Promise<RetentionPolicy> {
    return this.#engine.read((transaction) => readDefaultPolicy(transaction));
  }

  async setDefaultPolicy(policy: RetentionPolicy | undefined): Promise<void> {
    if (policy !== undefined) validatePolicy(policy);
    await this.#engine.transact(async (transaction) => {
      if (policy === undefined) transaction.clear(policyKey);
      else transaction.set(policyKey, encodePolicy(policy));
    });
  }

  // --- removing

  /**
   * Removes the versions before `version`, which becomes the oldest that is kept for its own sake, and what only they needed.
   * @throws NOT_FOUND, and the signal's reason: then the rest is removed later
   */
  async truncate(namespace: NamespaceId, version: Version, options: CollectOptions = {}): Promise<Truncated> {
    const target = await this.#clamp(namespace, version);
    if (options.dryRun === true) return this.#preview(namespace, target);
    await this.#moveWatermark(namespace, target);
    return this.collect(namespace, options);
  }

  /** Applies the namespace's policy, and removes what is not needed any more. @throws as truncate */
  async apply(namespace: NamespaceId, options: CollectOptions = {}): Promise<Truncated> {
    const version = await this.#engine.read((transaction) => this.#byPolicy(transaction, namespace));
    return this.truncate(namespace, version, options);
  }

  /** Removes what is left of versions that are gone. @throws as truncate */
  async collect(namespace: NamespaceId, { onProgress, signal, isGentle }: CollectOptions = {}): Promise<Truncated> {
    let [versions, bytes] = [0, 0];
    for (let isDone = false; !isDone; ) {
      signal?.throwIfAborted();
      this.#stopped.signal.throwIfAborted();
      const startMs = performance.now();
      const open = () => (this.#isShared ? [] : this.#openVersions.atDecision(namespace));
      const step = await this.#decide(() => collectStep(this.#engine, namespace, open, this.#limits));
      isDone = step.isDone;
      versions += step.versions;
      bytes += step.bytes;
      this.#figures = {
        ...this.#figures,
        versions: this.#figures.versions + step.versions,
        bytes: this.#figures.bytes + step.bytes,
      };
      onProgress?.(versions);
      if (isGentle === true && !isDone)
        await sleep(performance.now() - startMs, undefined, { signal: this.#stopped.signal });
    }
    return { versions, bytes, ...(await this.#outcome(namespace)) };
  }

  /** Removes what is left of a namespace that was deleted. */
  async purge(namespace: NamespaceId, { signal }: CollectOptions = {}): Promise<void> {
    const { begin, end } = namespaceRange(namespace);
    const watermark = watermarkKey(namespace);
    for (const [from, to] of [
      [begin, watermark],
      [keyAfter(watermark), end],
    ] as const) {
      for (let rest = true; rest; ) {
        signal?.throwIfAborted();
        this.#stopped.signal.throwIfAborted();
        const { value } = await this.#engine.transact(
          async (transaction) => {
            const pairs = await transaction.getRange(from, to, { limit: REMOVED_KEYS_MAX });
            if (pairs.length > 0) transaction.clearRange(from, keyAfter(pairs.at(-1)!.key));
            return pairs.length === REMOVED_KEYS_MAX;
          },
          { durable: false },
        );
        rest = value;
      }
    }
    await this.#engine.transact(async (transaction) => transaction.clear(removedKey(namespace)));
  }

  /**
   * Removes the namespaces that were dropped UNDELETE_MS ago and that nobody needs, and what is left of all that were removed.
   * @throws as purge, when all of them were tried
   */
  async purgeDeleted(options: CollectOptions = {}): Promise<void> {
    const failure = await this.#purgeDeleted(options);
    if (failure !== undefined) throw failure;
  }

  async #purgeDeleted(options: CollectOptions): Promise<MvfuseError | undefined> {
    const read = ({ begin, end }: KeyRange) => this.#engine.read((transaction) => transaction.getRange(begin, end));
    // Forks come before what they were forked from.
    const dropped = (await read(droppedRange)).reverse();
    const notRemoved = await eachApart(dropped, async ({ key, value }) => {
      options.signal?.throwIfAborted();
      if (decodeDropped(value).droppedMs + UNDELETE_MS > this.#clock()) return;
      const id = namespaceOfDroppedKey(key);
      if (await this.#decide(() => removeDropped(this.#engine, id, (of) => this.open(of)))) this.#onRemoved(id);
    });
    const removed = await read(removedRange);
    const notPurged = await eachApart(removed, ({ key }) => this.purge(namespaceOfRemovedKey(key), options));
    return notRemoved ?? notPurged;
  }

  /** Goes through all namespaces: policies, what is left of removed versions and of deleted namespaces. */
  async run(options: CollectOptions = {}): Promise<void> {
    await this.#forgetSilent();
    const notPurged = await this.#purgeDeleted(options);
    const namespaces = await listNamespaceIds(this.#engine);
    const notApplied = await eachApart(namespaces, async (id) => {
      await this.apply(id, { ...options, isGentle: true });
    });
    await this.#engine.reclaim?.();
    this.#figures = { ...this.#figures, lastRunMs: this.#clock() };
    const failure = notPurged ?? notApplied;
    if (failure !== undefined) throw failure;
  }

  /** Runs now and every `periodMs` until the store is closed; what fails is tried again the next time. */
  start(periodMs: number, onFailure: (error: unknown) => void): void {
    const { signal } = this.#stopped;
    const loop = async (): Promise<void> => {
      while (!signal.aborted) {
        try {
          await this.run({ signal });
        } catch (error) {
          if (signal.aborted) return;
          const { failures } = this.#figures;
          this.#figures = { ...this.#figures, failures: failures + 1, lastFailure: (error as Error).message };
          onFailure(error);
        }
        await sleep(periodMs, undefined, { signal, ref: false }).catch(() => undefined);
      }
    };
    this.#running ??= loop();
  }

  /** Ends what is under way after its present step. */
  async stop(): Promise<void> {
    this.#stopped.abort(new MvfuseError('CLOSED', 'the store is being closed'));
    await this.#running;
  }

  /** What is kept of a namespace, and why; for whoever looks at it. */
  async outlook(transaction: ReadTransaction, namespace: NamespaceId): Promise<Omit<Truncated, keyof Collected>> {
    const [truncatedBefore, held] = await Promise.all([
      readWatermark(transaction, namespace),
      readHeld(transaction, namespace, this.open(namespace)),
    ]);
    const before = held.filter(({ version }) => version < truncatedBefore && version !== ZERO_VERSION);
    return { truncatedBefore, held: before.sort((a, b) => (a.version < b.version ? -1 : 1)) };
  }

  async #outcome(namespace: NamespaceId): Promise<Omit<Truncated, keyof Collected>> {
    return this.#engine.read((transaction) => this.outlook(transaction, namespace));
  }

  /** Decisions about what is removed, in a store with one owner, do not overlap with the opening of versions. */
  #decide<T>(work: () => Promise<T>): Promise<T> {
    return this.#isShared ? work() : this.#openVersions.exclusively(work);
  }

  /** Never back, and never past the newest version. */
  async #moveWatermark(namespace: NamespaceId, target: Version): Promise<void> {
    if (target === ZERO_VERSION) return;
    const move = () =>
      this.#engine.transact(async (transaction) => {
        const [watermark, { name }, isVersion] = await Promise.all([
          readWatermark(transaction, namespace),
          readMeta(transaction, namespace),
          transaction.get(logKey(namespace, target)),
        ]);
        if (watermark >= target) return;
        if (isVersion === undefined) throw new MvfuseError('NOT_FOUND', `namespace "${name}" has no version ${target}`);
        transaction.set(watermarkKey(namespace), versionToBytes(target));
      });
    await this.#decide(() => move().finally(() => this.#openVersions.watermarkSet(namespace, target)));
  }

  /** As far as may be: not past the newest version, nor, among hosts, what was the newest until just now. */
  async #clamp(namespace: NamespaceId, version: Version): Promise<Version> {
    return this.#engine.read(async (transaction) => {
      const head = await readHead(transaction, namespace);
      const graceMs = this.#isShared ? RETENTION_GRACE_MS : 0;
      const recent =
        graceMs === 0
          ? head.version
          : ((await readTimePoints(transaction, namespace, this.#clock() - graceMs)).notAfter?.version ?? ZERO_VERSION);
      const latest = recent < head.version ? recent : head.version;
      return version < latest ? version : latest;
    });
  }

  /** The oldest version that the policy keeps; ZERO_VERSION: all of them. @throws NOT_FOUND */
  async #byPolicy(transaction: ReadTransaction, namespace: NamespaceId): Promise<Version> {
    const { retention = await readDefaultPolicy(transaction) } = await readMeta(transaction, namespace);
    const { keepMs, keepVersions } = retention;
    const oldest: Version[] = [];
    if (keepMs !== undefined) {
      const { notAfter } = await readTimePoints(transaction, namespace, this.#clock() - keepMs);
      oldest.push(notAfter?.version ?? ZERO_VERSION);
    }
    if (keepVersions !== undefined) {
      const { begin, end } = logRange(namespace);
      const newest = await transaction.getRange(begin, end, { limit: keepVersions, reverse: true });
      oldest.push(newest.length < keepVersions ? ZERO_VERSION : versionOfKey(newest.at(-1)!.key));
    }
    return oldest.sort()[0] ?? ZERO_VERSION;
  }

  async #preview(namespace: NamespaceId, target: Version): Promise<Truncated> {
    const { truncatedBefore, held } = await this.#engine.read(async (transaction) => {
      const watermark = await readWatermark(transaction, namespace);
      const held = await readHeld(transaction, namespace, this.open(namespace));
      return { truncatedBefore: watermark < target ? target : watermark, held };
    });
    const kept = heldBefore(held, truncatedBefore);
    let [versions, bytes] = [0, 0];
    for await (const change of changesBefore(this.#engine, namespace, truncatedBefore)) {
      if (kept.includes(change.version)) continue;
      versions += 1;
      bytes += change.bytes;
    }
    return { versions, bytes, truncatedBefore, held: held.filter(({ version }) => kept.includes(version)) };
  }
}

/** @throws INVALID_ARGUMENT */
export function validatePolicy({ keepMs, keepVersions }: RetentionPolicy): void {
  if (keepMs !== undefined && !(Number.isSafeInteger(keepMs) && keepMs >= 0))
    throw new MvfuseError('INVALID_ARGUMENT', `${keepMs} ms is no time to keep versions for`);
  if (keepVersions !== undefined && !(Number.isSafeInteger(keepVersions) && keepVersions >= 1))
    throw new MvfuseError('INVALID_ARGUMENT', `${keepVersions} is no number of versions to keep: 1 at least`);
}

export async function readDefaultPolicy(transaction: ReadTransaction): Promise<RetentionPolicy> {
  const bytes = await transaction.get(policyKey);
  return bytes === undefined ? {} : decodePolicy(bytes);
}

/** One after the other; what fails for one does not keep the others from it, unless the store fails. Answers the first failure. */
async function eachApart<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<MvfuseError | undefined> {
  let failure: MvfuseError | undefined;
  for (const item of items) {
    try {
      await work(item);
    } catch (error) {
      if (!isMvfuseError(error) || error.code === 'STORE_FAILED' || error.code === 'CLOSED') throw error;
      // NOT_FOUND: the namespace was removed meanwhile.
      if (error.code !== 'NOT_FOUND') failure ??= error;
    }
  }
  return failure;
}

async function* changesBefore(engine: Engine, namespace: NamespaceId, version: Version) {
  let { begin, end } = logRange(namespace);
  for (;;) {
    const entries = await engine.read((transaction) => transaction.getRange(begin, end, { limit: LOG_PAGE_ENTRIES }));
    for (const { key, value } of entries) {
      if (versionOfKey(key) >= version) return;
      yield { version: versionOfKey(key), bytes: decodeChange(value).bytes };
    }
    if (entries.length < LOG_PAGE_ENTRIES) return;
    begin = keyAfter(entries.at(-1)!.key);
  }
}
