// The face of the store: namespaces, versioned pages, commits, history. It joins the parts, which do the work:
// heads (how fresh), page-reader and page-cache (reads), commit and stage (writes), namespace-history; moments, tags,
// fork, maintenance-lock, removal and retention (what is kept, and what for).

import { isMvfuseError, MvfuseError } from '../errors.js';
import type { ClusterStatus, Engine, RoundTrips, Transaction } from '../kv/engine.js';
import { CHANGES_READ_MAX, COMMIT_BYTES_MAX, STAGE_CHUNK_BYTES_MAX, STORE_CLOSE_WAIT_MS_MAX } from '../limits.js';
import type { Moment } from '../moment.js';
import type { StoreObserver } from '../observers.js';
import { settledWithin } from '../settle.js';
import { type Version, ZERO_VERSION } from '../version.js';
import { changedPages } from './changed-pages.js';
import type { CollectLimits } from './collector.js';
import { type CommitLimits, type CommittedMember, Committer, shrunkPage } from './commit.js';
import { forkNamespace, isForkedOut, readForks } from './fork.js';
import { requireFormat } from './format.js';
import { type ForeignCommit, Heads, type NamespaceState } from './heads.js';
import { requireReadable } from './held-versions.js';
import { type HostStatus, readHosts } from './hosts.js';
import { logRangeAfter, versionOfKey } from './keys.js';
import { Lineages } from './lineage.js';
import { clearLock, setLock } from './maintenance-lock.js';
import { readTimePoints, resolveMoment } from './moments.js';
import { NamespaceHistories } from './namespace-history.js';
import {
  changeMeta,
  createNamespace,
  hasNamespaces,
  listNamespaces,
  readInfo,
  readMeta,
  reserveNamespaceId,
  statNamespace,
} from './namespaces.js';
import {
  type DropOptions,
  dropNamespace,
  listDropped,
  type NamingContext,
  type RenameOptions,
  renameNamespace,
  statDropped,
  type UndeleteOptions,
  undeleteNamespace,
} from './naming.js';
import { OpenVersions } from './open-versions.js';
import { PageCache } from './page-cache.js';
import { padPage, pageOfStored } from './page-codec.js';
import { PageReader } from './page-reader.js';
import { RecentChanges } from './recent-changes.js';
import { decodeChange, type NamespaceMeta, toLogEntry } from './records.js';
import { removeNamespace } from './removal.js';
import { Retention, readDefaultPolicy, validatePolicy } from './retention.js';
import { discardStage, listOutlivedStages, listStages, markDead, type StageName } from './stage.js';
import { addTag, listTags, removeTag } from './tags.js';
import type {
  Change,
  Commit,
  CommitRequest,
  DroppedNamespace,
  Head,
  LogEntry,
  MaintenanceLock,
  NamespaceDetails,
  NamespaceId,
  NamespaceInfo,
  PageNumber,
  RenamedNamespace,
  RetentionPolicy,
  Tag,
} from './types.js';
import { type HostOptions, type SignOfLife, WriteLeases } from './write-leases.js';
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
  readonly observer?: StoreObserver | undefined;
  /** Smaller ones make bulk commits, and collections in many steps, cheap to test. */
  readonly limits?: Partial<CommitLimits & CollectLimits>;
}

/** A version that is kept until it is closed. */
export interface OpenVersion {
  readonly head: Head;
  close(): void;
}

export interface CreateOptions {
  readonly id?: NamespaceId | undefined;
  readonly mode?: number | undefined;
  readonly createdMs?: number;
}

export interface LogOptions {
  readonly limit?: number;
  /** Only those after this version. */
  readonly after?: Version;
  /** Whether to tell which pages they wrote. */
  readonly pages?: boolean;
}

export class PageStore {
  readonly #engine: Engine;
  readonly #clock: () => number;
  readonly #heads: Heads;
  readonly #cache: PageCache;
  readonly #histories = new NamespaceHistories();
  readonly #openVersions = new OpenVersions();
  readonly #changes = new RecentChanges();
  readonly #reader: PageReader;
  readonly #committer: Committer;
  readonly #writeLocks = new Map<NamespaceId, WriteLock>();
  readonly #leases: WriteLeases | undefined;
  /** Policies, the removal of versions, and what it did. */
  readonly retention: Retention;
  /** Whether the engine may have committed something that nobody was told of. */
  #doubtful = false;
  readonly #observer: StoreObserver | undefined;
  readonly #running = new Set<Promise<unknown>>();
  #closing: Promise<void> | undefined;

