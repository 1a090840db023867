// Shows that a copied namespace is what the source has, by reading both.
//
// For each version: its time, page size, size, and every page that either store says it wrote; all pages, where one of
// them does not say which. A page that neither wrote is what it was in the version before, which was compared.
// So all versions are equal, byte for byte, and every stored page of both was read. The newest one is then read as a whole.

import { MvfuseError } from '../errors.js';
import type { Change, Head, NamespaceInfo, PageNumber } from '../store/types.js';
import { ZERO_VERSION } from '../version.js';
import { type CopyPlan, type Observer, sourceSide, targetSide } from './copy.js';
import { changesBetween, pairVersions, warmUp } from './history.js';
import { allPages, pageBatches, readSide } from './pages.js';

/** One version in both stores. */
interface Pair {
  readonly original: Head;
  readonly copy: Head;
}

/**
 * Stores with a cache may answer from it: open both without one, so that what is stored is read.
 * @param to the namespace in the target
 * @throws CORRUPT at the first difference, naming namespace, version and page; what the signal says
 */
export async function verifyCopy(plan: CopyPlan, to: NamespaceInfo, observer: Observer): Promise<void> {
  const { source, from, target } = plan;
  await Promise.all([warmUp(source, from), warmUp(target, to)]);
  const originals = changesBetween(source, from.id, ZERO_VERSION, from.head.version);
  const copies = changesBetween(target, to.id, ZERO_VERSION, to.head.version);
  const foreign = (found: Change, original: Change | undefined): Error =>
    original === undefined
      ? difference(plan, from.head, `the target goes on after it, with ${found.version}`)
      : difference(plan, original, `version ${found.version} of the target is the copy of ${found.origin ?? 'none'}`);
  for await (const { original, copy } of pairVersions(originals, copies, foreign)) {
    if (copy === undefined) throw difference(plan, original, 'the target does not have it');
    compareState(plan, original, copy);
    await comparePages(plan, to, { original, copy }, writtenPages(original, copy), observer.signal);
    observer.advance(original.bytes);
  }
  if (from.head.version === ZERO_VERSION) return;
  compareState(plan, from.head, { ...to.head, origin: from.head.version });
  const newest = { original: from.head, copy: to.head };
  await comparePages(plan, to, newest, allPages(from.head), observer.signal);
  observer.advance(from.head.sizeBytes);
}

function compareState(plan: CopyPlan, original: Head, copy: Omit<Change, 'pages' | 'pageCount' | 'bytes'>): void {
  const { version, ...state } = original;
  if (copy.origin !== version) {
    throw difference(plan, original, `version ${copy.version} of the target is the copy of ${copy.origin ?? 'none'}`);
  }
  for (const key of ['sizeBytes', 'pageBytes', 'timeMs'] as const) {
    if (copy[key] === state[key]) continue;
    throw difference(plan, original, `${key} is ${copy[key]} in the target and ${state[key]} in the source`);
  }
}

function writtenPages(original: Change, copy: Change): Iterable<PageNumber> {
  if (original.pages === undefined || copy.pages === undefined) return allPages(original);
  return new Set([...original.pages, ...copy.pages]);
}

async function comparePages(
  plan: CopyPlan,
  to: NamespaceInfo,
  { original, copy }: Pair,
  pages: Iterable<PageNumber>,
  signal: AbortSignal,
): Promise<void> {
  for (const numbers of pageBatches(pages)) {
    signal.throwIfAborted();
    const [originals, copies] = await Promise.all([
      readSide(sourceSide(plan), original, numbers),
      readSide(targetSide(plan, to), copy, numbers),
    ]);
    const index = numbers.findIndex((_, index) => !originals[index]!.equals(copies[index]!));
    if (index !== -1) throw difference(plan, original, `page ${numbers[index]} differs`);
  }
}

function difference({ namespace }: CopyPlan, { version }: Head, what: string): MvfuseError {
  return new MvfuseError('CORRUPT', `${namespace}@${version} is not what was copied: ${what}`);
}
