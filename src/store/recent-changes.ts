// Which pages the last commits of each namespace changed, for those who hold copies of pages outside of this process.

import { RECENT_COMMITS_MAX, RECENT_PAGES_MAX } from '../limits.js';
import type { Version } from '../version.js';
import type { NamespaceId, PageNumber } from './types.js';

interface Change {
  readonly base: Version;
  readonly version: Version;
  /** Every page whose content may differ; 'all' also where the file shrank or its page size changed. */
  readonly pages: readonly PageNumber[] | 'all';
}

export class RecentChanges {
  /** The oldest first; each on top of the one before. */
  readonly #changes = new Map<NamespaceId, Change[]>();

  /** Tells of a commit on top of `base`. */
  advance(namespace: NamespaceId, base: Version, version: Version, pages: readonly PageNumber[] | 'all'): void {
    let changes = this.#changes.get(namespace) ?? [];
    // A commit of this process may have been seen in the store before its answer came.
    if (changes.length > 0 && changes.at(-1)!.version >= version) return;
    if (changes.length > 0 && changes.at(-1)!.version !== base) changes = [];
    changes.push({ base, version, pages: pages.length > RECENT_PAGES_MAX ? 'all' : pages });
    if (changes.length > RECENT_COMMITS_MAX) changes.shift();
    this.#changes.set(namespace, changes);
  }

  /** The pages that differ between two versions; 'all' where that is not known. */
  between(namespace: NamespaceId, from: Version, to: Version): ReadonlySet<PageNumber> | 'all' {
    const changes = this.#changes.get(namespace) ?? [];
    const first = changes.findIndex(({ base }) => base === from);
    const last = changes.findIndex(({ version }) => version === to);
    if (first === -1 || last < first) return 'all';
    const pages = new Set<PageNumber>();
    for (const change of changes.slice(first, last + 1)) {
      if (change.pages === 'all') return 'all';
      for (const page of change.pages) pages.add(page);
      if (pages.size > RECENT_PAGES_MAX) return 'all';
    }
    return pages;
  }
}
