// Copies a namespace with its history into another store.
//
// Versions are issued by the store that commits, so the history is replayed: one commit for each version, with its
// pages, size and time. The target's changelog remembers which version each commit is the copy of (its origin):
// so a copy that was broken off goes on after the newest one, and a history that is not a copy is never written to.
// Commits are whole or not at all, so there is nothing else to clean up or to remember.

import { isMvfuseError, MvfuseError } from '../errors.js';
import { WRITER_WAIT_MS_DEFAULT } from '../limits.js';
import { bytesOfPage, pageCountOf } from '../store/page-count.js';
import type { PageStore } from '../store/page-store.js';
import type { Change, CommitRequest, Head, NamespaceInfo, Page } from '../store/types.js';
import { type Version, ZERO_VERSION } from '../version.js';
import { changesBetween, pairVersions, warmUp } from './history.js';
import { allPages, isHole, pageBatches, readSide, type Side } from './pages.js';
import { asWriter } from './writer.js';

/** What is copied where. */
export interface CopyRoute {
  readonly source: PageStore;
  readonly namespace: string;
  readonly target: PageStore;
  /** The namespace's name there. */
  readonly targetNamespace: string;
}

/** What is to be done, as the two histories were when it was planned. */
export interface CopyPlan extends CopyRoute {
  /** Its head is the version that the copy ends with. */
  readonly from: NamespaceInfo;
  /** Undefined where it is still to be created. */
  readonly to: NamespaceInfo | undefined;
  /** The newest version of the source that the target has. */
  readonly resumeAfter: Version;
  readonly presentVersions: number;
  readonly missingVersions: number;
  /** Bytes of page images that the missing versions wrote. */
  readonly missingBytes: number;
  /** The same of all versions. */
  readonly totalBytes: number;
}

export interface Observer {
  /** Hears of bytes of page images, as the source's changelog states them. */
  readonly advance: (bytes: number) => void;
  /** Breaks the work off with its reason, between two rounds of reading. */
  readonly signal: AbortSignal;
}

export interface Copied {
  /** The namespace in the target, as the copy left it. */
  readonly to: NamespaceInfo;
  readonly versions: number;
  /** Bytes of page images written. */
  readonly bytes: number;
}

/**
 * Compares the histories, and writes nothing.
 * @throws NOT_FOUND, INVALID_ARGUMENT for a name; ALREADY_EXISTS, CONFLICT when the target's history is not the beginning
 *   of the source's
 */
export async function planCopy(route: CopyRoute): Promise<CopyPlan> {
  const from = await route.source.statNamespace(route.namespace);
  const to = await findNamespace(route.target, route.targetNamespace);
  const originals = changesBetween(route.source, from.id, ZERO_VERSION, from.head.version);
  const copies = to && changesBetween(route.target, to.id, ZERO_VERSION, to.head.version);
  let [resumeAfter, presentVersions, missingVersions, missingBytes, totalBytes] = [ZERO_VERSION, 0, 0, 0, 0];
  const foreign = (found: Change): Error => foreignError(route, found, presentVersions);
  for await (const { original, copy } of pairVersions(originals, copies, foreign)) {
    totalBytes += original.bytes;
    if (copy === undefined) {
      missingVersions += 1;
      missingBytes += original.bytes;
    } else {
      presentVersions += 1;
      resumeAfter = original.version;
    }
  }
  return { ...route, from, to, resumeAfter, presentVersions, missingVersions, missingBytes, totalBytes };
}

/**
 * Copies what is missing; durable when it resolves. However it ends, the target holds whole versions only, and the next
 * plan goes on after them.
 * @throws BUSY, CONFLICT when somebody else writes the target; CORRUPT naming a page of the source, what the signal says,
 *   and what a commit throws
 */
export async function copyNamespace(plan: CopyPlan, observer: Observer): Promise<Copied> {
  const { target } = plan;
  const to = plan.to ?? (await createLike(plan));
  return asWriter(target, to.id, WRITER_WAIT_MS_DEFAULT, () => replayMissing(plan, to, observer));
}

