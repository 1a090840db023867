// The public API: a store, and namespaces of it mounted as files.

export { type ErrorCode, isMvfuseError, MvfuseError } from './errors.js';
export { type Mount, type MountEntry, type MountFilesOptions, mountFiles } from './fuse/mount.js';
export type { Engine, ReadTransaction, Transaction } from './kv/engine.js';
export { openEngine } from './kv/open.js';
export { PageStore, type PageStoreOptions } from './store/page-store.js';
export type { Commit, CommitRequest, Head, LogEntry, NamespaceInfo, Page } from './store/types.js';
export { isVersion, parseVersion, type Version, ZERO_VERSION } from './version.js';
