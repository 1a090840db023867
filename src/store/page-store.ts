// The face of the store: namespaces, versioned pages, commits. It joins the parts, which do the work:
// heads (how fresh), page-reader and page-cache (reads), commit and stage (writes), namespace-history.

import { isMvfuseError } from '../errors.js';
import type { ClusterStatus, Engine, RoundTrips } from '../kv/engine.js';
import { CHANGES_READ_MAX, COMMIT_BYTES_MAX, STAGE_CHUNK_BYTES_MAX, STORE_CLOSE_WAIT_MS_MAX } from '../limits.js';
import { settledWithin } from '../settle.js';
import type { Version } from '../version.js';
import { type CommitLimits, type CommittedMember, Committer, shrunkPage } from './commit.js';
import { requireFormat } from './format.js';
import { type ForeignCommit, Heads } from './heads.js';
import { type HostStatus, readHosts } from './hosts.js';
import { logRange, logRangeAfter, versionOfKey } from './keys.js';
import { NamespaceHistories } from './namespace-history.js';
import { createNamespace, listNamespaces, statNamespace } from './namespaces.js';
import { PageCache } from './page-cache.js';
import { padPage, pageOfStored } from './page-codec.js';
import { PageReader } from './page-reader.js';
import type { SnapshotsOpen } from './pins.js';
import { RecentChanges } from './recent-changes.js';
import { decodeChange, toLogEntry } from './records.js';
import { discardStage, listOutlivedStages, listStages, markDead, type StageName } from './stage.js';
import type { Change, Commit, CommitRequest, Head, LogEntry, NamespaceId, NamespaceInfo, PageNumber } from './types.js';
import { type HostOptions, WriteLeases } from './write-leases.js';
import { WriteLock } from './write-lock.js';

export interface PageStoreOptions {
  /** The store takes it over: close() closes it. */
  readonly engine: Engine;
  /** Wall clock in ms since 1970. */
  readonly clock: () => number;
  readonly cacheBytesMax: number;
  /**
   * Whether all commits of the store pass through this object, as with the embedded engines: then heads are
   * remembered and what a crash left is collected. True by default, unless there are other hosts.
   */
  readonly soleOwner?: boolean;
  /** Set where several processes share the store: then who writes needs the namespace's write lease. */
  readonly host?: HostOptions | undefined;
  /** Smaller ones make bulk commits cheap to test. */
  readonly limits?: Partial<CommitLimits>;
}

export class PageStore {
  readonly #engine: Engine;
  readonly #clock: () => number;
  readonly #heads: Heads;
  readonly #cache: PageCache;
  readonly #histories = new NamespaceHistories();
  readonly #changes = new RecentChanges();
  readonly #reader: PageReader;
  readonly #committer: Committer;
  readonly #writeLocks = new Map<NamespaceId, WriteLock>();
  readonly #leases: WriteLeases | undefined;
  /** Whether the engine may have committed something that nobody was told of. */
  #doubtful = false;
  readonly #running = new Set<Promise<unknown>>();
  #closing: Promise<void> | undefined;

