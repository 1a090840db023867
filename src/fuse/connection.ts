// One SQLite connection: the inode of its database, its locks, its journals, its transaction.
//
// A connection is what `dbs/mydb` resolves to, `.c/N/mydb`: every opening program gets one of its own, so that it
// has its own snapshot. Inside it the locks are truthful, between connections nobody blocks a reader. Requests of
// one connection are served one after the other; an error answered to a request of a commit dooms its transaction.

import type { Attributes, LockRequest } from '../native/binding.js';
import { overlaps, PENDING_BYTE, SHARED_FIRST, SHARED_LAST } from '../sqlite/lock-bytes.js';
import { superJournalOf } from '../sqlite/rollback-journal.js';
import { isSuperJournalName } from '../sqlite/super-journal.js';
import type { Version } from '../version.js';
import { Wakeup } from '../wakeup.js';
import { type Access, databaseMode, type Owner } from './access.js';
import { Database } from './database.js';
import { DOTFILE_LOCK_SUFFIX, DotfileLock, dotfileLocks } from './dotfile-lock.js';
import { isDying, isKilled } from './dying-callers.js';
import { LockHeldError, RequestError } from './errno.js';
import { type ExtendedAttributes, versionAttributes } from './extended-attributes.js';
import { type ForeignJournal, JOURNAL_SUFFIX } from './foreign-journal.js';
import { type ByteRange, type Invalidate, KernelCache } from './kernel-cache.js';
import { type Lock, LockTable, type LockType } from './lock-table.js';
import type { MountedFile } from './mounted-file.js';
import { type CachePolicy, type Caller, fileAttributes, type InodeNumber, type OpenMode } from './node.js';
import { PlainAccess } from './plain-access.js';
import { PrivateFile, type PrivateFileKind } from './private-file.js';
import { processOf } from './process-name.js';
import type { SuperJournals } from './super-journals.js';
import { Transaction } from './transaction.js';
import { takeBackWal } from './wal-switch.js';

export interface ConnectionOptions {
  /** Its name below `.c`, or of whom created the file another one. */
  readonly id: string;
  readonly file: MountedFile;
  /** The path in the mount under which the database was found. */
  readonly path: string;
  /** What it is called where this connection finds it: a journal is called the same, and `-journal`. */
  readonly name: string;
  /** Whether it lies in the mounted directory itself, not below `.c`. */
  readonly inRoot?: boolean;
  /** Whose it is, and its journals: while nobody has it open, it may pass to another. */
  readonly owner: () => Owner;
  /** Whose the database is. */
  readonly access: Access;
  readonly superJournals: SuperJournals;
  readonly newInode: () => InodeNumber;
  readonly invalidate: ((ino: InodeNumber, range: ByteRange) => ReturnType<Invalidate>) | undefined;
  /** Called when its database is opened (which it may refuse), and when the last handle on it is gone. */
  readonly opened: () => void;
  readonly closed: () => void;
}

/** What is said when a name beside the database is asked for that is no journal. */
export type Sibling = PrivateFile | 'absent' | 'refused';

export class Connection {
  readonly id: string;
  readonly file: MountedFile;
  readonly transaction: Transaction;
  readonly database: Database;
  readonly #unlocked = new Wakeup();
  readonly #locks = new LockTable();
  #dotfileLock: DotfileLock | undefined;
  readonly #plain: PlainAccess;
  readonly #cache: KernelCache;
  readonly #options: ConnectionOptions;
  /** Every name under which it was found. */
  readonly #names: Set<string>;
  /** The processes that have a database in the mounted directory open, with the handles that they have not closed. */
  readonly #processes = new Map<number, Set<number>>();
  /** Whether the file was made by who wants it to be there, whatever becomes of it. */
  #isMade = false;
  /** One that comes while the connection is open is for the next. */
  #foreignSought = false;
  /** What stat shows instead of the inode's own number once the file is not at its path any more. */
  #movedIno: InodeNumber | undefined;
  /** What to call when the read of these bytes was answered. */
  readonly #unlockedReads = new Map<Buffer[], () => void>();
  readonly #privateFiles = new Map<string, PrivateFile>();
  /** By handle: the thread that opened it. */
  readonly #handles = new Map<number, number>();
  #last: Promise<unknown> = Promise.resolve();
  /** What the kernel takes for the size of the database until it asks again. */
  #sizeToldBytes: number | undefined;

