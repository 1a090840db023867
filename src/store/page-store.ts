// The face of the store. (Signatures first; see the doc comments.)
import type { Engine } from '../kv/engine.js';
import type { Version } from '../version.js';
import type { Commit, CommitRequest, Head, LogEntry, NamespaceId, NamespaceInfo, PageNumber } from './types.js';

export interface PageStoreOptions {
  readonly engine: Engine;
  /** Wall clock in ms since 1970. */
  readonly clock: () => number;
  readonly cacheBytesMax: number;
}

export interface PageStore {
  createNamespace(name: string): Promise<NamespaceInfo>;
  statNamespace(name: string): Promise<NamespaceInfo>;
  listNamespaces(): Promise<NamespaceInfo[]>;
  head(namespace: NamespaceId): Promise<Head>;
  headAt(namespace: NamespaceId, version: Version): Promise<Head | undefined>;
  readPages(namespace: NamespaceId, head: Head, pages: readonly PageNumber[]): Promise<Buffer[]>;
  commit(requests: readonly CommitRequest[]): Promise<Commit[]>;
  log(namespace: NamespaceId, options?: { limit?: number }): Promise<LogEntry[]>;
  close(): Promise<void>;
}
export type OpenPageStore = (options: PageStoreOptions) => Promise<PageStore>;
