// Removes what only removed versions needed: images of pages, changelog and time entries, in small transactions.
//
// An image is the content of its page from its own version up to the next image, or the commit that cut the page off. It
// is needed while some readable version lies in between: any from the watermark on, and each older one that is held.
// The changelog says which pages each commit replaced, so what is done is proportional to what was committed:
// commit after commit, up to the watermark, the images before it are cleared. When something that was held is no longer,
// every page is looked at once. COLLECTED remembers how far that is, so whatever interrupts it, it goes on from there.

import { keyAfter } from '../kv/bytes.js';
import type { Engine, Transaction } from '../kv/engine.js';
import { COLLECT_ENTRIES_MAX, COLLECT_PAGES_MAX } from '../limits.js';
import { type Version, ZERO_VERSION } from '../version.js';
import { EVERYTHING_GONE, heldBefore, readHeld, readWatermark } from './held-versions.js';
import {
  bulkKey,
  collectedKey,
  daemonKey,
  daemonOfKey,
  logKey,
  logRange,
  logRangeFrom,
  metaKey,
  pageKey,
  pageOfKey,
  pageOfStagePageKey,
  pageRangeBefore,
  pageRangeUpTo,
  pagesRange,
  pinRange,
  shrinkKey,
  stagePageKey,
  stagePageRange,
  stagePagesRange,
  timeKey,
  versionOfKey,
} from './keys.js';
import { continueHistory, EMPTY_HISTORY, type NamespaceHistory } from './namespace-history.js';
import { findImage, mayHold } from './page-reader.js';
import {
  type CollectedRecord,
  decodeChange,
  decodeCollected,
  decodeMeta,
  decodeVersion,
  encodeCollected,
} from './records.js';
import type { Change, NamespaceId, PageNumber } from './types.js';

/** What a collection removed. */
export interface Collected {
  readonly versions: number;
  /** Bytes of page images that their commits wrote. */
  readonly bytes: number;
}

/** How much one step does, so that it takes a few milliseconds. */
export interface CollectLimits {
  /** Changelog entries, 2 or more, and pages that it follows. */
  readonly collectEntriesMax: number;
  readonly collectPagesMax: number;
}

export const COLLECT_LIMITS: CollectLimits = {
  collectEntriesMax: COLLECT_ENTRIES_MAX,
  collectPagesMax: COLLECT_PAGES_MAX,
};

/** Removed versions' entries of the changelog that one step may clear after a look at every page. */
const HELD_ENTRIES_MAX = 1_000;
const LAST_PAGE = 0xffff_ffff as PageNumber;
const NOTHING: CollectedRecord = { upTo: ZERO_VERSION, cursor: 0, isSweeping: false, held: [] };

interface Step extends Collected {
  readonly isDone: boolean;
}

/** What the decision about an image rests on. */
interface Scope {
  readonly namespace: NamespaceId;
  readonly watermark: Version;
  /** Older versions that are held, ascending. */
  readonly held: readonly Version[];
  /** At least up to the watermark. */
  readonly history: NamespaceHistory;
  readonly limits: CollectLimits;
  /** Pages that this step has looked at: there is nothing more to clear. */
  readonly swept: Set<PageNumber>;
}

/**
 * One step of freeing a namespace of what is before its watermark; `isDone` when nothing is left.
 * @param open what is open in this process, where it alone has the store
 */
export async function collectStep(
  engine: Engine,
  namespace: NamespaceId,
  open: () => readonly Version[],
  limits: CollectLimits,
): Promise<Step> {
  const { value } = await engine.transact(
    async (transaction): Promise<Step> => {
      const [watermark, bytes, held] = await Promise.all([
        readWatermark(transaction, namespace),
        transaction.get(collectedKey(namespace)),
        readHeld(transaction, namespace, open()),
      ]);
      if (watermark === ZERO_VERSION || watermark === EVERYTHING_GONE) return { isDone: true, versions: 0, bytes: 0 };
      await clearDeadPins(transaction, namespace);
      const history = await continueHistory(transaction, namespace, EMPTY_HISTORY, watermark);
      const scope = {
        namespace,
        watermark,
        held: heldBefore(held, watermark),
        history,
        limits,
        swept: new Set<PageNumber>(),
      };
      const record = continueFrom(bytes === undefined ? NOTHING : decodeCollected(bytes), scope.held);
      const isOver = !record.isSweeping && record.upTo === watermark;
      if (isOver && bytes?.equals(encodeCollected(record))) return { isDone: true, versions: 0, bytes: 0 };
      const step = record.isSweeping
        ? await sweepOn(transaction, scope, record)
        : await followChanges(transaction, scope, record);
      if (step.isDone || step.record.isSweeping !== record.isSweeping) await tidy(transaction, scope, step.record.upTo);
      transaction.set(collectedKey(namespace), encodeCollected(step.record));
      return step;
    },
    { durable: false },
  );
  return value;
}

