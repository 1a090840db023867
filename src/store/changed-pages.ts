// Which pages may differ between two versions of a namespace, by its changelog and its bulk commits.

import { keyAfter } from '../kv/bytes.js';
import type { Engine } from '../kv/engine.js';
import { CHANGED_PAGES_MAX, CHANGES_READ_MAX, STAGE_PAGES_READ_MAX } from '../limits.js';
import { readWatermark } from './held-versions.js';
import { bulkKey, logRangeAfter, pageOfStagePageKey, stagePageRange, versionOfKey } from './keys.js';
import { pageCountOf } from './page-count.js';
import { decodeBulk, decodeChange } from './records.js';
import type { Change, Head, NamespaceId, PageNumber } from './types.js';

/**
 * Every page that may not be the same at both, those that only one of them has included; 'all' where that cannot be told:
 * another page size, changes that retention removed, too many to list.
 * @param from an older version than `to`, or the same; both readable
 */
export async function changedPages(
  engine: Engine,
  namespace: NamespaceId,
  from: Head,
  to: Head,
): Promise<Set<PageNumber> | 'all'> {
  const pages = new Set<PageNumber>();
  let before = from;
  for (let isMore = from.version !== to.version; isMore; ) {
    const { begin, end } = logRangeAfter(namespace, before.version);
    const { watermark, entries } = await engine.read(async (transaction) => ({
      watermark: await readWatermark(transaction, namespace),
      entries: await transaction.getRange(begin, end, { limit: CHANGES_READ_MAX }),
    }));
    // What was committed before the watermark is not all there any more.
    if (before.version < watermark) return 'all';
    for (const { key, value } of entries) {
      const change: Change = { version: versionOfKey(key), ...decodeChange(value) };
      if (change.version > to.version) break;
      if (change.pageBytes !== before.pageBytes && before.sizeBytes > 0) return 'all';
      if (!(await addPages(engine, namespace, before, change, pages))) return 'all';
      before = change;
    }
    isMore = before.version < to.version && entries.length > 0;
  }
  return pages;
}

/** False when they cannot be told. */
async function addPages(
  engine: Engine,
  namespace: NamespaceId,
  before: Head,
  change: Change,
  pages: Set<PageNumber>,
): Promise<boolean> {
  const written = change.pages ?? (await stagedPages(engine, namespace, change));
  if (written === undefined) return false;
  for (const page of written) pages.add(page);
  const [small, large] = [pageCountOf(before), pageCountOf(change)].sort((a, b) => a - b) as [number, number];
  if (pages.size + large - small > CHANGED_PAGES_MAX) return false;
  for (let page = small + 1; page <= large; page += 1) pages.add(page as PageNumber);
  return true;
}

async function stagedPages(
  engine: Engine,
  namespace: NamespaceId,
  { version, pageCount }: Change,
): Promise<PageNumber[] | undefined> {
  const bulk = await engine.read((transaction) => transaction.get(bulkKey(namespace, version)));
  if (bulk === undefined || pageCount > CHANGED_PAGES_MAX) return undefined;
  const pages: PageNumber[] = [];
  let { begin, end } = stagePageRange(namespace, decodeBulk(bulk).stage);
  for (;;) {
    const entries = await engine.read((transaction) =>
      transaction.getRange(begin, end, { limit: STAGE_PAGES_READ_MAX }),
    );
    for (const { key } of entries) pages.push(pageOfStagePageKey(key));
    if (entries.length < STAGE_PAGES_READ_MAX) break;
    begin = keyAfter(entries.at(-1)!.key);
  }
  // Some may have been removed since: those that later commits replaced, which list them.
  return pages.length === pageCount ? pages : undefined;
}
