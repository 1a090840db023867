// A commit: pages, changelog, time index and head of one or several namespaces, at one version.
//
// First every member's pages are taken in: in memory while they fit in one engine transaction, else into a
// stage. Then one transaction checks each head and writes or publishes everything. Either all members are
// committed or nothing is, and stages that came to nothing are removed.

import { MvfuseError } from '../errors.js';
import type { Engine, Transaction } from '../kv/engine.js';
import { COMMITTING_BYTES_MAX } from '../limits.js';
import { type Version, ZERO_VERSION } from '../version.js';
import { ByteGate } from './byte-gate.js';
import { validatePage, validateRequests } from './commit-request.js';
import { bulkKeyPrefix, headKey, logKeyPrefix, pageKeyPrefix, shrinkKeyPrefix, timeKey } from './keys.js';
import { readHead } from './namespaces.js';
import { encodePage } from './page-codec.js';
import { pageCountOf } from './page-count.js';
import { type BulkRecord, encodeBulk, encodeChange, encodeHeadState, encodeNumber, type HeadState } from './records.js';
import { discardStage, publishStage, Stage } from './stage.js';
import type { CommitRequest, Head, PageNumber } from './types.js';

export interface CommitLimits {
  /** Bytes of stored pages in one engine transaction; more are staged. */
  readonly commitBytesMax: number;
  readonly stageChunkBytesMax: number;
}

export interface StoredPage {
  readonly number: PageNumber;
  /** As encodePage made it. */
  readonly stored: Buffer;
}

/** A member whose pages were taken in. */
interface TakenMember {
  readonly request: CommitRequest;
  /** Empty when they are in a stage. */
  readonly pages: readonly StoredPage[];
  readonly bulk: BulkRecord | undefined;
  readonly pageCount: number;
  readonly bytes: number;
  readonly lastPage: number;
}

/** A member as it was committed. */
export interface CommittedMember extends TakenMember {
  readonly head: Head;
  /** Older images of pages past this are not visible any more. */
  readonly shrunkTo: number | undefined;
}

const NONE = Buffer.alloc(0);

export class Committer {
  readonly #engine: Engine;
  readonly #clock: () => number;
  readonly #limits: CommitLimits;
  readonly #gate = new ByteGate(COMMITTING_BYTES_MAX);
  /** Bulk commits take long; nobody but another of them waits for that. */
  readonly #bulkGate = new ByteGate(COMMITTING_BYTES_MAX);

  constructor(engine: Engine, clock: () => number, limits: CommitLimits) {
    this.#engine = engine;
    this.#clock = clock;
    this.#limits = limits;
  }

  /** @throws CONFLICT, NOT_FOUND, INVALID_ARGUMENT, LIMIT, and what the engine or a page source throws */
  async commit(requests: readonly CommitRequest[]): Promise<CommittedMember[]> {
    validateRequests(requests);
    if (requests.length === 0) return [];
    const { commitBytesMax, stageChunkBytesMax } = this.#limits;
    const bytes = requests.reduce((sum, { bytesMax, sizeBytes }) => sum + (bytesMax ?? sizeBytes), 0);
    const commit = (): Promise<CommittedMember[]> => this.#commit(requests);
    if (bytes <= commitBytesMax) return this.#gate.pass(bytes, commit);
    return this.#bulkGate.pass(commitBytesMax + stageChunkBytesMax, commit);
  }

