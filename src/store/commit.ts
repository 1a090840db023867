// A commit: pages, changelog, time index and head of one or several namespaces, at one version.
//
// First every member's pages are taken in: in memory while they fit in one engine transaction, else into a
// stage. Then one transaction checks each head and writes or publishes everything. Either all members are
// committed or nothing is, and stages that came to nothing are removed.

import { MvfuseError } from '../errors.js';
import type { Engine, Transaction } from '../kv/engine.js';
import { COMMIT_PAGE_BYTES, COMMITTING_BYTES_MAX } from '../limits.js';
import { type Version, ZERO_VERSION } from '../version.js';
import { ByteGate } from './byte-gate.js';
import { validatePage, validateRequests } from './commit-request.js';
import type { Heads } from './heads.js';
import { bulkKeyPrefix, headKey, logKeyPrefix, pageKeyPrefix, shrinkKeyPrefix, timeKey } from './keys.js';
import { readHead } from './namespaces.js';
import { encodePage } from './page-codec.js';
import { pageCountOf } from './page-count.js';
import { type BulkRecord, encodeBulk, encodeChange, encodeHeadState, encodeNumber, type HeadState } from './records.js';
import { discardStage, publishStage, Stage } from './stage.js';
import type { CommitRequest, Head, NamespaceId, PageNumber } from './types.js';
import type { WriteLeases } from './write-leases.js';

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

export interface CommitterOptions {
  readonly engine: Engine;
  readonly clock: () => number;
  readonly limits: CommitLimits;
  readonly heads: Heads;
  /** Undefined where this process alone has the store. */
  readonly leases: WriteLeases | undefined;
}

export class Committer {
  readonly #engine: Engine;
  readonly #clock: () => number;
  readonly #limits: CommitLimits;
  readonly #heads: Heads;
  readonly #leases: WriteLeases | undefined;
  readonly #gate = new ByteGate(COMMITTING_BYTES_MAX);
  /** Bulk commits take long; nobody but another of them waits for that. */
  readonly #bulkGate = new ByteGate(COMMITTING_BYTES_MAX);

  constructor({ engine, clock, limits, heads, leases }: CommitterOptions) {
    this.#engine = engine;
    this.#clock = clock;
    this.#limits = limits;
    this.#heads = heads;
    this.#leases = leases;
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
        if (member.bulk === undefined) bytesLeft -= transactionBytes(member.bytes, member.pageCount);
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
      if (stage === undefined && transactionBytes(bytes, pageCount) > bytesLeft) {
        const token = this.#leases?.fence(request.namespace)?.token ?? 0;
        stage = await Stage.begin(this.#engine, request, this.#limits.stageChunkBytesMax, token);
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
      (transaction) => Promise.all(members.map((member) => this.#writeMember(transaction, member, nowMs))),
      { durable, ...this.#knownState(members) },
    );
    return members.map((member, index) => {
      const { state, shrunkTo } = written[index]!;
      return { ...member, shrunkTo, head: { version: version as Version, ...state } };
    });
  }

  /** A state of which all is known that a commit must read: then it need not be read. */
  #knownState([member, ...others]: readonly TakenMember[]): { asOf?: Version } {
    if (member === undefined || others.length > 0 || member.bulk !== undefined) return {};
    const { namespace, base } = member.request;
    const fence = this.#leases?.fence(namespace);
    return fence !== undefined && this.#heads.known(namespace)?.version === base ? { asOf: fence.asOf } : {};
  }

  async #writeMember(transaction: Transaction, member: TakenMember, nowMs: number): Promise<WrittenMember> {
    const { namespace, base } = member.request;
    const [head] = await Promise.all([
      this.#base(transaction, namespace),
      this.#leases?.require(transaction, namespace),
    ]);
    if (head.version !== base) {
      throw new MvfuseError('CONFLICT', `the head of namespace ${namespace} is ${head.version}, not ${base}`);
    }
    return writeMember(transaction, member, head, nowMs);
  }

  async #base(transaction: Transaction, namespace: NamespaceId): Promise<Head> {
    if (!transaction.isAsOf) return readHead(transaction, namespace);
    transaction.expectUnchanged(headKey(namespace));
    return this.#heads.known(namespace)!;
  }

  /** What cannot be removed now is found later, as what a crash left. */
  async #discard(stage: Stage): Promise<void> {
    await stage.settled();
    await discardStage(this.#engine, stage.name).catch(() => {});
  }
}

/** What pages take of an engine transaction. */
function transactionBytes(bytes: number, pageCount: number): number {
  return bytes + pageCount * COMMIT_PAGE_BYTES;
}

interface WrittenMember {
  readonly state: HeadState;
  readonly shrunkTo: number | undefined;
}

async function writeMember(
  transaction: Transaction,
  member: TakenMember,
  base: Head,
  nowMs: number,
): Promise<WrittenMember> {
  const { request, bulk } = member;
  const { namespace, pageBytes, sizeBytes } = request;
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
export function shrunkPage(base: HeadState, next: HeadState): number | undefined {
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
