// The changelog of a namespace as something to walk along, in bounded memory.

import { isMvfuseError } from '../errors.js';
import type { Moment } from '../moment.js';
import type { PageStore } from '../store/page-store.js';
import type { Change, NamespaceId, NamespaceInfo, PageNumber } from '../store/types.js';
import { type Version, ZERO_VERSION } from '../version.js';

/** The first and the newest version; both null where nothing was committed yet. */
export interface VersionRange {
  readonly first: Version | null;
  readonly last: Version | null;
}

/** Commits after one version, up to another and with it, ascending. */
export async function* changesBetween(
  store: PageStore,
  namespace: NamespaceId,
  after: Version,
  until: Version,
): AsyncGenerator<Change> {
  for (let last = after; last < until; ) {
    const changes = await store.changesAfter(namespace, last);
    if (changes.length === 0) return;
    for (const change of changes) {
      if (change.version > until) return;
      yield change;
    }
    last = changes.at(-1)!.version;
  }
}

/** A version of a history, and its copy in another one, where that has it. */
export interface VersionPair {
  readonly original: Change;
  /** Undefined past the newest copy. */
  readonly copy: Change | undefined;
}

/**
 * Goes along two histories, of which one is the copy of the other as far as it reaches. Either may lack versions that were
 * removed there: what only one of them still has is left out.
 * @throws whatever `foreign` makes of a version that is no copy of the one that comes next, or comes after all of them
 */
export async function* pairVersions(
  originals: AsyncIterable<Change>,
  copies: AsyncGenerator<Change> | undefined,
  foreign: (found: Change, original: Change | undefined) => Error,
): AsyncGenerator<VersionPair> {
  const next = async (): Promise<Change | undefined> => (await copies?.next())?.value;
  let copy = await next();
  for await (const original of originals) {
    // Removed in the source since it was copied.
    while (copy !== undefined && original.afterGap && copy.origin !== undefined && copy.origin < original.version) {
      copy = await next();
    }
    if (copy === undefined) {
      yield { original, copy };
      continue;
    }
    // Removed in the target.
    if (copy.afterGap && copy.origin !== undefined && copy.origin > original.version) continue;
    if (copy.origin !== original.version) throw foreign(copy, original);
    yield { original, copy };
    copy = await next();
  }
  if (copy !== undefined) throw foreign(copy, undefined);
}

export async function versionRange(store: PageStore, { id, head }: NamespaceInfo): Promise<VersionRange> {
  if (head.version === ZERO_VERSION) return { first: null, last: null };
  const [first] = await store.changesAfter(id, ZERO_VERSION);
  return { first: first?.version ?? null, last: head.version };
}

/**
 * Where what happened after a moment begins: the version at it; ZERO_VERSION for a time before all that is known.
 * @throws NOT_FOUND, GONE for a version or a tag
 */
export async function versionBefore(store: PageStore, namespace: NamespaceId, moment: Moment): Promise<Version> {
  if (moment.kind !== 'time' && moment.kind !== 'ago') return (await store.resolve(namespace, moment)).version;
  const timeMs = moment.kind === 'time' ? moment.timeMs : store.nowMs() - moment.agoMs;
  return (await store.timePoints(namespace, Math.max(0, timeMs))).notAfter?.version ?? ZERO_VERSION;
}

/**
 * Reads a page of the newest version. What hides pages of which version is then known for the whole history, and not
 * looked up again for each version that is read.
 */
export async function warmUp(store: PageStore, { id, head }: NamespaceInfo): Promise<void> {
  try {
    await store.readPages(id, head, [1 as PageNumber]);
  } catch (error) {
    // A damaged page concerns those who come to it.
    if (!isMvfuseError(error, 'CORRUPT')) throw error;
  }
}