  private constructor({ engine, clock, cacheBytesMax, soleOwner = true, host, limits, observer }: PageStoreOptions) {
    this.#observer = observer;
    this.#engine = engine;
    this.#clock = clock;
    this.#heads = new Heads({
      engine,
      isSole: (namespace) => (host === undefined ? soleOwner && !this.#doubtful : this.#leases!.surelyHeld(namespace)),
      onForeignCommit: (namespace, commit) => this.#takeInForeign(namespace, commit),
    });
    this.#cache = new PageCache(cacheBytesMax);
    this.#leases = host && this.#createLeases(host);
    this.retention = new Retention({
      engine,
      clock,
      openVersions: this.#openVersions,
      isShared: host !== undefined || !soleOwner,
      limits,
      onRemoved: (namespace) => this.#heads.forget(namespace),
      ...(this.#leases === undefined ? {} : { forgetSilent: () => this.#leases!.forgetSilent() }),
    });
    this.#reader = new PageReader({
      engine,
      cache: this.#cache,
      histories: this.#histories,
      lineages: new Lineages(),
      observer,
      requireReadable: (transaction, namespace, version) =>
        requireReadable(transaction, namespace, version, this.retention.open(namespace)),
    });
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

  /** An id for createNamespace that nothing else ever gets; until then no namespace has it. @throws LIMIT */
  reserveNamespaceId(): Promise<NamespaceId> {
    return reserveNamespaceId(this.#engine);
  }

  /**
   * `id` is one that was reserved; `createdMs` is now when it is left out; `mode` as setMode.
   * @throws INVALID_ARGUMENT for a name or mode that is not allowed, and an id that is not reserved; ALREADY_EXISTS, LIMIT
   */
  async createNamespace(
    name: string,
    { id, mode, createdMs = this.#nowMs() }: CreateOptions = {},
  ): Promise<NamespaceInfo> {
    requireMode(mode);
    return createNamespace(this.#engine, { name, id, mode, createdMs });
  }

  /** @throws INVALID_ARGUMENT for a name that is not allowed, NOT_FOUND */
  async statNamespace(name: string): Promise<NamespaceInfo> {
    return statNamespace(this.#engine, name);
  }

  /** Also of one that was dropped. @throws NOT_FOUND */
  statById(namespace: NamespaceId): Promise<NamespaceInfo> {
    return this.#engine.read((transaction) => readInfo(transaction, namespace));
  }

  /** Undefined where there is none, or cannot be one of such a name. */
  async findNamespace(name: string): Promise<NamespaceInfo | undefined> {
    try {
      return await statNamespace(this.#engine, name);
    } catch (error) {
      if (isMvfuseError(error, 'NOT_FOUND') || isMvfuseError(error, 'INVALID_ARGUMENT')) return undefined;
      throw error;
    }
  }

  /** Whether there is one whose name begins with `prefix`. */
  hasNamespaces(prefix: string): Promise<boolean> {
    return hasNamespaces(this.#engine, prefix);
  }

  /** All of them, or those whose names begin with `prefix`, ascending by the UTF-8 bytes of their names. */
  listNamespaces(prefix?: string): Promise<NamespaceInfo[]> {
    return listNamespaces(this.#engine, prefix);
  }

  /**
   * With `replace`, a namespace that has the new name is dropped at the same moment. A rename onto itself changes nothing.
   * @throws INVALID_ARGUMENT; NOT_FOUND; CONFLICT when the name means another namespace than `expected`; ALREADY_EXISTS
   *   unless `replace`; BUSY while one of the two is locked
   */
  renameNamespace(name: string, newName: string, options?: RenameOptions): Promise<RenamedNamespace> {
    return this.#naming((context) => renameNamespace(context, name, newName, options));
  }

  /**
   * Takes the name from a namespace, and nothing else: who has it open goes on, also writing. It can be brought back for
   * UNDELETE_MS at least; then a round of retention removes it, once nobody reads it and no fork goes on from it.
   * @throws NOT_FOUND; CONFLICT when the name means another namespace than `expected`; BUSY while it is locked
   */
  dropNamespace(name: string, options?: DropOptions): Promise<NamespaceId> {
    return this.#naming((context) => dropNamespace(context, name, options));
  }

  /**
   * Gives a dropped namespace a name again, with all that was committed to it meanwhile.
   * @throws INVALID_ARGUMENT; NOT_FOUND saying what there is; ALREADY_EXISTS when the name is another's now
   */
  undeleteNamespace(name: string, options?: UndeleteOptions): Promise<NamespaceInfo> {
    return this.#naming((context) => undeleteNamespace(context, name, options));
  }

  /** Those that can be brought back, the last one dropped first; all of them, or those whose names begin with `prefix`. */
  listDropped(prefix?: string): Promise<DroppedNamespace[]> {
    return listDropped(this.#engine, prefix);
  }

  /** @throws NOT_FOUND */
  statDropped(namespace: NamespaceId): Promise<DroppedNamespace> {
    return statDropped(this.#engine, namespace);
  }

  /** What is kept of a namespace besides its pages. @throws NOT_FOUND */
  details(namespace: NamespaceId): Promise<NamespaceDetails> {
    return this.#engine.read(async (transaction) => {
      const [info, meta, outlook, tags, forks, policy, { lock }] = await Promise.all([
        readInfo(transaction, namespace),
        readMeta(transaction, namespace),
        this.retention.outlook(transaction, namespace),
        listTags(transaction, namespace),
        readForks(transaction, namespace),
        readDefaultPolicy(transaction),
        this.#heads.look(transaction, namespace),
      ]);
      const own = meta.retention;
      return { ...info, ...outlook, retention: own ?? policy, hasOwnRetention: own !== undefined, tags, forks, lock };
    });
  }

  /** The namespace's own policy; undefined: the store's. @throws INVALID_ARGUMENT, NOT_FOUND */
  async setRetention(namespace: NamespaceId, policy: RetentionPolicy | undefined): Promise<void> {
    if (policy !== undefined) validatePolicy(policy);
    await changeMeta(this.#engine, namespace, ({ retention: _, ...meta }) => ({
      ...meta,
      ...(policy === undefined ? {} : { retention: policy }),
    }));
  }

  /** BLAKE3 of the secret that a mount must present, 64 hex digits; undefined where it needs none. @throws NOT_FOUND */
  async accessProof(namespace: NamespaceId): Promise<string | undefined> {
    return (await this.#engine.read((transaction) => readMeta(transaction, namespace))).accessProof;
  }

  /** @throws INVALID_ARGUMENT, NOT_FOUND */
  async setAccessProof(namespace: NamespaceId, proof: string | undefined): Promise<void> {
    if (proof !== undefined && !/^[0-9a-f]{64}$/.test(proof))
      throw new MvfuseError('INVALID_ARGUMENT', 'an access proof is the BLAKE3 of a secret: 64 hex digits');
    await changeMeta(this.#engine, namespace, ({ accessProof: _, ...meta }) => ({
      ...meta,
      ...(proof === undefined ? {} : { accessProof: proof }),
    }));
  }

  /** Permission bits as the last look at the namespace found them; undefined before the first one. */
  mode(namespace: NamespaceId): number | undefined {
    return this.#heads.mode(namespace);
  }

  /**
   * Permission bits, 0 to 0o777; undefined: what each mount says. Durable when it resolves. Other hosts see them when they
   * look at the namespace the next time.
   * @throws INVALID_ARGUMENT, NOT_FOUND
   */
  async setMode(namespace: NamespaceId, mode: number | undefined): Promise<void> {
    requireMode(mode);
    const change = ({ mode: _, ...meta }: NamespaceMeta) => ({ ...meta, ...(mode === undefined ? {} : { mode }) });
    await this.#naming(({ engine, askLease }) => changeMeta(engine, namespace, change, askLease));
    // From now on they are shown here.
    await this.#heads.state(namespace);
  }

  /**
   * Removes a namespace for good, also one that was dropped: by its name, where no other has that, or by name and `id`.
   * Nobody can read it when this resolves; what it took is freed by retention.run() or purge().
   * @throws NOT_FOUND; CONFLICT while forks go on from it, and when several were dropped by the name; BUSY while it is
   *   locked, or is read and not `force`
   */
  async removeNamespace(
    name: string,
    { force = false, id: wanted }: { readonly force?: boolean; readonly id?: NamespaceId | undefined } = {},
  ): Promise<NamespaceId> {
    const open = (namespace: NamespaceId) => this.retention.open(namespace);
    const id = await removeNamespace(this.#engine, { name, id: wanted, force, open });
    this.#heads.forget(id);
    return id;
  }

  /**
   * A namespace that begins with a version of another one and shares its pages.
   * @throws INVALID_ARGUMENT, NOT_FOUND, GONE, ALREADY_EXISTS; LIMIT where `isForkedOut`
   */
  forkNamespace(source: NamespaceId, version: Version, name: string): Promise<NamespaceInfo> {
    return this.#holding(source, (open) =>
      forkNamespace(this.#engine, { source, version, name, nowMs: this.#nowMs(), open }),
    );
  }

  /** Whether a fork of the namespace would be more than FORK_LEVELS_MAX deep. @throws NOT_FOUND */
  isForkedOut(namespace: NamespaceId): Promise<boolean> {
    return isForkedOut(this.#engine, namespace);
  }

  // --- moments

  /** The store's clock: ms since 1970. */
  nowMs(): number {
    return this.#nowMs();
  }

  /** The version at a moment. @throws NOT_FOUND, GONE */
  async resolve(namespace: NamespaceId, moment: Moment): Promise<Head> {
    const { head, lock } = await this.#heads.state(namespace);
    if (moment.kind === 'latest' && lock === undefined) return head;
    const query = { namespace, moment, nowMs: this.#nowMs(), open: this.retention.open(namespace), lock };
    return this.#engine.read((transaction) => resolveMoment(transaction, query));
  }

  /** The newest version at or before a time, and the oldest after it. */
  timePoints(namespace: NamespaceId, timeMs: number): ReturnType<typeof readTimePoints> {
    return this.#engine.read((transaction) => readTimePoints(transaction, namespace, timeMs));
  }

  /**
   * Keeps a version readable until `close` is called. The newest version can be opened like any other.
   * @throws NOT_FOUND, GONE
   */
  async openVersion(namespace: NamespaceId, version: Version): Promise<OpenVersion> {
    const opened = this.#openVersions;
    const open = async (): Promise<Head> => {
      const head = await this.resolve(namespace, { kind: 'version', version });
      opened.add(namespace, version);
      return head;
    };
    if (this.#leases === undefined) {
      const head = await opened.exclusively(open);
      return { head, close: () => opened.remove(namespace, version) };
    }
    const head = await open();
    const close = (): void => opened.remove(namespace, version);
    try {
      if (await this.#leases.pin(namespace, version)) return { head, close };
    } catch (error) {
      close();
      throw error;
    }
    close();
    throw new MvfuseError('GONE', `version ${version} was removed`);
  }

  listTags(namespace: NamespaceId): Promise<Tag[]> {
    return this.#engine.read((transaction) => listTags(transaction, namespace));
  }

  /** @throws INVALID_ARGUMENT for a name, NOT_FOUND, GONE, ALREADY_EXISTS unless `move`, LIMIT */
  addTag(namespace: NamespaceId, name: string, version: Version, options: { move?: boolean } = {}): Promise<Tag> {
    const { move = false } = options;
    return this.#holding(namespace, (open) =>
      addTag(this.#engine, { namespace, name, version, nowMs: this.#nowMs(), move, open }),
    );
  }

  /** @throws NOT_FOUND */
  removeTag(namespace: NamespaceId, name: string): Promise<void> {
    return removeTag(this.#engine, namespace, name);
  }

  // --- maintenance locks

  /**
   * The head and the maintenance lock that are there now, what the namespace is called, and its mode. Of a name or mode
   * that another host changes, who has the write lease hears as soon as nothing is being written here.
   * @throws NOT_FOUND
   */
  state(namespace: NamespaceId): Promise<NamespaceState> {
    return this.#heads.state(namespace);
  }

  /** The lock that is there now. */
  async maintenanceLock(namespace: NamespaceId): Promise<MaintenanceLock | undefined> {
    return (await this.state(namespace)).lock;
  }

  /**
   * To be called by who may write the namespace: with its write lock, and its lease.
   * @param version what the others read; the head when it is left out
   * @throws BUSY while another owner has it; INVALID_ARGUMENT, NOT_FOUND, GONE
   */
  async lockNamespace(namespace: NamespaceId, owner: string, version?: Version): Promise<MaintenanceLock> {
    const lock = await this.#holding(namespace, (open) =>
      setLock(this.#engine, { namespace, owner, version, nowMs: this.#nowMs(), open }),
    );
    this.#heads.rememberLock(namespace, lock);
    return lock;
  }

  /** To be called as lockNamespace. @throws CONFLICT when `owner` does not have it */
  async unlockNamespace(namespace: NamespaceId, owner: string): Promise<void> {
    await this.#holding(namespace, async () => {
      const { lock } = await this.state(namespace);
      await clearLock(this.#engine, namespace, owner);
      if (lock !== undefined) this.#openVersions.keep(namespace, lock.version);
    });
    this.#heads.rememberLock(namespace, undefined);
  }

  // --- pages

  /** The newest commit's: no older than any that was answered before the call. @throws NOT_FOUND */
  head(namespace: NamespaceId): Promise<Head> {
    return this.#heads.newest(namespace);
  }

  /** What `owner` reads as the newest: while another has a maintenance lock, what that one shows. @throws NOT_FOUND */
  async headFor(namespace: NamespaceId, owner: string | undefined): Promise<Head> {
    const { head, lock } = await this.#heads.state(namespace);
    if (lock === undefined || lock.owner === owner || lock.version === head.version) return head;
    // The lock holds it.
    return (await this.headAt(namespace, lock.version))!;
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
   * Keeps what a mount reads, here and among those who share the store. `versions` is asked now and then; to be called once.
   */
  pinSnapshots(versions: () => Iterable<readonly [NamespaceId, Version]>): void {
    this.#openVersions.setMount(versions);
    this.#leases?.appear();
  }

  /** Who shares the store; undefined where this process alone has it. */
  async hosts(): Promise<HostStatus[] | undefined> {
    return this.#leases && readHosts(this.#engine, this.#leases.daemon);
  }

  /** See Engine.cluster. */
  async cluster(): Promise<ClusterStatus | undefined> {
    return this.#engine.cluster?.();
  }

  /** Pages that were asked for since the store was opened: those that were in memory, and the others. */
  get pageCounts(): { readonly hits: number; readonly misses: number } {
    return this.#reader.counts;
  }

  /** How many write leases this process has; undefined where it has the store alone. */
  get leaseCount(): number | undefined {
    return this.#leases?.count;
  }

  /** How long others that share the store have seen nothing of this daemon; undefined without others, and without a mount. */
  get signOfLife(): SignOfLife | undefined {
    return this.#leases?.signOfLife;
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
    return this.#track(
      this.#observer === undefined ? this.#commit(requests) : this.#observed(requests, this.#observer),
    );
  }

  /** The pages that differ between two versions, both committed here not long ago; otherwise 'all'. */
  changedBetween(namespace: NamespaceId, from: Version, to: Version): ReadonlySet<PageNumber> | 'all' {
    return this.#changes.between(namespace, from, to);
  }

  /** What the page cache holds. */
  get cacheUsage(): { pages: number; bytes: number; bytesMax: number } {
    return this.#cache.usage;
  }

  /** Every page that may not be the same in two versions, the older one first; see changedPages. */
  changedPages(namespace: NamespaceId, from: Head, to: Head): Promise<Set<PageNumber> | 'all'> {
    return changedPages(this.#engine, namespace, from, to);
  }

  /** Commits of the namespace that can be read, the newest first; all of them without a limit. */
  async log(namespace: NamespaceId, options: LogOptions = {}): Promise<Array<LogEntry & Partial<Change>>> {
    const { limit, after = ZERO_VERSION, pages = false } = options;
    const { begin, end } = logRangeAfter(namespace, after);
    const range = { reverse: true, ...(limit === undefined ? {} : { limit }) };
    return this.#engine.read(async (transaction) => {
      const [entries, { truncatedBefore, held }] = await Promise.all([
        transaction.getRange(begin, end, range),
        this.retention.outlook(transaction, namespace),
      ]);
      const kept = new Set(held.map(({ version }) => version));
      return entries
        .map(({ key, value }) => {
          const [version, change] = [versionOfKey(key), decodeChange(value)];
          return pages ? { version, ...change } : toLogEntry(version, change);
        })
        .filter(({ version }) => version >= truncatedBefore || kept.has(version));
    });
  }

  /** Commits after `version` that can be read, the oldest first; CHANGES_READ_MAX at a time, none when there are no more. */
  async changesAfter(namespace: NamespaceId, version: Version): Promise<Change[]> {
    for (let after = version; ; ) {
      const { changes, last } = await this.#readableAfter(namespace, after);
      // All of those may have been removed, and not be collected yet: there are more behind them.
      if (changes.length > 0 || last === undefined) return changes;
      after = last;
    }
  }

  /** Some commits after `version` that can be read, and the last one that was looked at. */
  async #readableAfter(
    namespace: NamespaceId,
    version: Version,
  ): Promise<{ changes: Change[]; last: Version | undefined }> {
    const { begin, end } = logRangeAfter(namespace, version);
    return this.#engine.read(async (transaction) => {
      const [entries, { truncatedBefore, held }, { parent }] = await Promise.all([
        transaction.getRange(begin, end, { limit: CHANGES_READ_MAX }),
        this.retention.outlook(transaction, namespace),
        readMeta(transaction, namespace),
      ]);
      const kept = new Set(held.map((hold) => hold.version));
      const changes: Change[] = entries.map(({ key, value }) => ({
        version: versionOfKey(key),
        ...decodeChange(value),
      }));
      const isFirst = ({ version: of }: Change) =>
        parent !== undefined && version === ZERO_VERSION && of === changes[0]?.version;
      const readable = changes
        .filter((change) => change.version >= truncatedBefore || kept.has(change.version))
        .map((change) => {
          const afterGap = change.version <= truncatedBefore || isFirst(change);
          return afterGap ? { ...change, pages: undefined, afterGap } : change;
        });
      return { changes: readable, last: changes.at(-1)?.version };
    });
  }

  /** Gives space that is no longer used back to the disk, where the engine can; the bytes. */
  async reclaim(): Promise<number> {
    return (await this.#engine.reclaim?.()) ?? 0;
  }

  /** Waits for the commits under way, at most STORE_CLOSE_WAIT_MS_MAX, passes its leases on, then closes the engine. */
  close(): Promise<void> {
    this.#closing ??= this.#finish();
    return this.#closing;
  }

  async #finish(): Promise<void> {
    await settledWithin([this.retention.stop()], STORE_CLOSE_WAIT_MS_MAX);
    await settledWithin(this.#running, STORE_CLOSE_WAIT_MS_MAX);
    if (this.#leases !== undefined) await settledWithin([this.#leases.close()], STORE_CLOSE_WAIT_MS_MAX);
    await this.#engine.close();
  }

  async #observed(requests: readonly CommitRequest[], observer: StoreObserver): Promise<Commit[]> {
    const startMs = performance.now();
    try {
      const commits = await this.#commit(requests);
      const done = commits.map((commit, index) => ({ namespace: requests[index]!.namespace, commit }));
      observer.committed(done, performance.now() - startMs);
      return commits;
    } catch (error) {
      observer.failed('commit', isMvfuseError(error) ? error.code : 'INTERNAL');
      throw error;
    }
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
      observer: this.#observer,
      lockOf: (namespace) => this.writeLock(namespace),
      snapshots: () => this.#openVersions.all(),
      look: (transaction, namespace) => this.#heads.look(transaction, namespace),
      takeIn: (namespace, update) => this.#heads.takeIn(namespace, update, true),
      onTaken: (namespace, token) => {
        const collecting = listOutlivedStages(this.#engine, namespace, token).then((stages) => this.#collect(stages));
        // What is left is found by whoever gets the lease next.
        this.#track(collecting).catch(() => {});
      },
    });
  }

  /**
   * Runs what holds a version that perhaps only a reader in this process holds so far: it may let go at any moment, but
   * no collection decides before that version is held in the store.
   */
  #holding<T>(namespace: NamespaceId, hold: (open: readonly Version[]) => Promise<T>): Promise<T> {
    const run = (): Promise<T> => hold(this.retention.open(namespace));
    return this.#leases === undefined ? this.#openVersions.exclusively(run) : run();
  }

  /** Runs what changes the names or modes of namespaces; afterwards none of those is remembered. */
  async #naming<T>(change: (context: NamingContext) => Promise<T>): Promise<T> {
    const touched = new Set<NamespaceId>();
    const askLease = async (transaction: Transaction, namespace: NamespaceId): Promise<void> => {
      touched.add(namespace);
      await this.#leases?.ask(transaction, namespace);
    };
    try {
      return await change({ engine: this.#engine, nowMs: this.#nowMs(), askLease });
    } finally {
      // Also when nobody knows whether it was done.
      for (const namespace of touched) this.#heads.forgetName(namespace);
    }
  }

  #nowMs(): number {
    return Math.floor(this.#clock());
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

/** @throws INVALID_ARGUMENT */
function requireMode(mode: number | undefined): void {
  if (mode === undefined || (Number.isInteger(mode) && mode >= 0 && mode <= 0o777)) return;
  throw new MvfuseError('INVALID_ARGUMENT', 'a mode is the sum of permission bits, 0 to 0o777');
}