  async #commit(requests: readonly CommitRequest[]): Promise<CommittedMember[]> {
    const stages: Stage[] = [];
    try {
      const members: TakenMember[] = [];
      let bytesLeft = this.#limits.commitBytesMax;
      for (const request of requests) {
        const member = await this.#takePages(request, bytesLeft, stages);
        if (member.bulk === undefined) bytesLeft -= member.bytes;
        members.push(member);
      }
      return await this.#write(members);
    } catch (error) {
      for (const stage of stages) await this.#discard(stage);
      throw error;
    }
  }

  async #takePages(request: CommitRequest, bytesLeft: number, stages: Stage[]): Promise<TakenMember> {
    let pages: StoredPage[] = [];
    let stage: Stage | undefined;
    let [bytes, pageCount, lastPage] = [0, 0, 0];
    for await (const page of request.pages) {
      validatePage(request, page, lastPage);
      const stored = encodePage(page.number, page.data);
      bytes += page.data.length;
      pageCount++;
      lastPage = page.number;
      if (stage === undefined) pages.push({ number: page.number, stored });
      else await stage.add(page.number, stored);
      if (stage === undefined && bytes > bytesLeft) {
        stage = await Stage.begin(this.#engine, request, this.#limits.stageChunkBytesMax);
        stages.push(stage);
        for (const { number, stored } of pages) await stage.add(number, stored);
        pages = [];
      }
    }
    return { request, pages, bulk: await stage?.finish(), pageCount, bytes, lastPage };
  }

  async #write(members: readonly TakenMember[]): Promise<CommittedMember[]> {
    const nowMs = Math.floor(this.#clock());
    const durable = members.some(({ request }) => request.replay?.durable ?? true);
    const { value: written, version } = await this.#engine.transact(
      (transaction) => Promise.all(members.map((member) => writeMember(transaction, member, nowMs))),
      { durable },
    );
    return members.map((member, index) => {
      const { state, shrunkTo } = written[index]!;
      return { ...member, shrunkTo, head: { version: version as Version, ...state } };
    });
  }

  /** What cannot be removed now is found at the next start. */
  async #discard(stage: Stage): Promise<void> {
    await stage.settled();
    await discardStage(this.#engine, stage.name).catch(() => {});
  }
}

async function writeMember(transaction: Transaction, member: TakenMember, nowMs: number) {
  const { request, bulk } = member;
  const { namespace, pageBytes, sizeBytes } = request;
  const base = await readHead(transaction, namespace);
  if (base.version !== request.base) {
    throw new MvfuseError('CONFLICT', `the head of namespace ${namespace} is ${base.version}, not ${request.base}`);
  }
  requireCutPage(member, base);
  if (bulk !== undefined) await publishStage(transaction, { namespace, stage: bulk.stage });
  const state: HeadState = { timeMs: timeOf(request, base, nowMs), pageBytes, sizeBytes };
  const shrunkTo = shrunkPage(base, state);
  writePages(transaction, member);
  if (shrunkTo !== undefined)
    transaction.setVersionstampedKey(shrinkKeyPrefix(namespace), NONE, encodeNumber(shrunkTo));
  const pages = bulk === undefined ? member.pages.map(({ number }) => number) : undefined;
  const origin = request.replay && { origin: request.replay.origin };
  const change = encodeChange({ ...state, pageCount: member.pageCount, bytes: member.bytes, pages, ...origin });
  transaction.setVersionstampedKey(logKeyPrefix(namespace), NONE, change);
  transaction.setVersionstampedValue(timeKey(namespace, state.timeMs), NONE, NONE);
  transaction.setVersionstampedValue(headKey(namespace), NONE, encodeHeadState(state));
  return { state, shrunkTo };
}

/** Never earlier than the base's; but a namespace may be younger than the first version that is copied into it. */
function timeOf({ replay }: CommitRequest, base: Head, nowMs: number): number {
  if (replay !== undefined && base.version === ZERO_VERSION) return replay.timeMs;
  return Math.max(base.timeMs, replay?.timeMs ?? nowMs);
}

function writePages(transaction: Transaction, { request: { namespace }, pages, bulk }: TakenMember): void {
  if (bulk !== undefined) transaction.setVersionstampedKey(bulkKeyPrefix(namespace), NONE, encodeBulk(bulk));
  for (const { number, stored } of pages)
    transaction.setVersionstampedKey(pageKeyPrefix(namespace, number), NONE, stored);
}

/** With another page size no older image means anything; in a shorter file, those past its end. */
function shrunkPage(base: HeadState, next: HeadState): number | undefined {
  if (base.pageBytes !== next.pageBytes) return base.sizeBytes === 0 ? undefined : 0;
  return pageCountOf(next) < pageCountOf(base) ? pageCountOf(next) : undefined;
}

/** What lies past a new end inside a page must not come back when the file grows again. */
function requireCutPage({ request, lastPage }: TakenMember, base: HeadState): void {
  const isCut = request.sizeBytes < base.sizeBytes && request.sizeBytes % request.pageBytes !== 0;
  if (!isCut || lastPage === pageCountOf(request)) return;
  throw new MvfuseError(
    'INVALID_ARGUMENT',
    `the file is cut inside of page ${pageCountOf(request)}, which is not among the pages`,
  );
}