  constructor(options: ConnectionOptions) {
    this.id = options.id;
    this.file = options.file;
    this.#names = new Set([options.name]);
    this.#options = options;
    const ino = options.newInode();
    const { invalidate } = options;
    this.#cache = new KernelCache(options.file, invalidate && ((range) => invalidate(ino, range)));
    const hot = async (): Promise<boolean> => (await this.#journal()?.hot()) === true;
    this.#plain = new PlainAccess(options.file, this.#cache, hot);
    const journal = {
      hot,
      inSuperJournal: async () => (await this.superJournal()) !== undefined,
    };
    this.transaction = new Transaction(options.file, journal, this.#cache);
    this.database = new Database(ino, this);
  }

  /** Whether the database lies in the mounted directory itself. */
  get inRoot(): boolean {
    return this.#options.inRoot === true;
  }

  get owner(): Owner {
    return this.#options.owner();
  }

  /** Whether a user may open the database or make and remove journals, as the directory's mode has it. */
  admits(uid: number): boolean {
    return uid === 0 || uid === this.owner.uid || this.inRoot;
  }

  /** Whether a thread's process has the database in the mounted directory open, or inherited it and took a lock. */
  isHeldBy(pid: number): boolean {
    return this.#processes.has(pid) || this.#processes.has(processOf(pid));
  }

  get open(): boolean {
    return this.#handles.size > 0;
  }

  /** The versions that are read here. */
  get versions(): Version[] {
    const { version } = this.transaction;
    return version === undefined ? this.#plain.versions : [...this.#plain.versions, version];
  }

  /** The threads that have the database open. */
  get openers(): number[] {
    return [...new Set(this.#handles.values())];
  }

  /**
   * Runs one request after those before it. When a request that is part of writing fails while PENDING is held,
   * what the connection has not committed is discarded before anything else is served.
   * @param written the bytes of a WRITE to the database
   */
  perform<T>(writes: boolean, serve: () => Promise<T>, written?: ByteRange): Promise<T> {
    const result = this.#last.then(async () => {
      try {
        return await serve();
      } catch (error) {
        if (writes && this.#locks.holds(PENDING_BYTE, PENDING_BYTE, 'write')) await this.transaction.doom(written);
        throw error;
      }
    });
    this.#last = result.catch(() => undefined);
    return result;
  }

  // --- the database file

  async attributes(): Promise<Attributes> {
    const { transaction } = this;
    const state = transaction.active
      ? { sizeBytes: transaction.sizeBytes, timeMs: transaction.head!.timeMs }
      : await this.#plain.state();
    this.#sizeToldBytes = state.sizeBytes;
    const { access } = this.#options;
    const shown = fileAttributes(this.#shownIno(), access, this.#mode, state.sizeBytes, state.timeMs);
    return this.file.linked ? shown : { ...shown, nlink: 0 };
  }

  get #mode(): number {
    return databaseMode(this.#options.access, this.file.mode);
  }

  /**
   * Below `.c` the kernel remembers the name, whatever becomes of the file. SQLite finds out that its database was removed or
   * renamed by another inode number at its path, so it is shown one.
   */
  #shownIno(): InodeNumber {
    const { linked, name } = this.file;
    if (this.inRoot || (linked && name === this.#options.path)) return this.database.ino;
    this.#movedIno ??= this.#options.newInode();
    return this.#movedIno;
  }

  /** It was found under another name, too, and journals may lie beside that. */
  foundAs(name: string): void {
    this.#names.add(name);
  }

  /** They tell of the version that is read here, else of the newest. */
  async extendedAttributes(): Promise<ExtendedAttributes> {
    return versionAttributes(this.file.namespaceName, this.transaction.head ?? (await this.#plain.head()));
  }

  /** Returns how the kernel is to treat what is read through the handle. */
  async openDatabase(fh: number, mode: OpenMode, caller: Caller): Promise<CachePolicy> {
    // The kernel looks once more for what has the name now (path_openat in fs/namei.c).
    if (!this.file.linked && !(await this.file.relinked())) throw new RequestError('ESTALE');
    const cached = this.#cache.wanted && throughCache(mode);
    const policy = cached ? this.#cache.opened(!this.open) : 'direct';
    if (!this.open) this.#foreignSought = false;
    if (this.inRoot) this.#heldBy(processOf(caller.pid), fh);
    this.#isMade ||= mode.exclusive || mode.truncate || !mode.readable;
    this.#handles.set(fh, caller.pid);
    try {
      this.#options.opened();
      await this.#plain.open(fh, { ...mode, cached, moves: !this.transaction.active });
      if (mode.truncate) await this.truncate(fh, 0, caller);
    } catch (error) {
      await this.releaseDatabase(fh);
      throw error;
    }
    return policy;
  }

  /**
   * Whether the kernel remembers another size than the file has, and nobody would ask for it: it reads on up to there,
   * appends there, and maps no more. SQLite asks.
   */
  async sizeIsStale(): Promise<boolean> {
    if (this.#sizeToldBytes === undefined) return false;
    const { header, sizeBytes } = await this.file.newest();
    return header === undefined && sizeBytes !== this.#sizeToldBytes;
  }

  async read(fh: number, offset: number, size: number): Promise<Buffer[]> {
    if (this.transaction.active) return this.transaction.pieces(offset, size);
    const answered = this.#cache.readUnlocked({ offset, length: size });
    try {
      const pieces = await this.#plain.pieces(fh, offset, size);
      this.#unlockedReads.set(pieces, answered);
      return pieces;
    } catch (error) {
      answered();
      throw error;
    }
  }

  /** What `read` gave was answered. */
  readAnswered(pieces: Buffer[]): void {
    this.#unlockedReads.get(pieces)?.();
    this.#unlockedReads.delete(pieces);
  }

  async write(fh: number, offset: number, data: Buffer, caller: Caller): Promise<void> {
    this.#sizeToldBytes = Math.max(this.#sizeToldBytes ?? 0, offset + data.length);
    if (this.transaction.writer) await this.transaction.write(offset, data);
    else if (this.#locks.empty) {
      await this.#plain.write(fh, offset, data, caller);
      this.file.forgetModeToBe();
    } else throw new RequestError('EIO', 'written without the write lock');
  }

  async truncate(fh: number | undefined, sizeBytes: number, caller: Caller): Promise<void> {
    if (this.transaction.writer) await this.transaction.truncate(sizeBytes);
    else if (this.#locks.empty) await this.#plain.truncate(fh, sizeBytes, caller);
    else throw new RequestError('EIO', 'truncated without the write lock');
  }

  async sync(): Promise<void> {
    if (this.transaction.active) await this.transaction.sync();
    else await this.#plain.sync();
  }

  /** What was written without locks is committed, if it may be a version. */
  async flushPlain(deliberate: boolean): Promise<void> {
    if (this.#plain.writing) await this.#plain.flush(deliberate);
  }

  /**
   * Every close(2) flushes, a forked child's too: locks end only for the process and handle that took them. SQLite gives
   * them back before, but for vfs=unix-excl; whoever dies does not. The caller waits for the answer, and not for RELEASE:
   * who closed the file and opens it again is to see one thing from the first look at it.
   */
  async flush(fh: number, lockOwner: bigint, caller: Caller): Promise<void> {
    if (this.#locks.dropHandle(fh, lockOwner)) await this.#locksShrunk((await isDying(caller.pid)) === false);
    if (this.#plain.writing) await this.flushPlain(!(await isKilled(caller.pid)));
    if (!this.inRoot) return;
    // An empty file that was made on purpose stays; SQLite makes each one that it opens.
    if (this.#isMade && this.file.linked) await this.file.ensureMade();
    this.#closedBy(processOf(caller.pid), fh);
  }

  async releaseDatabase(fh: number): Promise<void> {
    if (this.#locks.dropHandle(fh)) await this.#locksShrunk(false);
    this.#handles.delete(fh);
    if (!this.open && this.#dotfileLock !== undefined) await this.#dropDotfileLock(false);
    for (const pid of [...this.#processes.keys()]) this.#closedBy(pid, fh);
    try {
      await this.#plain.release(fh);
    } finally {
      if (!this.open) {
        for (const file of [...this.#privateFiles.values()]) await this.#remove(file);
        this.#options.closed();
      }
    }
  }

  #heldBy(pid: number, fh: number): void {
    this.#processes.set(pid, (this.#processes.get(pid) ?? new Set()).add(fh));
  }

  #closedBy(pid: number, fh: number): void {
    const handles = this.#processes.get(pid);
    handles?.delete(fh);
    if (handles?.size === 0) this.#processes.delete(pid);
  }

  /** The kernel has forgotten the connection. */
  forget(): void {
    if (this.inRoot) this.#options.closed();
    this.transaction.forget();
    for (const file of this.#privateFiles.values()) file.discard();
  }

  // --- locks

  lockInTheWay(request: LockRequest): Lock | undefined {
    return this.#locks.conflict(request.owner, request.type as LockType, request.start, request.end);
  }

  /** Sets or gives back a lock. @throws EAGAIN when it is not to be had now */
  async lock(request: LockRequest): Promise<void> {
    const { owner, fh, type, start, end, lockPid } = request;
    if (this.inRoot && type !== 'unlock') this.#heldBy(lockPid, fh);
    if (type === 'unlock') {
      this.#locks.unlock(owner, start, end);
      await this.#locksShrunk(true);
      return;
    }
    await this.#take({ owner, fh, type, start, end, pid: lockPid });
  }

  async #take(lock: Lock): Promise<void> {
    const { owner, type, start, end, pid } = lock;
    if (this.#locks.conflict(owner, type, start, end) !== undefined) throw new LockHeldError();
    this.#locks.requireRoom();
    if (type === 'write') {
      if (overlaps(start, end, PENDING_BYTE, SHARED_LAST)) await this.#becomeWriter(pid);
    } else if (overlaps(start, end, SHARED_FIRST, SHARED_LAST)) {
      if (this.#locks.holds(SHARED_FIRST, SHARED_LAST, 'write', owner)) await this.transaction.downgrade();
      else if (this.#plain.writing) throw new LockHeldError();
      else await this.transaction.begin();
    }
    this.#locks.set(lock);
    this.#unlocked.wake();
  }

  async #becomeWriter(pid: number): Promise<void> {
    try {
      await this.transaction.becomeWriter(pid);
    } catch (error) {
      // With vfs=unix-excl the first lock is this one: refused, it leaves no snapshot behind.
      if (!this.#locks.holds(SHARED_FIRST, SHARED_LAST)) await this.#end(true);
      throw error;
    }
  }

  /** Resolves when a lock that was refused may be free, or after `waitMsMax`. */
  async lockChanged(waitMsMax: number, signal?: AbortSignal): Promise<void> {
    await Promise.race([this.#unlocked.wait(waitMsMax, signal), this.file.writeLock.released.wait(waitMsMax, signal)]);
  }

  /** Follows what the locks allow now. */
  async #locksShrunk(byRequest: boolean): Promise<void> {
    if (!this.#locks.holds(PENDING_BYTE, SHARED_LAST, 'write')) await this.transaction.endWrite(byRequest);
    if (!this.#locks.holds(SHARED_FIRST, SHARED_LAST)) await this.#end(byRequest);
    this.#unlocked.wake();
  }

  async #end(byRequest: boolean): Promise<void> {
    if (!this.transaction.active) return;
    await this.transaction.end(byRequest);
    this.#plain.unpin();
    // A journal that is still hot belongs to a transaction that is discarded; rolled back later, it would put old
    // pages over other connections' commits. A super-journal stays as long as SQLite lives: the other members roll
    // back after this one, and a journal whose super-journal is missing reads as committed.
    for (const file of [...this.#privateFiles.values()]) {
      const stale = file.kind === 'super-journal' ? !byRequest : file.kind === 'wal' || (await file.hot());
      if (stale && file.foreign === undefined) await this.#remove(file);
    }
  }

  /** Whether the lock of this database is a directory of that name, for who uses vfs=unix-dotfile. */
  isLockedBy(name: string): boolean {
    return [...this.#names].some((database) => name === `${database}${DOTFILE_LOCK_SUFFIX}`);
  }

  get dotfileLock(): DotfileLock | undefined {
    return this.#dotfileLock;
  }

  /** @throws EEXIST when it is held through this path, EAGAIN when another connection writes */
  async takeDotfileLock(pid: number): Promise<DotfileLock> {
    if (!this.open) throw new RequestError('EPERM');
    if (this.#dotfileLock !== undefined) throw new RequestError('EEXIST');
    this.#dotfileLock = new DotfileLock(this.#options.newInode(), this.owner);
    try {
      for (const lock of dotfileLocks(pid)) await this.#take(lock);
    } catch (error) {
      await this.#dropDotfileLock(false);
      throw error;
    }
    return this.#dotfileLock;
  }

  async giveBackDotfileLock(): Promise<void> {
    if (this.#dotfileLock === undefined) throw new RequestError('ENOENT');
    await this.#dropDotfileLock(true);
  }

  async #dropDotfileLock(byRequest: boolean): Promise<void> {
    this.#dotfileLock = undefined;
    for (const { owner, start, end } of dotfileLocks(0)) this.#locks.unlock(owner, start, end);
    await this.#locksShrunk(byRequest);
  }

  // --- journals

  /** Whether a journal of that name would be this connection's. */
  owns(name: string): boolean {
    return this.#kind(name) !== undefined;
  }

  siblings(): Iterable<PrivateFile> {
    return this.#privateFiles.values();
  }

  /** A file beside the database that was made here. */
  sibling(name: string): PrivateFile | undefined {
    return this.#privateFiles.get(name);
  }

  /** A file beside the database. A journal that was put there by somebody else lies beside it as long as it is hot. */
  async lookupSibling(name: string): Promise<Sibling> {
    const known = this.#privateFiles.get(name);
    if (known !== undefined && known.foreign === undefined) return known;
    const kind = this.#kind(name);
    if (kind !== 'journal' || this.inRoot) return kind === undefined ? 'refused' : 'absent';
    if (known === undefined && this.#foreignSought) return 'absent';
    this.#foreignSought = true;
    const foreign = await this.file.foreignJournal();
    if (known?.foreign !== undefined && known.foreign.identity === foreign?.identity) return known;
    if (known !== undefined) await this.#remove(known);
    return foreign === undefined ? 'absent' : this.#add(name, kind, foreign);
  }

  async createSibling(name: string): Promise<PrivateFile> {
    const kind = this.#kind(name);
    if (this.#isLog(name)) await takeBackWal(this.transaction, this.#cache);
    // -shm above all, and -wal without the exclusive lock: SQLite then reports a read-only directory, and loses nothing.
    if (kind === undefined) throw new RequestError('EACCES');
    if (kind === 'journal') this.transaction.journalWritten();
    return this.#privateFiles.get(name) ?? this.#add(name, kind);
  }

  async unlinkSibling(name: string): Promise<void> {
    const file = this.#privateFiles.get(name);
    if (file === undefined) throw new RequestError('ENOENT');
    if (file.kind === 'journal') await this.journalFinalised(file);
    else if (file.kind === 'super-journal') await this.#options.superJournals.commit(file);
    await this.#remove(file);
  }

  /** The journal is being finalised: whatever SQLite wrote before is to stay. */
  async journalFinalised({ foreign }: PrivateFile): Promise<void> {
    await this.transaction.journalFinalised(foreign !== undefined);
    if (this.#plain.writing) await this.#plain.journalFinalised();
    await foreign?.drop();
  }

  /** The live super-journal that the rollback journal names. */
  async superJournal(): Promise<PrivateFile | undefined> {
    const journal = this.#journal();
    if (journal === undefined) return undefined;
    const { content } = journal;
    const path = await superJournalOf(content.sizeBytes, (offset, length) => content.read(offset, length));
    return path === undefined ? undefined : this.#options.superJournals.find(path);
  }

  async checkSuperJournal(file: PrivateFile): Promise<void> {
    await this.#options.superJournals.check(file);
  }

  #journal(): PrivateFile | undefined {
    return [...this.#privateFiles.values()].find(({ kind }) => kind === 'journal');
  }

  #kind(name: string): PrivateFileKind | undefined {
    for (const database of this.#names) {
      if (name === `${database}${JOURNAL_SUFFIX}`) return 'journal';
      if (isSuperJournalName(name, database)) return 'super-journal';
    }
    return this.#isLog(name) && (this.#privateFiles.has(name) || this.#mayLog) ? 'wal' : undefined;
  }

  #isLog(name: string): boolean {
    return [...this.#names].some((database) => name === `${database}-wal`);
  }

  /** Whether SQLite holds the exclusive lock, under which it needs no -shm. */
  get #mayLog(): boolean {
    return this.transaction.mayLog && this.#locks.holds(SHARED_FIRST, SHARED_LAST, 'write');
  }

  #add(name: string, kind: PrivateFileKind, foreign?: ForeignJournal): PrivateFile {
    const file = new PrivateFile(this.#options.newInode(), this, { name, kind, foreign, mode: this.#mode });
    this.#privateFiles.set(name, file);
    return file;
  }

  async #remove(file: PrivateFile): Promise<void> {
    this.#privateFiles.delete(file.name);
    await file.content.dispose();
  }
}

/**
 * SQLite's own files: what only reads or only writes (cp, cat) mostly works without locks, and must see one version for
 * as long as it has the file open.
 */
function throughCache({ readable, writable, append }: OpenMode): boolean {
  return readable && writable && !append;
}