/** Whoever mounts the copy must present the same secret, and sees the same mode. */
async function createLike({ source, from, target, targetNamespace }: CopyPlan): Promise<NamespaceInfo> {
  const to = await target.createNamespace(targetNamespace, { createdMs: from.createdMs, mode: from.mode });
  const proof = await source.accessProof(from.id);
  if (proof !== undefined) await target.setAccessProof(to.id, proof);
  return to;
}

async function replayMissing(plan: CopyPlan, to: NamespaceInfo, observer: Observer): Promise<Copied> {
  const { source, from } = plan;
  let before: Head = (await source.headAt(from.id, plan.resumeAfter))!;
  let head = to.head;
  let bytes = 0;
  await warmUp(source, from);
  for await (const change of changesBetween(source, from.id, before.version, from.head.version)) {
    observer.signal.throwIfAborted();
    const commit = await replay(plan, change, {
      namespace: to.id,
      base: head.version,
      pageBytes: change.pageBytes,
      sizeBytes: change.sizeBytes,
      // One sync for all: what a loss of power takes away is copied again.
      replay: { origin: change.version, timeMs: change.timeMs, durable: change.version === from.head.version },
      pages: changedPages(plan, before, change, observer.signal),
    });
    [before, head] = [change, commit.head];
    bytes += commit.bytes;
    observer.advance(change.bytes);
  }
  return { to: { ...to, head }, versions: plan.missingVersions, bytes };
}

export function sourceSide({ source, from, namespace }: CopyPlan): Side {
  return { store: source, id: from.id, label: `"${namespace}" in the source` };
}

export function targetSide({ target, targetNamespace }: CopyPlan, { id }: NamespaceInfo): Side {
  return { store: target, id, label: `"${targetNamespace}" in the target` };
}

/** Those that the changelog lists; otherwise those that differ from the version before. */
async function* changedPages(plan: CopyPlan, before: Head, change: Change, signal: AbortSignal): AsyncGenerator<Page> {
  const side = sourceSide(plan);
  const isCompared = change.pages === undefined && change.pageBytes === before.pageBytes;
  for (const numbers of pageBatches(change.pages ?? allPages(change))) {
    signal.throwIfAborted();
    const contents = await readSide(side, change, numbers);
    const old = isCompared ? await readSide(side, before, numbers) : [];
    for (const [index, number] of numbers.entries()) {
      const content = contents[index]!;
      // A file that is cut inside of its last page needs that one, equal or not.
      const isPresent = old[index]?.equals(content) ?? (change.pages === undefined && isHole(content));
      if (isPresent && number !== pageCountOf(change)) continue;
      yield { number, data: content.subarray(0, bytesOfPage(change, number)) };
    }
  }
}

async function replay({ target, targetNamespace }: CopyPlan, { version }: Change, request: CommitRequest) {
  try {
    return (await target.commit([request]))[0]!;
  } catch (error) {
    if (!isMvfuseError(error, 'CONFLICT')) throw error;
    const message = `somebody else writes "${targetNamespace}" in the target, while version ${version} was copied`;
    throw new MvfuseError('CONFLICT', message, { cause: error });
  }
}

async function findNamespace(store: PageStore, name: string): Promise<NamespaceInfo | undefined> {
  try {
    return await store.statNamespace(name);
  } catch (error) {
    if (isMvfuseError(error, 'NOT_FOUND')) return undefined;
    throw error;
  }
}

function foreignError({ namespace, targetNamespace }: CopyRoute, found: Change, presentVersions: number): MvfuseError {
  const wayOut = 'nothing was copied; --as copies into a new namespace';
  if (presentVersions === 0 && found.origin === undefined) {
    const message = `the target has a namespace "${targetNamespace}" with a history of its own: ${wayOut}`;
    return new MvfuseError('ALREADY_EXISTS', message);
  }
  const message = `version ${found.version} of "${targetNamespace}" in the target is no copy of the version of "${namespace}" that comes next`;
  return new MvfuseError('CONFLICT', `${message}, so the two went different ways: ${wayOut}`);
}
