// One namespace as it is mounted: its name in the directory, its head, its write lock, its commits.

import type { Logger } from 'pino';
import { isMvfuseError } from '../errors.js';
import type { Moment } from '../moment.js';
import type { MountObserver } from '../observers.js';
import type { Header } from '../sqlite/header.js';
import type { NamespaceState } from '../store/heads.js';
import { LOCK_PREFIX, lockedError } from '../store/maintenance-lock.js';
import { emptyHead } from '../store/namespaces.js';
import type { PageStore } from '../store/page-store.js';
import type { Commit, CommitRequest, Head, NamespaceId } from '../store/types.js';
import type { WriteLock, Writer } from '../store/write-lock.js';
import type { Version } from '../version.js';
import { DatabaseVersion } from './database-version.js';
import type { DirtyBudget } from './dirty-budget.js';
import { type ForeignJournal, findForeignJournal } from './foreign-journal.js';
import { type ByteRange, EVERYTHING, rangesOfPages } from './kernel-cache.js';
import { commandOf } from './process-name.js';
import type { SpaceBudget } from './space-budget.js';
import type { WalSwitch } from './wal-switch.js';
import type { WriterWaits } from './writer-waits.js';

export interface MountedFileOptions {
  /** The file's name in the mounted directory. */
  readonly name: string;
  readonly namespace: NamespaceId;
  readonly namespaceName: string;
  /** Set where it is reached by the owner of a maintenance lock. */
  readonly owner?: string | undefined;
  readonly store: PageStore;
  readonly spill: DirtyBudget;
  readonly space: SpaceBudget;
  readonly writerWaits: WriterWaits;
  readonly log: Logger;
  readonly observer?: MountObserver | undefined;
  /** A monotonic clock in milliseconds. */
  readonly nowMs: () => number;
  /** Makes the namespace; left out where it is there. Until then it has an id, and no commit. */
  readonly make?: (file: MountedFile) => Promise<void>;
}

/** The holder of the write lock that a connection was told of. */
interface Told {
  readonly holder: Writer;
  readonly pid: number | undefined;
  readonly sinceMs: number;
}

/** Held longer than this, the write lock is worth a line however often its holder was named before. */
const HELD_LONG_MS = 1_000;

export class MountedFile {
  readonly namespace: NamespaceId;
  /** On behalf of whom it writes while the namespace is locked for maintenance. */
  readonly owner: string | undefined;
  readonly spill: DirtyBudget;
  readonly space: SpaceBudget;
  readonly writerWaits: WriterWaits;
  readonly writeLock: WriteLock;
  /** The newest version, if SQLite may have switched to a write-ahead log with it. */
  walSwitch: WalSwitch | undefined;
  readonly #options: MountedFileOptions;
  readonly #store: PageStore;
  readonly #nowMs: () => number;
  #name: string;
  #namespaceName: string;
  #log: Logger;
  #linked = true;
  /** Set while the namespace is not made yet. */
  #make: MountedFileOptions['make'];
  #making: Promise<void> | undefined;
  readonly #createdMs = Date.now();
  /** Of a namespace that is not made yet. */
  #modeToBe: number | undefined;
  #newest: DatabaseVersion | undefined;
  readonly #toldBusy = new WeakMap<Writer, Told>();

  constructor(options: MountedFileOptions) {
    this.#name = options.name;
    this.namespace = options.namespace;
    this.#namespaceName = options.namespaceName;
    this.#make = options.make;
    this.owner = options.owner;
    this.#options = options;
    this.spill = options.spill;
    this.space = options.space;
    this.writerWaits = options.writerWaits;
    this.#log = options.log.child({ namespace: options.namespaceName });
    this.writeLock = options.store.writeLock(options.namespace);
    this.#store = options.store;
    this.#nowMs = options.nowMs;
  }

  /** In the mounted directory; the last one it had when it is unlinked. */
  get name(): string {
    return this.#name;
  }

