// The shapes of `mvfuse status`, which the mount fills in and the admin side passes on.

import type { ClusterStatus } from './kv/engine.js';
import type { HostStatus } from './store/hosts.js';
import type { RetentionFigures } from './store/retention.js';
import type { Head, MaintenanceLock, RetentionPolicy } from './store/types.js';
import type { Version } from './version.js';

export interface MountStatus {
  readonly mountpoint: string;
  /** How many the kernel remembers. */
  readonly inodes: number;
  readonly files: FileStatus[];
  readonly limits: LimitsStatus;
}

/** How much of what is limited is in use. */
export interface Usage {
  readonly now: number;
  readonly max: number;
}

/** The limits of a mount. */
export interface LimitsStatus {
  readonly connections: Usage;
  /** Requests that are being served; a lock that is waited for is among them, and not limited with them. */
  readonly requests: Usage;
  /** Bytes not committed, journals included. */
  readonly dirtyBytes: Usage;
  /** Those of them that are in memory. */
  readonly dirtyMemoryBytes: Usage;
  /** Programs without SQLite's locks that wait for a write lock. */
  readonly waitingWriters: Usage;
  /** How long those wait. */
  readonly writerWaitMs: number;
}

export interface FileStatus {
  readonly name: string;
  readonly namespace: string;
  readonly head: Head;
  readonly connections: ConnectionStatus[];
  /** Who holds the write lock, and for how long. */
  readonly writer: (ProcessName & { readonly heldMs: number }) | undefined;
  /** The maintenance lock of its namespace. */
  readonly lock: MaintenanceLock | undefined;
}

export interface ConnectionStatus {
  readonly id: string;
  /** Who has the database open, by thread. */
  readonly openers: ProcessName[];
  readonly phase: string;
  /** The version of its snapshot, while it has one. */
  readonly version: string | undefined;
  readonly dirtyBytes: number;
}

export interface ProcessName {
  readonly pid: number | undefined;
  /** Undefined when the process is gone or cannot be seen. */
  readonly command: string | undefined;
}

/** What retention did since the store was opened, and what is left of each namespace. */
export interface RetentionStatus extends RetentionFigures {
  readonly namespaces: readonly KeptStatus[];
}

export interface KeptStatus {
  readonly name: string;
  readonly retention: RetentionPolicy;
  /** Older versions were removed; ZERO_VERSION while none was. */
  readonly truncatedBefore: Version;
  /** When that version was committed. */
  readonly keptFromMs: number | undefined;
  /** Older versions that are kept because something needs them. */
  readonly heldVersions: number;
}

export interface Status {
  /** The daemon that owns the store; undefined when none runs. */
  readonly daemon: { readonly pid: number; readonly uptimeMs: number; readonly residentBytes: number } | undefined;
  readonly mounts: readonly MountStatus[];
  /** Bytes of the store's files; undefined for a store in memory. */
  readonly storeBytes: number | undefined;
  readonly namespaces: number;
  /** The processes that share the store; undefined for a store with one owner. */
  readonly hosts: readonly HostStatus[] | undefined;
  /** The cluster that the store is in, if it is in one. */
  readonly cluster: ClusterStatus | undefined;
  readonly retention: RetentionStatus;
  readonly cache: { readonly pages: number; readonly bytes: number; readonly bytesMax: number };
}
