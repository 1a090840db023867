// The words of the store: namespaces, heads, commits. Shapes only; page-store.ts does the work.

import type { Version } from '../version.js';

declare const pageNumberBrand: unique symbol;
/** 1-based, as in SQLite. */
export type PageNumber = number & { readonly [pageNumberBrand]: true };

declare const namespaceIdBrand: unique symbol;
export type NamespaceId = number & { readonly [namespaceIdBrand]: true };

/** The file as one version states it. `sizeBytes` is a multiple of `pageBytes` except for bytes that are no database. */
export interface Head {
  /** ZERO_VERSION before the first commit. */
  readonly version: Version;
  readonly pageBytes: number;
  readonly sizeBytes: number;
  /** When it was committed; never earlier than the previous head's. The namespace's creation for ZERO_VERSION. */
  readonly timeMs: number;
}

export interface Page {
  readonly number: PageNumber;
  /** Exactly pageBytes long, but for the last page of a file whose size is no multiple. */
  readonly data: Uint8Array;
}

/** One file's part of a commit. */
export interface CommitRequest {
  readonly namespace: NamespaceId;
  /** The head that the pages were derived from; another one now means CONFLICT. */
  readonly base: Version;
  readonly pageBytes: number;
  readonly sizeBytes: number;
  /** No more bytes of pages come than this; those of the whole file when it is left out. */
  readonly bytesMax?: number;
  /** For the copy of another store's version: it keeps its time, and the changelog remembers which it was. */
  readonly replay?: Replay;
  /**
   * The pages that differ from the base, each once, ascending; all of 1..count when pageBytes differs from the
   * base's. Consumed once, in order, possibly while earlier pages are being written.
   */
  readonly pages: AsyncIterable<Page> | Iterable<Page>;
}

export interface Replay {
  /** The version in the store that it is copied from. */
  readonly origin: Version;
  /** When it was committed there. */
  readonly timeMs: number;
  /** False: a loss of power may take it back, with what came after it, until a durable commit that began later. */
  readonly durable: boolean;
}

export interface Commit {
  readonly head: Head;
  readonly pageCount: number;
  /** Bytes of page images written. */
  readonly bytes: number;
}

export interface LogEntry {
  readonly version: Version;
  readonly timeMs: number;
  readonly pageBytes: number;
  readonly sizeBytes: number;
  /** Pages that the commit wrote. */
  readonly pageCount: number;
  /** Bytes of page images that it wrote. */
  readonly bytes: number;
  /** The version of another store that this one is the copy of. */
  readonly origin?: Version;
}

/** A log entry, and which pages the commit wrote. */
export interface Change extends LogEntry {
  /** Ascending. Undefined when there were too many to list, they went to a stage, or after a gap. */
  readonly pages: readonly PageNumber[] | undefined;
  /** The version before it is not in this changelog (any more): it was removed, or is another namespace's. */
  readonly afterGap?: true;
}

export interface NamespaceInfo {
  readonly id: NamespaceId;
  readonly name: string;
  readonly createdMs: number;
  readonly head: Head;
  /** What it was forked from. */
  readonly parent?: ForkPoint;
  /** Whether a mount must present a secret for it. */
  readonly isProtected: boolean;
  /** Permission bits, 0 to 0o777, as chmod gave them; without them a mount shows its own. */
  readonly mode?: number;
  /** When it was dropped, of one that was: it has its name no longer. */
  readonly droppedMs?: number;
}

/** A namespace that was dropped, and can be brought back. */
export interface DroppedNamespace {
  readonly id: NamespaceId;
  /** What it was called. Others may have been dropped by the same name, and one may have it now. */
  readonly name: string;
  readonly droppedMs: number;
  /** From then on it is removed for good, once nobody reads it and no fork goes on from it. */
  readonly removedAfterMs: number;
  readonly head: Head;
}

/** A namespace that was renamed, and which one had the new name until then. */
export interface RenamedNamespace extends NamespaceInfo {
  /** Dropped with the rename. */
  readonly replaced?: NamespaceId;
}

/** A version that a fork goes on from, with the fork's parent; or with the fork, where that is told of a parent. */
export interface ForkPoint {
  readonly id: NamespaceId;
  /** The other's name, as it is now; what it was called, if it was dropped. */
  readonly namespace: string;
  readonly version: Version;
  readonly dropped?: true;
}

/** What a namespace's own policy keeps; without either, every version. A version is kept where one of the two keeps it. */
export interface RetentionPolicy {
  /** Every state that was the newest one at some time in the last `keepMs`. */
  readonly keepMs?: number;
  /** That many of the newest versions. */
  readonly keepVersions?: number;
}

/** A name for a version, which keeps it. */
export interface Tag {
  readonly name: string;
  readonly version: Version;
  readonly createdMs: number;
}

/** While it is there, only its owner writes, and everybody else reads one version. */
export interface MaintenanceLock {
  readonly owner: string;
  /** What the others read. */
  readonly version: Version;
  /** The head when it was taken: what a rollback restores. */
  readonly base: Version;
  readonly sinceMs: number;
}

/** A namespace with all that the store keeps of it besides its pages. */
export interface NamespaceDetails extends NamespaceInfo {
  /** Older versions were removed, but for those that are held; ZERO_VERSION while none was. */
  readonly truncatedBefore: Version;
  /** Older versions that something needs, and what: ascending. */
  readonly held: readonly HeldVersion[];
  /** Its own policy, or else the store's. */
  readonly retention: RetentionPolicy;
  /** Whether the policy is its own. */
  readonly hasOwnRetention: boolean;
  readonly tags: readonly Tag[];
  /** Names of the namespaces that were forked from it, and from which version. */
  readonly forks: readonly ForkPoint[];
  readonly lock: MaintenanceLock | undefined;
}

/** A version that must stay readable, and why. */
export interface HeldVersion {
  readonly version: Version;
  readonly by: 'tag' | 'fork' | 'lock' | 'reader';
  /** The tag, the fork, the lock's owner; of a reader the host, where it is another one. */
  readonly name: string;
}