  get namespaceName(): string {
    return this.#namespaceName;
  }

  get log(): Logger {
    return this.#log;
  }

  /** Whether it has a name in the directory; otherwise only those who have it open reach it. */
  get linked(): boolean {
    return this.#linked;
  }

  /** Whether there is a namespace in the store. */
  get made(): boolean {
    return this.#make === undefined;
  }

  /** It has this name from now on. */
  link(name: string, namespaceName: string): void {
    this.#linked = true;
    this.#name = name;
    if (namespaceName === this.#namespaceName) return;
    this.#namespaceName = namespaceName;
    this.#log = this.#options.log.child({ namespace: namespaceName });
  }

  /** Its name is gone, or another file's. */
  unlink(): void {
    this.#linked = false;
  }

  /** As `linked`, where somebody else may have brought the namespace back. */
  async relinked(): Promise<boolean> {
    if (!this.#linked && this.made) await this.#follow();
    return this.#linked;
  }

  /** A command, or another host, may have dropped the namespace, or brought it back. */
  async #follow(): Promise<NamespaceState> {
    const state = await this.#store.state(this.namespace);
    if (state.dropped) this.unlink();
    else if (state.name === this.#namespaceName) this.#linked = true;
    return state;
  }

  /** Resolves when it is known whether the namespace is made. */
  async settled(): Promise<void> {
    await this.#making?.catch(() => undefined);
  }

  /**
   * Makes the namespace where there is none yet, and takes its lease: its first commit is about to come. The namespace is there
   * whatever becomes of the lease, without which nothing is committed.
   */
  async ensureMade(): Promise<void> {
    const make = this.#make;
    if (make === undefined) return;
    this.#making ??= make(this).finally(() => {
      this.#making = undefined;
    });
    await this.#making;
    this.#make = undefined;
    await this.#store.acquireLease(this.namespace, this.writerWaits.waitMsMax);
  }

  /**
   * Permission bits, as the last look at the namespace found them; undefined: those of the mount. Nothing is asked for: the
   * kernel lets nobody into the directory while it waits for what a name shows.
   */
  get mode(): number | undefined {
    return this.made ? this.#store.mode(this.namespace) : this.#modeToBe;
  }

  /** Durable when it resolves, once the namespace is made. */
  async setMode(mode: number): Promise<void> {
    await this.settled();
    if (this.made) await this.#store.setMode(this.namespace, mode);
    else this.#modeToBe = mode;
  }

  /**
   * Bytes are being copied in: a mode that was given before is not meant for good. rsync makes its file as mkstemp(3) does,
   * for itself alone, and says the mode that it is to have when it is whole.
   */
  forgetModeToBe(): void {
    this.#modeToBe = undefined;
  }

  /** The newest version, or what a maintenance lock shows instead. */
  async head(): Promise<Head> {
    return this.made ? this.#store.headFor(this.namespace, this.owner) : emptyHead(this.#createdMs);
  }

