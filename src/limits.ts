// Every maximum of the project, with its unit in the name and the reason beside it.

/** SQLite's own range of page sizes (https://sqlite.org/fileformat2.html#page_size). */
export const PAGE_BYTES_MIN = 512;
export const PAGE_BYTES_MAX = 65_536;

/** SQLite's largest page number (SQLITE_MAX_PAGE_COUNT since 3.45; 2^32 - 2). */
export const PAGE_COUNT_MAX = 0xffff_fffe;

/** Page size assumed for a file that has no commit yet, and for bytes that are not a SQLite database. */
export const PAGE_BYTES_DEFAULT = 4096;

/**
 * FoundationDB's limits, which the engine contract adopts so that what runs on one engine runs on all. Its keys have
 * 10,000 bytes; the rest is for the prefix of a store.
 */
export const KV_KEY_BYTES_MAX = 9_700;
export const KV_VALUE_BYTES_MAX = 100_000;
export const KV_TRANSACTION_BYTES_MAX = 10_000_000;
export const KV_TRANSACTION_MS_MAX = 5_000;

/** How long a cluster that is away is waited for: longer than the stall after one of its processes was lost (about 5 s). */
export const KV_STORE_WAIT_MS_MAX = 20_000;

/** How long a cluster is asked what became of a commit whose answer was lost. */
export const KV_SETTLE_MS_MAX = 20_000;

/** Age of a read version that reads may share: well below the 5 s after which the cluster has forgotten it. */
export const KV_SHARED_READ_VERSION_MS_MAX = 2_000;

/** Attempts of one engine transaction that keeps conflicting; past it the store is overloaded, not unlucky. */
export const KV_ATTEMPTS_MAX = 100;

/** Longest pause before a conflicting transaction is run again: a few commits' time. */
export const KV_RETRY_PAUSE_MS_MAX = 50;

/** Watches of one engine; FoundationDB's default for one client. */
export const KV_WATCHES_MAX = 10_000;

/** Written keys an embedded engine remembers for conflict checks (about 10 MB); older snapshots conflict. */
export const KV_CONFLICT_LOG_WRITES_MAX = 50_000;

/** Read connections of the sqlite engine: more would only wait for the one thread that reads. */
export const KV_READ_CONNECTIONS_MAX = 16;

/** How long a snapshot waits for a read connection: longer than a transaction may last. */
export const KV_SNAPSHOT_WAIT_MS_MAX = 10_000;

/** Commits sent to the sqlite engine's writer and not answered yet; COMMITTING_BYTES_MAX bounds their bytes. */
export const KV_PENDING_COMMITS_MAX = 10_000;

/** One group commit: enough to share an fsync widely, little enough that the last member does not wait long. */
export const KV_GROUP_COMMITS_MAX = 256;
export const KV_GROUP_BYTES_MAX = 16_000_000;

/** Bytes of page images in one engine transaction, with what each takes besides; the rest of the limit is for the changelog. */
export const COMMIT_BYTES_MAX = 9_000_000;

/** What a page takes of FoundationDB's limit besides its bytes: its key, and the key's two ends as a conflict range. */
export const COMMIT_PAGE_BYTES = 400;

/**
 * Bytes of page images of all commits under way, from the first page that is taken in until the engine has answered;
 * others wait their turn. The same again for bulk commits. Each byte is in memory up to four times meanwhile.
 */
export const COMMITTING_BYTES_MAX = 16_000_000;

/** Bytes of page images in one transaction that stages a bulk commit: small, so that other commits are not kept waiting. */
export const STAGE_CHUNK_BYTES_MAX = 1_000_000;

/** Staged pages deleted in one transaction. */
export const STAGE_DELETED_PAGES_MAX = 256;

/** A changelog entry's list of pages; past it the entry says only how many. Below KV_VALUE_BYTES_MAX. */
export const PAGE_SET_BYTES_MAX = 64_000;

/** Pages of one call to readPages: what 5 s and one engine transaction surely hold. */
export const READ_PAGES_MAX = 4_096;

/** Pages that are brought along with those read in order, from an engine that is elsewhere: what costs about a round trip. */
export const READ_AHEAD_PAGES_MAX = 64;

/** Changelog entries of one call to changesAfter: a few MB of the longest ones. */
export const CHANGES_READ_MAX = 128;

/** Files in one commit: SQLite's SQLITE_MAX_ATTACHED, and main. */
export const COMMIT_MEMBERS_MAX = 126;

/** Images kept in the page cache for one page: the newest, and some of open snapshots. */
export const PAGE_CACHE_INTERVALS_MAX = 4;

/** Namespaces of which pages are kept in memory; past it all are forgotten. Below 2^21, for the page cache's keys. */
export const CACHED_NAMESPACES_MAX = 65_536;

