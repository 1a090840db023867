// Two short lists of a namespace that every page read needs: its bulk commits, and the commits that hid
// older pages (the file became shorter, or its page size changed).
//
// The lists are complete up to the version `upTo`; they are facts of the past, so they stay right whoever
// commits. A reader of a newer version loads the rest first.

import type { ReadTransaction } from '../kv/engine.js';
import { type Version, ZERO_VERSION } from '../version.js';
import { bulkRangeAfter, shrinkRangeAfter, versionOfKey } from './keys.js';
import { type BulkRecord, decodeBulk, decodeNumber } from './records.js';
import type { NamespaceId, PageNumber } from './types.js';

export interface Bulk extends BulkRecord {
  readonly version: Version;
}
/** Pages past `lastPage` that were written before `version` are not visible from it on. */
export interface Shrink {
  readonly version: Version;
  readonly lastPage: number;
}

export interface NamespaceHistory {
  readonly upTo: Version;
  /** Both ascending. */
  readonly bulks: readonly Bulk[];
  readonly shrinks: readonly Shrink[];
}

export const EMPTY_HISTORY: NamespaceHistory = { upTo: ZERO_VERSION, bulks: [], shrinks: [] };

/** `known`, continued with what the transaction sees; `upTo` must be no newer than that. */
export async function continueHistory(
  transaction: ReadTransaction,
  namespace: NamespaceId,
  known: NamespaceHistory,
  upTo: Version,
): Promise<NamespaceHistory> {
  const [bulkRange, shrinkRange] = [bulkRangeAfter(namespace, known.upTo), shrinkRangeAfter(namespace, known.upTo)];
  const [bulks, shrinks] = await Promise.all([
    transaction.getRange(bulkRange.begin, bulkRange.end),
    transaction.getRange(shrinkRange.begin, shrinkRange.end),
  ]);
  return appendHistory(
    known,
    upTo,
    bulks.map(({ key, value }) => ({ version: versionOfKey(key), ...decodeBulk(value) })),
    shrinks.map(({ key, value }) => ({ version: versionOfKey(key), lastPage: decodeNumber(value) })),
  );
}

/** `known` and what came after it up to `upTo`; entries past that are left for the next time. */
export function appendHistory(
  known: NamespaceHistory,
  upTo: Version,
  bulks: readonly Bulk[],
  shrinks: readonly Shrink[],
): NamespaceHistory {
  const isDue = ({ version }: { version: Version }) => version <= upTo;
  return {
    upTo,
    bulks: bulks.length === 0 ? known.bulks : [...known.bulks, ...bulks.filter(isDue)],
    shrinks: shrinks.length === 0 ? known.shrinks : [...known.shrinks, ...shrinks.filter(isDue)],
  };
}

/** The newest commit up to `version` that hid an image of `page` written at `written`; undefined: it is visible. */
export function hiddenSince(
  { shrinks }: NamespaceHistory,
  page: PageNumber,
  written: Version,
  version: Version,
): Version | undefined {
  for (let index = shrinks.length - 1; index >= 0; index--) {
    const shrink = shrinks[index]!;
    if (shrink.version <= written) return undefined;
    if (shrink.version <= version && shrink.lastPage < page) return shrink.version;
  }
  return undefined;
}

/** The histories of all namespaces, as far as they are known in this process. */
export class NamespaceHistories {
  readonly #known = new Map<NamespaceId, NamespaceHistory>();

  /** The history if it reaches `version`. */
  peek(namespace: NamespaceId, version: Version): NamespaceHistory | undefined {
    const known = this.#known.get(namespace);
    return known !== undefined && known.upTo >= version ? known : undefined;
  }

  /** The history at least up to `version`, which the transaction must see. */
  async load(transaction: ReadTransaction, namespace: NamespaceId, version: Version): Promise<NamespaceHistory> {
    const known = this.#known.get(namespace) ?? EMPTY_HISTORY;
    if (known.upTo >= version) return known;
    const loaded = await continueHistory(transaction, namespace, known, version);
    const current = this.#known.get(namespace);
    if (current === undefined || current.upTo < loaded.upTo) this.#known.set(namespace, loaded);
    return loaded;
  }

  /** Takes in a commit on top of `base`, of which nothing else came between. */
  advance(
    namespace: NamespaceId,
    base: Version,
    version: Version,
    bulk: Bulk | undefined,
    shrink: Shrink | undefined,
  ): void {
    const known = this.#known.get(namespace) ?? EMPTY_HISTORY;
    if (known.upTo < base || known.upTo >= version) return;
    this.#known.set(namespace, appendHistory(known, version, bulk ? [bulk] : [], shrink ? [shrink] : []));
  }
}