/** Where to go on: what is held no longer makes every page worth a look. */
function continueFrom(record: CollectedRecord, held: readonly Version[]): CollectedRecord {
  const all = [...new Set([...record.held, ...held])].sort();
  if (record.isSweeping) return { ...record, held: all };
  const isReleased = record.held.some((version) => !held.includes(version));
  return isReleased ? { ...record, cursor: 0, isSweeping: true, held } : { ...record, held: all };
}

/** What a process that is gone had open holds nothing; should it come back, it must not believe that it does. */
async function clearDeadPins(transaction: Transaction, namespace: NamespaceId): Promise<void> {
  const { begin, end } = pinRange(namespace);
  for (const { key } of await transaction.getRange(begin, end)) {
    if ((await transaction.get(daemonKey(daemonOfKey(key)))) === undefined) transaction.clear(key);
  }
}

// --- commit after commit

async function followChanges(
  transaction: Transaction,
  scope: Scope,
  record: CollectedRecord,
): Promise<Step & { record: CollectedRecord }> {
  const { namespace, watermark, limits } = scope;
  const { begin, end } = logRangeFrom(namespace, record.upTo);
  const entries = await transaction.getRange(begin, end, { limit: limits.collectEntriesMax });
  const changes = entries
    .map(({ key, value }) => ({ version: versionOfKey(key), ...decodeChange(value) }))
    .filter(({ version }) => version <= watermark);
  const due = changes.filter(({ version }) => version > record.upTo);
  let { upTo, cursor } = record;
  let pagesLeft = limits.collectPagesMax;
  for (const change of due) {
    const followed = await followChange(transaction, scope, change, cursor, pagesLeft);
    pagesLeft -= followed.pages;
    cursor = followed.cursor;
    if (cursor !== 0) break;
    upTo = change.version;
    if (pagesLeft <= 0) break;
  }
  const over = changes.filter(({ version }) => version <= upTo);
  const removed = await clearEntries(transaction, scope, over);
  return { ...removed, isDone: upTo === watermark && cursor === 0, record: { ...record, upTo, cursor } };
}

/** Clears what a commit replaced, from the page after `cursor`; answers where to go on, 0 when that is done. */
async function followChange(
  transaction: Transaction,
  scope: Scope,
  change: Change,
  cursor: number,
  pagesMax: number,
): Promise<{ cursor: number; pages: number }> {
  const shrink = scope.history.shrinks.find(({ version }) => version === change.version);
  const bulk = scope.history.bulks.find(({ version }) => version === change.version);
  // Those past the end that a cut left are looked at with all others there.
  const end = shrink === undefined ? LAST_PAGE : shrink.lastPage;
  const listed = (change.pages ?? []).filter((page) => page > cursor && page <= end);
  const pages = listed.slice(0, Math.max(1, pagesMax));
  await Promise.all(pages.map((page) => clearReplaced(transaction, scope, page, change.version)));
  if (pages.length < listed.length) return { cursor: pages.at(-1)!, pages: pages.length };
  if (change.pages !== undefined && shrink === undefined) return { cursor: 0, pages: pages.length };
  const first = change.pages === undefined ? Math.min(end + 1, bulk?.first ?? 1) : end + 1;
  const next = await sweepPages(transaction, scope, Math.max(first, cursor + 1), pagesMax - pages.length);
  return { cursor: next.cursor, pages: pages.length + next.pages };
}

/** Clears what `version` replaced of a page. */
async function clearReplaced(
  transaction: Transaction,
  scope: Scope,
  page: PageNumber,
  version: Version,
): Promise<void> {
  if (scope.held.length > 0) return sweepPage(transaction, scope, page);
  const { namespace, history } = scope;
  const { begin, end } = pageRangeBefore(namespace, page, version);
  transaction.clearRange(begin, end);
  for (const bulk of history.bulks) {
    if (bulk.version < version && mayHold(bulk, page)) transaction.clear(stagePageKey(namespace, bulk.stage, page));
  }
}

/** Clears the changelog and time entries of versions that nobody can read. */
async function clearEntries(
  transaction: Transaction,
  { namespace, watermark, held }: Scope,
  changes: readonly Change[],
): Promise<Collected> {
  const gone = changes.filter(({ version }) => version < watermark && !held.includes(version));
  for (const { version, timeMs } of gone) {
    transaction.clear(logKey(namespace, version));
    const named = await transaction.get(timeKey(namespace, timeMs));
    if (named !== undefined && decodeVersion(named) === version) transaction.clear(timeKey(namespace, timeMs));
  }
  return { versions: gone.length, bytes: gone.reduce((sum, { bytes }) => sum + bytes, 0) };
}

// --- page after page

