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
