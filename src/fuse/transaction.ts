// One SQLite connection's transaction, as its requests show it: snapshot, dirty set, commit, doom.
//
//   idle ── begin ──▶ reading ── becomeWriter ──▶ writing ── sync / journalFinalised / downgrade: commit
//
// draining: a request of a commit was answered with an error, and what was written is discarded. SQLite now writes
//   the old pages back from its journal; such writes change nothing and succeed. It ends when that rollback does.
// dead: something else was written instead, or the rollback cannot be told from new writes. Nothing that changes
//   the database is answered with success until the locks are gone, so that no discarded page is acknowledged.
//
// Knows nothing of locks, handles or journal files: connection.ts calls it when those say so.

import { isMvfuseError } from '../errors.js';
import { CHANGE_COUNTER_AT, HEADER_BYTES, readHeader } from '../sqlite/header.js';
import type { Head } from '../store/types.js';
import type { Writer } from '../store/write-lock.js';
import type { Version } from '../version.js';
import { type CommitPlan, planCommit } from './commit-plan.js';
import type { DatabaseVersion } from './database-version.js';
import { LockHeldError, RequestError } from './errno.js';
import type { ByteRange, KernelCache } from './kernel-cache.js';
import { commitTogether, type MountedFile } from './mounted-file.js';
import { Overlay } from './overlay.js';
import { walSwitch } from './wal-switch.js';

/** What a connection is doing. */
export type Phase = 'idle' | 'reading' | 'writing' | 'draining' | 'dead';

/** What the journal files beside the database say; asked at the moments that need it. */
export interface JournalState {
  /** Whether SQLite would still roll back from the rollback journal. */
  hot(): Promise<boolean>;
  /** Whether the rollback journal names a super-journal that exists in this mount. */
  inSuperJournal(): Promise<boolean>;
}

export class Transaction implements Writer {
  readonly file: MountedFile;
  /** The process that wrote last, or is about to. */
  pid: number | undefined;
  readonly #journal: JournalState;
  readonly #cache: KernelCache;
  #phase: Phase = 'idle';
  #base: DatabaseVersion | undefined;
  /** What is about to be the base. */
  #chosen: Version | undefined;
  #dirty: Overlay | undefined;
  /**
   * Dirty sets that were committed with a smaller size, for what lies past it: SQLite cuts the file only after the
   * commit, and where it rolls back instead (another database of the transaction failed) it counts on the old end.
   */
  #cut: Overlay[] = [];
  /** Whether something was committed since this connection became the writer. */
  #committed = false;
  /** Nothing can be read any more. */
  #unreadable = false;
  /** The change counter that this connection is shown, and the version that it stands for. */
  #shown: { counter: number; version: Version } | undefined;

  constructor(file: MountedFile, journal: JournalState, cache: KernelCache) {
    this.file = file;
    this.#journal = journal;
    this.#cache = cache;
  }

  /** Whether a snapshot is pinned. */
  get active(): boolean {
    return this.#base !== undefined;
  }

  get writer(): boolean {
    return this.#dirty !== undefined;
  }

  get phase(): Phase {
    return this.#phase;
  }

  get dirtyBytes(): number {
    return this.#dirty?.heldBytes ?? 0;
  }

  get head(): Head | undefined {
    return this.#base?.head;
  }

  /** The version that is read here, or is about to be. */
  get version(): Version | undefined {
    return this.#base?.head.version ?? this.#chosen;
  }

  get sizeBytes(): number {
    return this.#dirty?.sizeBytes ?? this.#base?.sizeBytes ?? 0;
  }