  /** The same database as the owner of its maintenance lock sees it; undefined where nobody of that name has one. */
  async ofLockOwner(owner: string): Promise<MountedFile | undefined> {
    if (!this.made) return undefined;
    const lock = await this.#store.maintenanceLock(this.namespace);
    if (lock?.owner !== owner) return undefined;
    const { name, namespaceName } = this;
    return new MountedFile({ ...this.#options, namespaceName, name: `${name}@${LOCK_PREFIX}${owner}`, owner });
  }

  /** A hot journal that somebody put beside it, for all connections. */
  async foreignJournal(): Promise<ForeignJournal | undefined> {
    return this.owner === undefined ? findForeignJournal(this.#store, this.#namespaceName) : undefined;
  }

  /** The version at a moment. @throws NOT_FOUND, GONE */
  resolve(moment: Moment): Promise<Head> {
    return this.#store.resolve(this.namespace, moment);
  }

  /** To be called with the write lock held: resolves with the head when nobody else can write. @throws BUSY */
  async acquireLease(): Promise<Head> {
    if (!this.made) return this.head();
    try {
      await this.#store.acquireLease(this.namespace, this.writerWaits.waitMsMax);
      const { head, lock } = await this.#follow();
      if (lock !== undefined && lock.owner !== this.owner) throw lockedError(this.namespaceName, lock);
      return head;
    } catch (error) {
      if (isMvfuseError(error, 'BUSY')) {
        this.log.info({ reason: error.message }, 'busy');
        this.#options.observer?.writerRefused(this.namespace, 'elsewhere');
      }
      throw error;
    }
  }

  /**
   * The newest version, ready to be read.
   * @param chosen hears at once which it is, so that it is kept from then on
   */
  async newest(chosen?: (version: Version) => void): Promise<DatabaseVersion> {
    const head = await this.head();
    chosen?.(head.version);
    if (this.#newest?.head.version !== head.version) {
      this.#newest = await DatabaseVersion.open(this.#store, this.namespace, head);
    }
    return this.#newest!;
  }

  /** The version that was just committed here, known without reading it back. */
  committed(head: Head, header: Header | undefined): DatabaseVersion {
    this.#newest = new DatabaseVersion(this.#store, this.namespace, head, header);
    return this.#newest;
  }

  /** A version whose bytes are only shown. */
  shown(head: Head): DatabaseVersion {
    return DatabaseVersion.shown(this.#store, this.namespace, head);
  }

  /** The bytes that differ between two versions; everything where that is not known. */
  changedBetween(from: Version, to: Version): readonly ByteRange[] {
    const pages = this.#store.changedBetween(this.namespace, from, to);
    return pages === 'all' || this.#newest === undefined
      ? EVERYTHING
      : rangesOfPages(pages, this.#newest.head.pageBytes);
  }

  /** The log line that every commit leaves. */
  logCommit(commit: Commit, ms: number): void {
    const { head, pageCount, bytes } = commit;
    this.log.info({ version: head.version, pages: pageCount, bytes, ms: Math.round(ms * 100) / 100 }, 'commit');
  }

  /** A connection came to write with a snapshot that is not the newest version any more. */
  countConflict(): void {
    this.#options.observer?.writerRefused(this.namespace, 'conflict');
  }

  /** Tells once for each holder whom a connection found in its way, and once each time that one stays there. */
  logBusy(asker: Writer, pid: number | undefined): void {
    const { holder, heldMs, heldSinceMs: sinceMs } = this.writeLock;
    this.#options.observer?.writerRefused(this.namespace, 'busy');
    if (holder === undefined) return;
    const told = this.#toldBusy.get(asker);
    const known = told?.holder === holder && told.pid === holder.pid;
    if (known && (heldMs < HELD_LONG_MS || told.sinceMs === sinceMs)) return;
    this.#toldBusy.set(asker, { holder, pid: holder.pid, sinceMs });
    const by = { pid: holder.pid, command: commandOf(holder.pid), heldMs: Math.round(heldMs) };
    this.log.info({ pid, command: commandOf(pid), holder: by }, 'busy');
  }

  get store(): PageStore {
    return this.#store;
  }

  nowMs(): number {
    return this.#nowMs();
  }
}

/** Commits the parts of several files of one store as one: all at the same version, or none. */
export async function commitTogether(
  parts: ReadonlyArray<{ readonly file: MountedFile; readonly request: CommitRequest }>,
): Promise<Head[]> {
  const { file } = parts[0]!;
  const startMs = file.nowMs();
  for (const part of parts) await part.file.ensureMade();
  const commits = await file.store.commit(parts.map((part) => part.request));
  for (const [index, commit] of commits.entries()) parts[index]!.file.logCommit(commit, file.nowMs() - startMs);
  return commits.map((commit) => commit.head);
}
