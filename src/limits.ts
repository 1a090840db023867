// Every maximum of the project, with its unit in the name and the reason beside it.

/** SQLite's own range of page sizes (https://sqlite.org/fileformat2.html#page_size). */
export const PAGE_BYTES_MIN = 512;
export const PAGE_BYTES_MAX = 65_536;

/** SQLite's largest page number (SQLITE_MAX_PAGE_COUNT since 3.45; 2^32 - 2). */
export const PAGE_COUNT_MAX = 0xffff_fffe;

/** Page size assumed for a file that has no commit yet, and for bytes that are not a SQLite database. */
export const PAGE_BYTES_DEFAULT = 4096;

/** FoundationDB's limits, which the engine contract adopts so that what runs on one engine runs on all. */
export const KV_KEY_BYTES_MAX = 10_000;
export const KV_VALUE_BYTES_MAX = 100_000;
export const KV_TRANSACTION_BYTES_MAX = 10_000_000;
export const KV_TRANSACTION_MS_MAX = 5_000;

/** Attempts of one engine transaction that keeps conflicting; past it the store is overloaded, not unlucky. */
export const KV_ATTEMPTS_MAX = 100;

/** Bytes of page images in one engine transaction; below the engine's limit by room for keys and changelog. */
export const COMMIT_BYTES_MAX = 8_000_000;

/** Namespace names: they are shown in file names, keys and logs. */
export const NAMESPACE_NAME_BYTES_MAX = 200;

/** Decoded pages kept in memory per store. */
export const PAGE_CACHE_BYTES_DEFAULT = 64 * 1024 * 1024;

/** Uncommitted bytes one open file keeps in memory before they spill to a temporary file. */
export const DIRTY_MEMORY_BYTES_DEFAULT = 16 * 1024 * 1024;

/** How long a connection refused for its old snapshot keeps the write lock reserved, so that it cannot starve. */
export const WRITE_RESERVATION_MS = 100;

/** How long a writer without locks (cp, cat >) waits for the write lock before EBUSY. */
export const UNLOCKED_WRITER_WAIT_MS_MAX = 10_000;

/** Connections that were resolved but never opened; the oldest are forgotten past this. */
export const UNOPENED_CONNECTIONS_MAX = 1_024;

/** Payload of one FUSE WRITE or READ: what the kernel allows without a larger max_pages. */
export const FUSE_WRITE_BYTES_MAX = 1024 * 1024;

/** Requests read from the kernel and not answered yet; past it the session stops reading. */
export const FUSE_QUEUE_LENGTH_MAX = 4_096;