  /** Pins the newest version. The shown counter moves exactly when the content did. */
  async begin(): Promise<void> {
    if (this.#base !== undefined) return;
    const base = await this.#pin();
    const { version } = base.head;
    if (this.#shown === undefined) this.#shown = { counter: base.header?.changeCounter ?? 0, version };
    else if (this.#shown.version !== version) this.#shown = { counter: (this.#shown.counter + 2) >>> 0, version };
    this.#base = base;
    this.#chosen = undefined;
    this.#phase = 'reading';
  }

  /** It is kept from the moment on at which it was the newest. */
  async #pin(): Promise<DatabaseVersion> {
    try {
      const base = await this.file.newest((version) => {
        this.#chosen = version;
      });
      await this.#cache.moveTo(base.head.version);
      return base;
    } catch (error) {
      this.#chosen = undefined;
      throw error;
    }
  }

  /** Takes the namespace's write lock. @throws EAGAIN when another holds it, or the snapshot is not the head */
  async becomeWriter(pid?: number): Promise<void> {
    if (this.#phase === 'dead') throw new RequestError('EAGAIN');
    if (this.writer) return;
    await this.begin();
    const { writeLock } = this.file;
    if (!writeLock.tryAcquire(this)) {
      this.file.logBusy(this, pid);
      throw new LockHeldError();
    }
    this.pid = pid;
    try {
      const head = await this.file.acquireLease();
      if (head.version !== this.#base!.head.version) {
        writeLock.releaseReserved(this);
        this.file.countConflict();
        throw new RequestError('EAGAIN', 'the snapshot is older than the head');
      }
    } catch (error) {
      writeLock.release(this);
      if (isMvfuseError(error, 'BUSY')) throw new LockHeldError();
      throw error;
    }
    this.#dirty = this.#overlay();
    this.#committed = false;
    this.#phase = 'writing';
  }

  async pieces(offset: number, length: number): Promise<Buffer[]> {
    if (this.#unreadable) throw new RequestError('EIO');
    this.#cache.filled(this.#base!.head.version);
    if (this.#dirty?.touched || this.#cut.length > 0) return [await this.#dirty!.read(offset, length)];
    return this.#base!.piecesWithCounter(offset, length, this.#shown!.counter);
  }

  async write(offset: number, data: Buffer): Promise<void> {
    this.#cache.filled(this.#base!.head.version);
    if (this.#phase === 'writing') {
      this.file.space.hold(this, this.#dirty!.heldBytes + data.length);
      return this.#dirty!.write(offset, data);
    }
    if (this.#phase === 'draining') {
      const before = Buffer.concat(await this.pieces(offset, data.length));
      if (before.equals(data)) return;
    }
    throw this.#die();
  }

  async truncate(sizeBytes: number): Promise<void> {
    if (this.#phase === 'writing') return this.#dirty!.truncate(sizeBytes);
    if (this.#phase === 'draining' && sizeBytes === this.sizeBytes) return;
    throw this.#die();
  }

  /** FSYNC of the database: commits, unless a super-journal will. */
  async sync(): Promise<void> {
    switch (this.#phase) {
      case 'writing':
        if (!this.#dirty!.touched || (await this.#journal.inSuperJournal())) return;
        // SQLite syncs at the end of a rollback, too.
        if (this.#committed || this.#base!.header === undefined || (await this.#marked())) await this.commit();
        return;
      case 'draining':
        // Without a journal file this ends SQLite's rollback: everything that it wrote since equals the base.
        if (!(await this.#journal.hot())) this.#phase = 'writing';
        return;
      case 'dead':
        throw new RequestError('EIO');
      default:
        return;
    }
  }

  /** Whether SQLite may keep a write-ahead log: under its exclusive lock, of a database whose header is plain. */
  get mayLog(): boolean {
    return this.#phase === 'writing' && this.#base!.header?.plain === true;
  }

  /** A transaction was completed in the write-ahead log: commits its pages, or nothing of them. */
  async commitLogged(pages: AsyncIterable<{ offset: number; data: Buffer }>, sizeBytes: number): Promise<void> {
    if (this.#phase !== 'writing') throw new RequestError('EIO');
    let ranges: readonly ByteRange[];
    try {
      for await (const { offset, data } of pages) await this.write(offset, data);
      await this.truncate(sizeBytes);
      ranges = this.#dirty!.ranges();
      await this.commit();
    } catch (error) {
      if (this.#phase === 'writing') await this.#reset();
      throw error;
    }
    await this.#cache.drop(ranges);
    if (this.#cache.broken) this.#die();
  }

  /** SQLite takes for rolled back what is committed: until it unlocks, it may not go on with what it has cached of that. */
  abandon(): void {
    this.#unreadable = true;
    this.#die();
  }

  /**
   * The journal is about to be finalised: the commit point with synchronous=OFF, and the end of a rollback.
   * @param foreign it takes back what another program left half done: what was written from it is to stay
   */
  async journalFinalised(foreign: boolean): Promise<void> {
    if (this.#phase === 'draining') this.#phase = 'writing';
    else if (foreign && this.prepared) await this.commit();
    else await this.#commitMarked();
  }

  /** A journal is about to be created or written. @throws EIO where a new transaction would be built on discarded pages */
  journalWritten(): void {
    if (this.#phase === 'draining' || this.#phase === 'dead') throw this.#die();
  }

  /** EXCLUSIVE to SHARED: the commit point with synchronous=OFF and a MEMORY or no journal. */
  async downgrade(): Promise<void> {
    if (this.#phase === 'draining') this.#phase = 'writing';
    try {
      await this.#commitMarked();
    } catch (error) {
      // SQLite takes the transaction for finished now, and its cache holds what is discarded here.
      this.#die();
      throw error;
    }
  }

  /**
   * RESERVED is gone. What SQLite let go without a commit point is discarded; so is everything of a client that died,
   * and of one that leaves a hot journal behind: it could not roll back and leaves that to whoever comes next.
   */
  async endWrite(byRequest: boolean): Promise<void> {
    if (!this.writer) return;
    if (byRequest && this.#phase === 'writing' && !(await this.#journal.hot())) {
      try {
        await this.#commitMarked();
      } catch (error) {
        this.file.log.error({ err: error }, 'a transaction was lost at its unlock: SQLite asks for no answer there');
      }
    }
    const dirty = this.#dirty!;
    this.#dirty = undefined;
    if (this.#phase !== 'dead') this.#phase = 'reading';
    this.file.writeLock.release(this);
    this.file.space.release(this);
    await this.#forgetCut();
    await this.#discard(dirty);
  }

  /** SHARED is gone. */
  async end(byRequest: boolean): Promise<void> {
    await this.endWrite(byRequest);
    this.#unreadable = false;
    this.#base = undefined;
    this.#phase = 'idle';
  }

  /** The connection is closed. */
  forget(): void {
    this.file.writeLock.forget(this);
  }

  /**
   * An error was answered to a request that was part of writing. What is not committed is discarded; after the commit
   * itself there is nothing to discard, and what SQLite writes back then is a transaction like any other.
   * @param failing the bytes of a failed WRITE: the kernel drops those itself, and waits for the answer to do so
   */
  async doom(failing?: ByteRange): Promise<void> {
    if (this.#phase !== 'writing') return;
    if (this.#committed && !this.#dirty!.touched) return;
    await this.#reset(failing);
    if (this.#phase === 'writing') this.#phase = 'draining';
  }

  /** What a commit of the dirty set would write now. */
  plan(): Promise<CommitPlan> {
    return planCommit(this.file.namespace, this.#base!, this.#dirty!, 'sqlite');
  }

  /** Whether there is a dirty set that may be committed. */
  get prepared(): boolean {
    return this.#phase === 'writing' && this.#dirty!.touched;
  }

  /** Commits the dirty set, if it differs from the base. */
  async commit(): Promise<void> {
    await commitTransactions([this]);
  }

  /** The dirty set is committed as `head` (undefined: it held nothing new). */
  async applied(plan: CommitPlan, head: Head | undefined): Promise<void> {
    const counterWritten = this.#dirty!.covers(0, HEADER_BYTES - 1) ? plan.header : undefined;
    if (head !== undefined) {
      this.file.walSwitch = walSwitch(this.#base!, head.version, this.#dirty!);
      this.#base = this.file.committed(head, plan.storedHeader);
    }
    const { version } = this.#base!.head;
    // SQLite still believes in the write-ahead log that it asked for; a moved counter makes it read page 1 again.
    const counter =
      counterWritten === undefined
        ? this.#shown!.counter
        : (counterWritten.changeCounter + (counterWritten.wantsWal ? 2 : 0)) >>> 0;
    this.#shown = { counter, version };
    this.#committed = true;
    this.#cache.committed(version);
    const dirty = this.#dirty!;
    const cuts = dirty.sizeBytes > this.#base!.sizeBytes;
    if (cuts) this.#cut.push(dirty);
    else await this.#forgetCut();
    this.#dirty = this.#overlay();
    this.file.space.release(this);
    if (!cuts) await dirty.dispose();
    if (counterWritten?.wantsWal === true) await this.#cache.drop([{ offset: 0, length: HEADER_BYTES }]);
  }

  async #forgetCut(): Promise<void> {
    for (const dirty of this.#cut.splice(0)) await dirty.dispose();
  }

  /** Commits where SQLite marked the dirty set as a finished transaction; otherwise it was rolled back: discards. */
  async #commitMarked(): Promise<void> {
    if (this.#phase !== 'writing' || !this.#dirty!.touched) return;
    if (this.#committed || (await this.#marked())) await this.commit();
    else await this.#reset();
  }

  /**
   * The commit marker: page 1 carries another change counter than the one shown. Only commits write that. Where page 1
   * is encrypted, each write of it gives other bytes; but only a commit writes it, or a rollback that has restored all.
   */
  async #marked(): Promise<boolean> {
    const dirty = this.#dirty!;
    if (!dirty.covers(0, HEADER_BYTES - 1)) return false;
    const after = await dirty.read(0, HEADER_BYTES);
    const before = await this.#read(0, Math.min(HEADER_BYTES, this.#base!.sizeBytes));
    if (after.length < HEADER_BYTES) return false;
    const clear = readHeader(before) !== undefined && readHeader(after) !== undefined;
    const [start, end] = clear ? [CHANGE_COUNTER_AT, CHANGE_COUNTER_AT + 4] : [0, HEADER_BYTES];
    return !after.subarray(start, end).equals(before.subarray(start, end));
  }

  /** The base as SQLite is shown it. */
  #read(offset: number, length: number): Promise<Buffer> {
    return this.#readOf(this.#base!, offset, length);
  }

  async #readOf(base: DatabaseVersion, offset: number, length: number): Promise<Buffer> {
    if (length === 0) return Buffer.alloc(0);
    const pieces = await base.piecesWithCounter(offset, length, this.#shown!.counter);
    return pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces);
  }

  /** On the base, and past its end on what was cut off there. */
  #overlay(): Overlay {
    const base = this.#base!;
    const { sizeBytes } = base;
    const cut = this.#cut.at(-1);
    const read = async (at: number, length: number): Promise<Buffer> => {
      const inBase = Math.max(0, Math.min(length, sizeBytes - at));
      const start = await this.#readOf(base, at, inBase);
      return cut === undefined || inBase === length
        ? start
        : Buffer.concat([start, await cut.read(at + inBase, length - inBase)]);
    };
    return new Overlay({ sizeBytes: cut?.sizeBytes ?? sizeBytes, read }, this.file.spill);
  }

  /** Throws the dirty set away for an empty one. */
  async #reset(failing?: ByteRange): Promise<void> {
    const dirty = this.#dirty!;
    this.#dirty = this.#overlay();
    this.file.space.release(this);
    await this.#discard(dirty, failing);
  }

  async #discard(dirty: Overlay, failing?: ByteRange): Promise<void> {
    const ranges = dirty.touched ? dirty.ranges() : [];
    await dirty.dispose();
    await this.#cache.drop(ranges, failing);
    // SQLite may read what is gone: nothing that it builds on that may be acknowledged.
    if (this.#cache.broken) this.#die();
  }

  #die(): RequestError {
    if (this.#base !== undefined && this.#phase !== 'dead') {
      this.#phase = 'dead';
      this.file.log.warn('a connection writes on after a failed transaction; it gets I/O errors until it unlocks');
    }
    return new RequestError('EIO');
  }
}

/** Commits the dirty sets of several transactions as one store commit; those with nothing new take no part. */
export async function commitTransactions(transactions: readonly Transaction[]): Promise<void> {
  const plans = await Promise.all(transactions.map((transaction) => transaction.plan()));
  const parts = plans.flatMap(({ request }, index) =>
    request === undefined ? [] : [{ file: transactions[index]!.file, request, index }],
  );
  const heads = parts.length === 0 ? [] : await commitTogether(parts);
  const headOf = new Map(parts.map((part, at) => [part.index, heads[at]!]));
  for (const [index, transaction] of transactions.entries()) {
    await transaction.applied(plans[index]!, headOf.get(index));
  }
}
