// Programs that open a database without SQLite's locks: cp, cat, dd, rsync, and SQLite itself with nolock=1.
//
// A reader sees the version that was newest when it opened the file; SQLite's own cache check (bytes 24-39) moves it
// on. A writer holds the namespace's write lock from its first change on; what it wrote becomes one commit when it
// closes the file and the content is a whole database, or at the latest when its last handle is gone. A database
// that is cut off in the middle is never committed, nor is anything of which a write was refused. SQLite without locks
// commits as with them: at an fsync, or when it finalises its journal; what it leaves behind with a hot journal is
// discarded.

import { PAGE_BYTES_MIN } from '../limits.js';
import { CHANGE_COUNTER_AT, exceedsStated, HEADER_BYTES, isWhole, readHeader } from '../sqlite/header.js';
import type { Head } from '../store/types.js';
import type { Writer } from '../store/write-lock.js';
import type { Version } from '../version.js';
import { type Author, planCommit } from './commit-plan.js';
import type { DatabaseVersion } from './database-version.js';
import { RequestError } from './errno.js';
import { EVERYTHING, type KernelCache } from './kernel-cache.js';
import { commitTogether, type MountedFile } from './mounted-file.js';
import type { Caller } from './node.js';
import { Overlay } from './overlay.js';

/** The read by which SQLite asks whether its cache is still valid: change counter to free-list count. */
const CACHE_CHECK_BYTES = 16;

export interface PlainHandle {
  readonly readable: boolean;
  readonly writable: boolean;
  /** Every write goes to the end, wherever the kernel believes that to be. */
  readonly append: boolean;
  /** Reads through the kernel's cache. */
  readonly cached: boolean;
  /** Of a handle that is not cached. */
  pinned: DatabaseVersion | undefined;
}

export class PlainAccess implements Writer {
  readonly file: MountedFile;
  /** The thread that began to write. */
  pid: number | undefined;
  readonly #cache: KernelCache;
  readonly #journalHot: () => Promise<boolean>;
  readonly #handles = new Map<number, PlainHandle>();
  /** What handles that go through the kernel's cache read. */
  #cached: DatabaseVersion | undefined;
  #base: DatabaseVersion | undefined;
  #dirty: Overlay | undefined;
  /** A write was refused: what there is now is part old, part new. */
  #spoiled = false;

  /** @param journalHot whether SQLite would roll back from the rollback journal beside the database */
  constructor(file: MountedFile, cache: KernelCache, journalHot: () => Promise<boolean>) {
    this.file = file;
    this.#cache = cache;
    this.#journalHot = journalHot;
  }

  get writing(): boolean {
    return this.#dirty !== undefined;
  }

  /** @param mode `moves`: no transaction needs what is cached */
  async open(fh: number, mode: Omit<PlainHandle, 'pinned'> & { readonly moves: boolean }): Promise<void> {
    const newest = await this.file.newest();
    if (mode.cached && mode.moves) {
      await this.#cache.moveUnlocked(newest.head.version);
      // The first read without locks must be seen here, and so must the next cache check.
      await this.#cache.drop([{ offset: 0, length: HEADER_BYTES }]);
      this.#cached = newest;
    }
    this.#handles.set(fh, { ...mode, pinned: mode.cached ? undefined : newest });
  }