async function sweepOn(
  transaction: Transaction,
  scope: Scope,
  record: CollectedRecord,
): Promise<Step & { record: CollectedRecord }> {
  const { cursor } = await sweepPages(transaction, scope, record.cursor + 1, scope.limits.collectPagesMax);
  if (cursor !== 0) return { isDone: false, versions: 0, bytes: 0, record: { ...record, cursor } };
  const { begin } = logRange(scope.namespace);
  const entries = await transaction.getRange(begin, logKey(scope.namespace, record.upTo), { limit: HELD_ENTRIES_MAX });
  const removed = await clearEntries(
    transaction,
    scope,
    entries.map(({ key, value }) => ({ version: versionOfKey(key), ...decodeChange(value) })),
  );
  return { ...removed, isDone: false, record: { ...record, cursor: 0, isSweeping: false } };
}

/** Looks at `pagesMax` pages from `first` on; answers the last of them, or 0 when there are no more. */
async function sweepPages(
  transaction: Transaction,
  scope: Scope,
  first: number,
  pagesMax: number,
): Promise<{ cursor: number; pages: number }> {
  if (first > LAST_PAGE) return { cursor: 0, pages: 0 };
  const limit = Math.max(2, pagesMax);
  const { namespace, history } = scope;
  const from = first as PageNumber;
  const stored = pagesRange(namespace, from, LAST_PAGE);
  const lists = await Promise.all([
    // Other transactions may write images meanwhile: newer ones, which change nothing here.
    transaction.snapshot
      .getRange(stored.begin, stored.end, { limit })
      .then((pairs) => pairs.map(({ key }) => pageOfKey(key))),
    ...history.bulks.map(async ({ stage }) => {
      const { begin, end } = stagePagesRange(namespace, stage, from, LAST_PAGE);
      return (await transaction.snapshot.getRange(begin, end, { limit })).map(({ key }) => pageOfStagePageKey(key));
    }),
  ]);
  // Past the end of a list that its limit cut, pages may be missing.
  const seenTo = Math.min(...lists.map((pages) => (pages.length < limit ? LAST_PAGE : pages.at(-1)!)));
  const pages = [...new Set(lists.flat())].filter((page) => page <= seenTo).sort((a, b) => a - b);
  await Promise.all(pages.map((page) => sweepPage(transaction, scope, page)));
  return { cursor: seenTo === LAST_PAGE ? 0 : seenTo, pages: pages.length };
}

/**
 * Clears all images of a page that no readable version needs. Looks only at those that one may need: the newest at the
 * watermark, and at each older version that is held.
 */
async function sweepPage(transaction: Transaction, scope: Scope, page: PageNumber): Promise<void> {
  const { namespace, watermark, held, history, swept } = scope;
  if (swept.has(page)) return;
  swept.add(page);
  const points = [...held, watermark];
  const needed: Version[] = [];
  let point: Version | undefined = watermark;
  while (point !== undefined) {
    const to: Version = point;
    const image = await findImage(transaction.snapshot, { namespace, version: to, history }, page);
    if (image === undefined) break;
    const { version } = image;
    const cut = history.shrinks.find((shrink) => shrink.version > version && shrink.lastPage < page)?.version;
    if (points.some((kept) => kept >= version && kept <= to && (cut === undefined || kept < cut)))
      needed.unshift(version);
    point = points.findLast((kept) => kept < version);
  }
  let { begin, end } = pageRangeUpTo(namespace, page, watermark);
  for (const version of needed) {
    const key = pageKey(namespace, page, version);
    await clearBetween(transaction, begin, key);
    begin = keyAfter(key);
  }
  await clearBetween(transaction, begin, end);
  for (const { version, stage } of history.bulks.filter((bulk) => mayHold(bulk, page))) {
    if (version <= watermark && !needed.includes(version)) transaction.clear(stagePageKey(namespace, stage, page));
  }
}

async function clearBetween(transaction: Transaction, begin: Buffer, end: Buffer): Promise<void> {
  const [some] = await transaction.snapshot.getRange(begin, end, { limit: 1 });
  if (some !== undefined) transaction.clearRange(begin, end);
}

// --- what the pages are found by

/** Clears entries of bulk commits that have no page left, and of cuts behind which nothing is hidden any more. */
async function tidy(transaction: Transaction, { namespace, held, history }: Scope, upTo: Version): Promise<void> {
  for (const { version, stage } of history.bulks) {
    if (version > upTo) continue;
    const { begin, end } = stagePageRange(namespace, stage);
    const [left] = await transaction.getRange(begin, end, { limit: 1 });
    if (left === undefined) transaction.clear(bulkKey(namespace, version));
  }
  const meta = await transaction.get(metaKey(namespace));
  if (meta === undefined) return;
  const over = history.shrinks.filter(({ version }) => version <= upTo && !held.some((kept) => kept < version));
  // In a fork a cut goes on hiding its parent's pages: the deepest one hides what all of them do.
  const isFork = decodeMeta(meta).parent !== undefined;
  const deepest = over.reduce((a, b) => (b.lastPage < a.lastPage ? b : a), over[0]!);
  for (const shrink of over) {
    if (!isFork || shrink !== deepest) transaction.clear(shrinkKey(namespace, shrink.version));
  }
}