  private constructor({ engine, clock, cacheBytesMax, soleOwner = true, host, limits }: PageStoreOptions) {
    this.#engine = engine;
    this.#clock = clock;
    this.#heads = new Heads({
      engine,
      isSole: (namespace) => (host === undefined ? soleOwner && !this.#doubtful : this.#leases!.surelyHeld(namespace)),
      onForeignCommit: (namespace, commit) => this.#takeInForeign(namespace, commit),
    });
    this.#cache = new PageCache(cacheBytesMax);
    this.#reader = new PageReader(engine, this.#cache, this.#histories);
    this.#leases = host && this.#createLeases(host);
    const defaults = { commitBytesMax: COMMIT_BYTES_MAX, stageChunkBytesMax: STAGE_CHUNK_BYTES_MAX };
    this.#committer = new Committer({
      engine,
      clock,
      limits: { ...defaults, ...limits },
      heads: this.#heads,
      leases: this.#leases,
    });
  }

  /**
   * States the format in a new store. Bulk commits that a crash interrupted are ruled out before this
   * resolves; their pages are removed in the background.
   * @throws STORE_FORMAT when the store states another format
   */
  static async open(options: PageStoreOptions): Promise<PageStore> {
    const { engine, host, soleOwner = host === undefined } = options;
    await requireFormat(engine);
    const store = new PageStore(options);
    if (!soleOwner) return store;
    const stages = await listStages(engine);
    for (const stage of stages) await markDead(engine, stage);
    // A failure here concerns no caller: what is left is found at the next start.
    store.#track(store.#collect(stages)).catch(() => {});
    return store;
  }

  /** @throws INVALID_ARGUMENT for a name that is not allowed, ALREADY_EXISTS, LIMIT */
  createNamespace(name: string, createdMs = Math.floor(this.#clock())): Promise<NamespaceInfo> {
    return createNamespace(this.#engine, name, createdMs);
  }

  /** @throws INVALID_ARGUMENT for a name that is not allowed, NOT_FOUND */
  async statNamespace(name: string): Promise<NamespaceInfo> {
    return statNamespace(this.#engine, name);
  }

  /** All of them, ascending by the UTF-8 bytes of their names. */
  listNamespaces(): Promise<NamespaceInfo[]> {
    return listNamespaces(this.#engine);
  }

  /** The newest commit's: no older than any that was answered before the call. @throws NOT_FOUND */
  head(namespace: NamespaceId): Promise<Head> {
    return this.#heads.newest(namespace);
  }

  /**
   * The head exactly as the commit `version` left it; undefined when no commit of this namespace has that
   * version. ZERO_VERSION is the empty file before the first one.
   * @throws NOT_FOUND for ZERO_VERSION of a namespace that does not exist
   */
  headAt(namespace: NamespaceId, version: Version): Promise<Head | undefined> {
    return this.#heads.at(namespace, version);
  }

  /**
   * The pages as they were at `head`, which must be one of this namespace's, in the order asked for. Each
   * buffer is pageBytes long, filled with zeros past the end of the file and where nothing was written.
   * The buffers are shared with the cache: they never change, and the caller must not change them.
   * @throws CORRUPT naming the page, LIMIT past READ_PAGES_MAX, STORE_FAILED
   */
  readPages(namespace: NamespaceId, head: Head, pages: readonly PageNumber[]): Promise<Buffer[]> {
    return this.#reader.read(namespace, head, pages);
  }

  /**
   * The lock that whoever writes the namespace in this process holds from reading its head until the commit, so that
   * nobody builds on a head that moves. commit() itself checks only the head.
   */
  writeLock(namespace: NamespaceId): WriteLock {
    const lock = this.#writeLocks.get(namespace) ?? new WriteLock(() => performance.now());
    this.#writeLocks.set(namespace, lock);
    return lock;
  }

  /**
   * Resolves when this process may write the namespace. To be called with the write lock held, which keeps it so until
   * the lock is given back. At once where this process alone has the store, or has the namespace's lease.
   * @throws BUSY when another process writes it for `waitMsMax`
   */
  async acquireLease(namespace: NamespaceId, waitMsMax: number): Promise<void> {
    await this.#leases?.acquire(namespace, waitMsMax);
  }

  /**
   * Tells those who share the store which versions are open here. `snapshots` is asked now and then;
   * to be called once.
   */
  pinSnapshots(snapshots: () => SnapshotsOpen): void {
    this.#leases?.pin(snapshots);
  }

  /** Who shares the store; undefined where this process alone has it. */
  async hosts(): Promise<HostStatus[] | undefined> {
    return this.#leases && readHosts(this.#engine, this.#leases.daemon);
  }

  /** See Engine.cluster. */
  async cluster(): Promise<ClusterStatus | undefined> {
    return this.#engine.cluster?.();
  }

  /** See Engine.roundTrips. */
  get roundTrips(): RoundTrips | undefined {
    return this.#engine.roundTrips;
  }

  /**
   * Commits all requests at one version, or none. Resolves when they are durable (but see Replay), with one answer
   * for each in order. A request without pages commits a version all the same. Pages are copied as they come; more
   * than COMMIT_BYTES_MAX of them take no more memory, but several engine transactions.
   * When it rejects nothing was committed, except for STORE_FAILED: then only the next start shows
   * whether all was, or nothing.
   * @throws CONFLICT when a head is not the request's base, or the lease went to another process; INVALID_ARGUMENT for pages that do not ascend, lie
   *   outside of the file or have the wrong length, or when the file is cut inside of a page that is not
   *   given; LIMIT, NO_SPACE, STORE_FAILED, and what a page source throws
   */
  commit(requests: readonly CommitRequest[]): Promise<Commit[]> {
    return this.#track(this.#commit(requests));
  }

  /** The pages that differ between two versions, both committed here not long ago; otherwise 'all'. */
  changedBetween(namespace: NamespaceId, from: Version, to: Version): ReadonlySet<PageNumber> | 'all' {
    return this.#changes.between(namespace, from, to);
  }

  /** What the page cache holds. */
  get cacheUsage(): { pages: number; bytes: number; bytesMax: number } {
    return this.#cache.usage;
  }

  /** Commits of the namespace, the newest first; all of them without a limit. */
  async log(namespace: NamespaceId, options: { limit?: number } = {}): Promise<LogEntry[]> {
    const { begin, end } = logRange(namespace);
    const range = { reverse: true, ...(options.limit === undefined ? {} : { limit: options.limit }) };
    const entries = await this.#engine.read((transaction) => transaction.getRange(begin, end, range));
    return entries.map(({ key, value }) => toLogEntry(versionOfKey(key), decodeChange(value)));
  }

  /** Commits after `version`, the oldest first; CHANGES_READ_MAX at a time, none when there are no more. */
  async changesAfter(namespace: NamespaceId, version: Version): Promise<Change[]> {
    const { begin, end } = logRangeAfter(namespace, version);
    const range = { limit: CHANGES_READ_MAX };
    const entries = await this.#engine.read((transaction) => transaction.getRange(begin, end, range));
    return entries.map(({ key, value }) => ({ version: versionOfKey(key), ...decodeChange(value) }));
  }

  /** Waits for the commits under way, at most STORE_CLOSE_WAIT_MS_MAX, passes its leases on, then closes the engine. */
  close(): Promise<void> {
    this.#closing ??= this.#finish();
    return this.#closing;
  }

  async #finish(): Promise<void> {
    await settledWithin(this.#running, STORE_CLOSE_WAIT_MS_MAX);
    if (this.#leases !== undefined) await settledWithin([this.#leases.close()], STORE_CLOSE_WAIT_MS_MAX);
    await this.#engine.close();
  }

  async #commit(requests: readonly CommitRequest[]): Promise<Commit[]> {
    let commits: Commit[] = [];
    const commit = async (): Promise<Version | undefined> => {
      const members = await this.#committer.commit(requests);
      for (const member of members) this.#takeIn(member);
      commits = members.map(({ head, pageCount, bytes }) => ({ head, pageCount, bytes }));
      return commits[0]?.head.version;
    };
    const namespaces = requests.map(({ namespace }) => namespace);
    try {
      await (this.#leases === undefined ? commit() : this.#leases.committing(namespaces, commit));
    } catch (error) {
      if (isMvfuseError(error, 'STORE_FAILED')) {
        this.#doubtful = true;
        for (const namespace of namespaces) this.#heads.forget(namespace);
      }
      throw error;
    }
    return commits;
  }

  /** What is remembered follows the commit before its caller hears of it. */
  #takeIn({ request: { namespace, base }, head, bulk, shrunkTo, pages }: CommittedMember): void {
    const { version, pageBytes } = head;
    const shrink = shrunkTo === undefined ? undefined : { version, lastPage: shrunkTo };
    this.#histories.advance(namespace, base, version, bulk && { version, ...bulk }, shrink);
    const isListed = bulk === undefined && shrink === undefined;
    const written = pages.map(({ number, stored }) => ({ number, data: padPage(pageOfStored(stored), pageBytes) }));
    this.#cache.advance(namespace, base, version, isListed ? written : 'all');
    this.#changes.advance(namespace, base, version, isListed ? pages.map(({ number }) => number) : 'all');
    this.#heads.remember(namespace, head);
  }

  /** What another process committed, as its changelog entry tells it. */
  #takeInForeign(namespace: NamespaceId, { base, version, change }: ForeignCommit): void {
    const isListed = change.pages !== undefined && shrunkPage(base, change) === undefined;
    if (isListed) this.#histories.advance(namespace, base.version, version, undefined, undefined);
    const pages = isListed ? change.pages! : 'all';
    this.#cache.advance(
      namespace,
      base.version,
      version,
      pages === 'all' ? 'all' : pages.map((number) => ({ number })),
    );
    this.#changes.advance(namespace, base.version, version, pages);
  }

  #createLeases(host: HostOptions): WriteLeases {
    return new WriteLeases({
      engine: this.#engine,
      host,
      lockOf: (namespace) => this.writeLock(namespace),
      look: (transaction, namespace) => this.#heads.look(transaction, namespace),
      takeIn: (namespace, update) => this.#heads.takeIn(namespace, update),
      onTaken: (namespace, token) => {
        const collecting = listOutlivedStages(this.#engine, namespace, token).then((stages) => this.#collect(stages));
        // What is left is found by whoever gets the lease next.
        this.#track(collecting).catch(() => {});
      },
    });
  }

  async #collect(stages: readonly StageName[]): Promise<void> {
    for (const stage of stages) await discardStage(this.#engine, stage, () => this.#closing !== undefined);
  }

  async #track<T>(work: Promise<T>): Promise<T> {
    this.#running.add(work);
    try {
      return await work;
    } finally {
      this.#running.delete(work);
    }
  }
}