  /** The versions that are being read. */
  get versions(): Version[] {
    const pinned = [...this.#handles.values()].map((handle) => this.#pinned(handle));
    return [...pinned, this.#base].flatMap((version) => (version === undefined ? [] : [version.head.version]));
  }

  /** Lets readers see the newest version at their next read: a transaction of this connection has ended. */
  unpin(): void {
    this.#cached = undefined;
    for (const handle of this.#handles.values()) handle.pinned = undefined;
  }

  /** What stat shows: the dirty set, or the head as below. */
  async state(): Promise<{ sizeBytes: number; timeMs: number }> {
    const { sizeBytes, timeMs } = await this.head();
    return { sizeBytes: this.#dirty?.sizeBytes ?? sizeBytes, timeMs };
  }

  /** The version that is written to, that the handle opened last reads, or the newest. */
  async head(): Promise<Head> {
    const handle = [...this.#handles.values()].at(-1);
    return (this.#base ?? this.#pinned(handle) ?? (await this.file.newest())).head;
  }

  async pieces(fh: number, offset: number, length: number): Promise<Buffer[]> {
    if (this.#dirty !== undefined) return [await this.#dirty.read(offset, length)];
    const handle = this.#handle(fh);
    if (handle.cached) return this.#cachedPieces(offset, length);
    const cacheCheck = offset === CHANGE_COUNTER_AT && length === CACHE_CHECK_BYTES;
    if (handle.pinned === undefined || cacheCheck) handle.pinned = await this.file.newest();
    return handle.pinned.pieces(offset, length);
  }

  /** All that goes through the cache sees one version, which moves on with a read of the change counter. */
  async #cachedPieces(offset: number, length: number): Promise<Buffer[]> {
    if (this.#cached === undefined || asksForChanges(offset, length)) {
      const newest = await this.file.newest();
      if (this.#cached === undefined || isDatabaseNow(this.#cached, newest)) {
        await this.#cache.moveUnlocked(newest.head.version, { offset, length });
        this.#cached = newest;
      }
    }
    return this.#cached.pieces(offset, length);
  }

  async write(fh: number, offset: number, data: Buffer, caller: Caller): Promise<void> {
    await this.#beginWriting(fh, caller);
    this.#cache.filled(this.#base!.head.version);
    await this.#change(async (dirty) => {
      const at = this.#handle(fh).append ? dirty.sizeBytes : offset;
      this.#requireRoom(dirty.heldBytes + data.length);
      await dirty.write(at, data);
    });
  }

  /** @param fh undefined for truncate(2) by path, which is a commit of its own when nobody has the file open */
  async truncate(fh: number | undefined, sizeBytes: number, caller: Caller): Promise<void> {
    await this.#beginWriting(fh, caller);
    await this.#change((dirty) => dirty.truncate(sizeBytes));
    if (fh === undefined && !this.#anyWriter()) await this.#finish();
  }

  /** fsync: commits what is whole. @throws EIO for half a database, which must not become a version */
  async sync(): Promise<void> {
    await this.#discardUntouched();
    if (this.#dirty === undefined) return this.file.ensureMade();
    const isSqlite = await this.#journalHot();
    if (!isSqlite && !(await this.#whole()) && !(await this.#foreign())) {
      this.file.log.warn('fsync of an incomplete database refused: nothing is committed before it is whole');
      throw new RequestError('EIO');
    }
    // SQLite cuts the file after its commit.
    await this.#commit(isSqlite ? 'sqlite' : 'copy');
  }

  /**
   * close(2) of one descriptor: commits a database that is whole, and what is none.
   * @param deliberate whether it is not that of a process that was killed
   */
  async flush(deliberate: boolean): Promise<void> {
    if (!(await this.#journalHot())) await this.#commitWhole(deliberate);
  }

  /** SQLite is about to finalise its journal: with synchronous=OFF its commit. */
  async journalFinalised(): Promise<void> {
    await this.#commitWhole(false);
  }

  /**
   * A database that is replaced is cut to nothing first, so of what follows something must have been written. What is left
   * of a file that is new and no whole database is what its writer wants it to be, if that could still say so.
   */
  async #commitWhole(deliberate: boolean): Promise<void> {
    await this.#discardUntouched();
    const dirty = this.#dirty;
    if (dirty === undefined) return;
    const base = this.#base!;
    const begun = base.header === undefined || dirty.sizeBytes >= PAGE_BYTES_MIN;
    const created = deliberate && base.sizeBytes === 0 && dirty.sizeBytes > 0;
    const complete = created || (await this.#whole()) || (begun && (await this.#foreign()));
    if (complete || (deliberate && (await this.#longer()))) await this.#commit('copy');
  }

  async release(fh: number): Promise<void> {
    this.#handles.delete(fh);
    if (this.writing && !this.#anyWriter()) await this.#finish();
  }

  async #change(change: (dirty: Overlay) => Promise<void>): Promise<void> {
    try {
      await change(this.#dirty!);
    } catch (error) {
      this.#spoiled = true;
      // truncate(2) by path closes nothing.
      if (!this.#anyWriter()) await this.#discard();
      throw error;
    }
  }

  /** @throws ENOSPC */
  #requireRoom(heldBytes: number): void {
    this.#dirty!.requireRoom(heldBytes);
    this.file.space.hold(this, heldBytes);
  }

  #handle(fh: number): PlainHandle {
    const handle = this.#handles.get(fh);
    if (handle === undefined) throw new RequestError('EBADF');
    return handle;
  }

  #pinned(handle: PlainHandle | undefined): DatabaseVersion | undefined {
    return handle?.cached === true ? this.#cached : handle?.pinned;
  }

  #anyWriter(): boolean {
    return [...this.#handles.values()].some((handle) => handle.writable);
  }

  async #beginWriting(fh: number | undefined, caller: Caller): Promise<void> {
    if (this.#dirty !== undefined) return;
    await this.#acquire(caller);
    try {
      await this.file.acquireLease();
      const newest = await this.file.newest();
      const handle = fh === undefined ? undefined : this.#handle(fh);
      // Whoever reads before it writes goes on from what it read; the commit finds out whether that is still the head.
      this.#base = handle?.readable === true ? (this.#pinned(handle) ?? newest) : newest;
      const base = this.#base;
      this.#dirty = new Overlay(
        {
          sizeBytes: base.sizeBytes,
          read: async (offset, length) => Buffer.concat(await base.pieces(offset, length)),
        },
        this.file.spill,
      );
    } catch (error) {
      this.file.writeLock.release(this);
      throw error;
    }
  }

  async #acquire(caller: Caller): Promise<void> {
    this.pid = caller.pid;
    if (!this.file.writeLock.tryAcquire(this)) await this.file.writerWaits.during(() => this.#waitForLock(caller));
  }

  async #waitForLock({ signal }: Caller): Promise<void> {
    const { writeLock, writerWaits } = this.file;
    const deadlineMs = this.file.nowMs() + writerWaits.waitMsMax;
    while (!writeLock.tryAcquire(this)) {
      const leftMs = deadlineMs - this.file.nowMs();
      if (signal.aborted) throw new RequestError('EINTR');
      if (leftMs <= 0) throw writerWaits.timedOut();
      // A reservation runs out without waking anybody.
      await writeLock.released.wait(Math.min(leftMs, 20), signal);
    }
  }

  /** Magic, and the size that page 1 states. */
  async #whole(): Promise<boolean> {
    const header = readHeader(await this.#dirty!.read(0, HEADER_BYTES));
    return header !== undefined && isWhole(header, this.#dirty!.sizeBytes);
  }

  /**
   * Longer than page 1 states: a new copy of a database that a transaction was making longer, whose journal comes with it, or
   * one to which something was appended. What a copy broke off has is shorter, or lies over what was there before.
   */
  async #longer(): Promise<boolean> {
    const header = readHeader(await this.#dirty!.read(0, HEADER_BYTES));
    if (header?.pageCount === undefined || !exceedsStated(header, this.#dirty!.sizeBytes)) return false;
    const { sizeBytes, header: before } = this.#base!;
    return sizeBytes === 0 || (before?.pageCount === header.pageCount && before.pageBytes === header.pageBytes);
  }

  /** No SQLite database at all: any bytes are as good as any others. */
  async #foreign(): Promise<boolean> {
    return readHeader(await this.#dirty!.read(0, HEADER_BYTES)) === undefined;
  }

  /** Nobody can write any more: commits what may be a version, and gives up the rest. */
  async #finish(): Promise<void> {
    try {
      if (this.#spoiled) this.file.log.warn('a copy of which a write was refused is discarded');
      else if (await this.#journalHot())
        this.file.log.warn('a transaction without locks is discarded: it has not ended');
      else if (this.#dirty!.touched) {
        if ((await this.#whole()) || (await this.#foreign()) || (await this.#longer())) await this.#commit('copy');
        else this.file.log.warn('an incomplete copy of a database is discarded: its size is not what page 1 states');
      }
    } finally {
      await this.#discard();
    }
  }

  async #commit(author: Author): Promise<void> {
    const plan = await planCommit(this.file.namespace, this.#base!, this.#dirty!, author);
    if (plan.request !== undefined) {
      // SQLite without locks writes the old pages back: then nothing is left to commit, and all is well again.
      if (this.#spoiled) throw new RequestError('EIO', 'a write was refused');
      const [head] = await commitTogether([{ file: this.file, request: plan.request }]);
      const version = this.file.committed(head!, plan.storedHeader);
      for (const handle of this.#handles.values()) handle.pinned = version;
      this.#cached = version;
    }
    await this.#discard();
  }

  /** Others need not wait for who has changed nothing: an empty file was cut to nothing. */
  async #discardUntouched(): Promise<void> {
    if (this.#dirty?.touched === false && !this.#spoiled) await this.#discard();
  }

  async #discard(): Promise<void> {
    const dirty = this.#dirty;
    this.#dirty = undefined;
    this.#base = undefined;
    this.#spoiled = false;
    this.file.writeLock.release(this);
    this.file.space.release(this);
    await dirty?.dispose();
    await this.#cache.drop(EVERYTHING);
  }
}

function asksForChanges(offset: number, length: number): boolean {
  return offset <= CHANGE_COUNTER_AT && offset + length > CHANGE_COUNTER_AT;
}

/**
 * Other bytes have no change counter. The kernel would also read on with the size that it remembers, and put zeros
 * where a newer version has ended.
 */
function isDatabaseNow(before: DatabaseVersion, now: DatabaseVersion): boolean {
  return now.header !== undefined && (before.header !== undefined || before.sizeBytes === 0);
}