/** An id is never used twice, and every file that is made takes one. */
export const NAMESPACE_ID_MAX = 2 ** 48 - 1;

/** Namespace names: they are shown in file names, keys and logs. */
export const NAMESPACE_NAME_BYTES_MAX = 200;

/** Tag names: they are part of file names, of which Linux allows 255 bytes with the namespace's before them. */
export const TAG_NAME_BYTES_MAX = 100;

/** Tags, and versions, that the directory of a database's history lists: the newest of each. */
export const SNAPSHOTS_LISTED_MAX = 100;

/** Tags of a namespace: each step of a collection reads them all. */
export const TAGS_MAX = 10_000;

/** Forks of forks: each level is one more look for a page that was never written since. Past it a fork is a copy. */
export const FORK_LEVELS_MAX = 8;

/** Commits, and pages in all, of which is remembered what they changed; who comes from further back reads all anew. */
export const RECENT_COMMITS_MAX = 256;
export const RECENT_PAGES_MAX = 4_096;

/** Pieces of one file that the kernel is asked to drop one by one; with more of them it drops the whole file. */
export const KERNEL_CACHE_RANGES_MAX = 128;

/**
 * How long the kernel may take to drop cached pages; it waits only for reads and writes of them under way. Before a lock,
 * which can be refused; and of a transaction that is discarded, where the connection is lost if it does not.
 */
export const KERNEL_CACHE_MOVE_MS_MAX = 2_000;
export const KERNEL_CACHE_DISCARD_MS_MAX = 60_000;

/** Decoded pages kept in memory per store. */
export const PAGE_CACHE_BYTES_DEFAULT = 64 * 1024 * 1024;

/** SQLite's own page cache of each read connection: its inner pages. All of them together stay at 64 MiB. */
export const KV_READ_CACHE_KIB = 4 * 1024;

/** How long the end of a mount waits for requests that are being served: commits above all. */
export const MOUNT_CLOSE_WAIT_MS_MAX = 5_000;

/** How long closing a store waits for what is under way; a daemon that is told to stop must not wait for ever. */
export const STORE_CLOSE_WAIT_MS_MAX = 5_000;

/** Uncommitted bytes of all connections in memory; what is more lies in temporary files. */
export const DIRTY_MEMORY_BYTES_DEFAULT = 32 * 1024 * 1024;

/** The part of that which one file (a dirty set, a journal) may take: so that a large one leaves room for others. */
export const DIRTY_MEMORY_SHARE = 1 / 2;

/**
 * Uncommitted bytes of all connections, journals included, wherever they lie. More than any database that is loaded in
 * one transaction every day; and what is remembered of each spilled block stays small in memory.
 */
export const DIRTY_BYTES_DEFAULT = 16 * 1024 * 1024 * 1024;

/** Free space that uncommitted writes leave on the store's disk: its log, and other programs. */
export const SPACE_FLOOR_BYTES = 64 * 1024 * 1024;

/** How long a write lease outlives the last sign of life of its holder, and so a takeover after its death takes. */
export const LEASE_MS_DEFAULT = 5_000;

/**
 * Signs of life in that time: several may be lost, and each is a small commit. Not further apart than the second figure:
 * a commit that builds on what was known at the last one finds that state still readable.
 */
export const LEASE_BEATS = 5;
export const LEASE_BEAT_MS_MAX = 3_000;

/** The part of it that is left to clocks that go at different rates, when the holder relies on its lease. */
export const LEASE_MARGIN = 0.2;

/** How long a lease is kept at least while others ask for it, so that passing it on does not take up all of the time. */
export const LEASE_HOLD_MS = 20;

/** How long who passed a lease on leaves it to the others. */
export const LEASE_YIELD_MS = 40;

/** How often somebody who waits for a lease looks, should nothing tell it. */
export const LEASE_POLL_MS = 250;

/** How long the oldest open snapshot of a daemon is kept after its last sign of life. */
export const PIN_MS_MAX = 60_000;

/** Versions that a pin lists; one daemon that reads more of a namespace at once holds the oldest. Below KV_VALUE_BYTES_MAX. */
export const PINNED_VERSIONS_MAX = 4_096;

/**
 * Where several hosts share a store: how long a version that was the newest is left alone in any case. A snapshot of it, taken
 * elsewhere, is in the store with the next sign of life there.
 */
export const RETENTION_GRACE_MS = 60_000;

/** A secret of a protected namespace: any key file; a file named by mistake is seen as such. */
export const ACCESS_SECRET_BYTES_MAX = 64 * 1024;

/** An owner's name is part of file names. */
export const LOCK_OWNER_BYTES_MAX = 64;

/** What a change file says of itself: a name, two versions, a proof. */
export const CHANGE_HEADER_BYTES_MAX = 64 * 1024;

