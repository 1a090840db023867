// Pages of a commit too large for one engine transaction: written ahead, in a stage of their own, and
// invisible until a small transaction publishes the stage.
//
// staging/<stage> says `alive` from before the first page until the stage is published, which removes it.
// Who gives a stage up, its writer or the collector after a crash, first makes it `dead`, in a transaction of
// its own: from then on it can be neither written nor published. Then the pages are deleted, the entry last;
// so whatever is interrupted, the entry leads to what is left.
//
// An `alive` entry names the token of the write lease that it was begun under (0 in a store with one owner). Where
// several processes share a store, a stage may be collected once its namespace's lease has a newer token: its commit
// can no longer happen.

import { MvfuseError } from '../errors.js';
import type { Engine, Transaction } from '../kv/engine.js';
import { STAGE_DELETED_PAGES_MAX } from '../limits.js';
import {
  pageOfStagePageKey,
  type StageId,
  stageOfStagingKey,
  stagePageKey,
  stagePageRange,
  stageSequenceKey,
  stagingKey,
  stagingRange,
  stagingRangeOf,
} from './keys.js';
import { issueId, readHead } from './namespaces.js';
import { type BulkRecord, decodeNumber, encodeNumber } from './records.js';
import type { CommitRequest, NamespaceId, PageNumber } from './types.js';

export interface StageName {
  readonly namespace: NamespaceId;
  readonly stage: StageId;
}

const ALIVE = Buffer.from('alive');
const DEAD = Buffer.from('dead');

export class Stage {
  readonly name: StageName;
  readonly #engine: Engine;
  readonly #chunkBytesMax: number;
  #chunk: { page: PageNumber; stored: Buffer }[] = [];
  #chunkBytes = 0;
  #written: Promise<unknown> | undefined;
  #pages: { first: PageNumber; last: PageNumber; pageCount: number } | undefined;

  private constructor(engine: Engine, name: StageName, chunkBytesMax: number) {
    this.#engine = engine;
    this.name = name;
    this.#chunkBytesMax = chunkBytesMax;
  }

  /** @throws CONFLICT when the head is not the request's base already */
  static async begin(
    engine: Engine,
    { namespace, base }: CommitRequest,
    chunkBytesMax: number,
    token: number,
  ): Promise<Stage> {
    const { value: stage } = await engine.transact(async (transaction) => {
      const head = await readHead(transaction, namespace);
      if (head.version !== base)
        throw new MvfuseError('CONFLICT', `the head of namespace ${namespace} moved to ${head.version}`);
      const stage = await issueId(transaction, stageSequenceKey);
      transaction.set(stagingKey(namespace, stage), Buffer.concat([ALIVE, encodeNumber(token)]));
      return stage;
    });
    return new Stage(engine, { namespace, stage }, chunkBytesMax);
  }

  /** Pages must ascend. Holds two chunks in memory at the most: one that is filled, one that is being written. */
  async add(page: PageNumber, stored: Buffer): Promise<void> {
    this.#chunk.push({ page, stored });
    this.#chunkBytes += stored.length;
    this.#pages = { first: this.#pages?.first ?? page, last: page, pageCount: (this.#pages?.pageCount ?? 0) + 1 };
    if (this.#chunkBytes >= this.#chunkBytesMax) await this.#flush();
  }

  /** When this resolves, all pages are written; they are durable with the commit that publishes them. */
  async finish(): Promise<BulkRecord> {
    await this.#flush();
    await this.#written;
    return { stage: this.name.stage, ...this.#pages! };
  }

  async #flush(): Promise<void> {
    const { namespace, stage } = this.name;
    const chunk = this.#chunk;
    this.#chunk = [];
    this.#chunkBytes = 0;
    await this.#written;
    const writing = this.#engine.transact(
      async (transaction) => {
        await requireAlive(transaction, this.name);
        for (const { page, stored } of chunk) transaction.set(stagePageKey(namespace, stage, page), stored);
      },
      { durable: false },
    );
    // Whoever waits for it next hears of a failure.
    writing.catch(() => undefined);
    this.#written = writing;
  }

  /** Waits for a chunk that is being written, however it ends; for whoever gives the stage up. */
  async settled(): Promise<void> {
    await Promise.allSettled([this.#written]);
  }
}

/** To be called by the transaction that publishes the stage. @throws CONFLICT when it was given up */
export async function publishStage(transaction: Transaction, name: StageName): Promise<void> {
  await requireAlive(transaction, name);
  transaction.clear(stagingKey(name.namespace, name.stage));
}

/** Removes an unpublished stage and its pages; does nothing to a published one. Stops early once `isStopped`. */
export async function discardStage(engine: Engine, name: StageName, isStopped = () => false): Promise<void> {
  if (!(await markDead(engine, name))) return;
  const { namespace, stage } = name;
  const { begin, end } = stagePageRange(namespace, stage);
  for (let rest = true; rest; ) {
    if (isStopped()) return;
    const [first] = await engine.read((transaction) => transaction.getRange(begin, end, { limit: 1 }));
    await engine.transact(async (transaction) => {
      if (first === undefined) return transaction.clear(stagingKey(namespace, stage));
      const last = (pageOfStagePageKey(first.key) + STAGE_DELETED_PAGES_MAX) as PageNumber;
      transaction.clearRange(first.key, stagePageKey(namespace, stage, last));
    });
    rest = first !== undefined;
  }
}

/** What a crash left: to be called before anything is staged, by the only process that may stage. */
export async function listStages(engine: Engine): Promise<StageName[]> {
  const entries = await engine.read((transaction) => transaction.getRange(stagingRange.begin, stagingRange.end));
  return entries.map(({ key }) => stageOfStagingKey(key));
}

/** Those of a namespace that were begun under a token older than `token`, and those already given up. */
export async function listOutlivedStages(engine: Engine, namespace: NamespaceId, token: number): Promise<StageName[]> {
  const { begin, end } = stagingRangeOf(namespace);
  const entries = await engine.read((transaction) => transaction.getRange(begin, end));
  return entries
    .filter(({ value }) => !isAlive(value) || decodeNumber(value.subarray(ALIVE.length)) < token)
    .map(({ key }) => stageOfStagingKey(key));
}

/** False when there is no such stage, or it was published. */
export async function markDead(engine: Engine, { namespace, stage }: StageName): Promise<boolean> {
  const key = stagingKey(namespace, stage);
  const { value } = await engine.transact(async (transaction) => {
    const state = await transaction.get(key);
    if (state !== undefined && isAlive(state)) transaction.set(key, DEAD);
    return state !== undefined;
  });
  return value;
}

async function requireAlive(transaction: Transaction, { namespace, stage }: StageName): Promise<void> {
  const state = await transaction.get(stagingKey(namespace, stage));
  if (state === undefined || !isAlive(state))
    throw new MvfuseError('CONFLICT', `stage ${stage} of namespace ${namespace} was given up`);
}

function isAlive(state: Buffer): boolean {
  return state.subarray(0, ALIVE.length).equals(ALIVE);
}