/** Pages that are listed as different between two versions, in memory; with more, all are compared. */
export const CHANGED_PAGES_MAX = 4_000_000;

/** Pages of a stage that are read at once to see which there are. */
export const STAGE_PAGES_READ_MAX = 256;

/** How long a dropped namespace can be brought back, at least: a day, so that a mistake seen the next morning can be mended. */
export const UNDELETE_MS = 86_400_000;

/** Deleted namespaces that a message names, where the one asked for is not among them. */
export const DROPPED_NAMED_MAX = 10;

/** Keys of a deleted namespace that one transaction removes. */
export const REMOVED_KEYS_MAX = 512;

/** How often a daemon applies the retention policies. */
export const RETENTION_PERIOD_MS_DEFAULT = 10_000;

/** Changelog entries, and pages, that one step of a collection follows: a few milliseconds' work. */
export const COLLECT_ENTRIES_MAX = 64;
export const COLLECT_PAGES_MAX = 512;

/** How long a connection refused for its old snapshot keeps the write lock reserved, so that it cannot starve. */
export const WRITE_RESERVATION_MS = 100;

/** How long a writer without locks (cp, cat >) and an import wait for the write lock before EBUSY, and BUSY. */
export const WRITER_WAIT_MS_DEFAULT = 10_000;

/** Open connections of a mount: room for several hundred programs, and a bound on what they make the daemon keep. */
export const CONNECTIONS_DEFAULT = 1_024;

/** Open handles for each connection that is allowed: a database, its journals, and descriptors that were opened twice. */
export const HANDLES_PER_CONNECTION = 16;

/** Locks held on one database through one path; SQLite takes at most four for each program that shares it. */
export const LOCKS_PER_DATABASE_MAX = 4_096;

/** Empty files that were created in a mount and have no namespace; past this the oldest get one. */
export const UNMADE_FILES_MAX = 1_024;

/** Connections that were resolved but never opened; past this the oldest are given to others. */
export const UNOPENED_CONNECTIONS_MAX = 1_024;

/**
 * Payload of one FUSE WRITE or READ: the buffer of cp. With the queue's length it bounds the bytes of requests that wait;
 * SQLite itself never asks for more than a page.
 */
export const FUSE_WRITE_BYTES_MAX = 128 * 1024;

/** Requests read from the kernel and not answered yet; past it the session stops reading, and callers wait there. */
export const FUSE_QUEUE_LENGTH_DEFAULT = 1_024;

/** Connections to the daemon's API at once: on its unix socket, and the same again on TCP. */
export const CONTROL_CONNECTIONS_MAX = 64;

/** How long the daemon waits for the next bytes of a client that sends a database (it holds the write lock meanwhile), or reads one. */
export const CONTROL_IDLE_MS_MAX = 60_000;

/** How long a client may take to send the head of a request. */
export const CONTROL_HEADERS_MS_MAX = 10_000;

/** A request's body, where it is no database. */
export const CONTROL_BODY_BYTES_MAX = 64 * 1024;

/** What a client hears of slow work: progress at most so often, and a sign of life at least so often. */
export const CONTROL_PROGRESS_MS_MIN = 100;
export const CONTROL_PROGRESS_MS_MAX = 5_000;

/** How long a refused upload is still read, so that its sender gets to see why. */
export const CONTROL_LINGER_MS = 2_000;

/** How long the store may take to answer before a daemon is not ready, and how long that finding is given to others who ask. */
export const READY_CHECK_MS_MAX = 5_000;
export const READY_FRESH_MS = 500;

/** Namespaces that have labels of their own among the metrics; the others share one. */
export const METRIC_NAMESPACES_MAX = 100;

/** How often metrics look how far back each namespace is kept, and how long they wait for that. */
export const METRIC_KEPT_FRESH_MS = 10_000;
export const METRIC_KEPT_WAIT_MS_MAX = 1_000;

/** A token's length: 128 bits, if they are random. */
export const TOKEN_BYTES_MIN = 16;

/** What the options may be set to: below, nothing works any more; above, memory and indexes do not suffice. */
export const LIMIT_RANGES = {
  cacheBytes: { min: 0, max: 2 ** 40 },
  dirtyMemoryBytes: { min: 2 ** 20, max: 2 ** 40 },
  dirtyBytes: { min: 2 ** 20, max: 2 ** 40 },
  connections: { min: 1, max: 65_536 },
  queueLength: { min: 16, max: 65_536 },
  writerWaitMs: { min: 0, max: 600_000 },
  leaseMs: { min: 1_000, max: 60_000 },
  waitMs: { min: 0, max: 86_400_000 },
  retentionPeriodMs: { min: 100, max: 86_400_000 },
} as const;
