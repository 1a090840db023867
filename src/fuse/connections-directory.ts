// `.c`, where the symlinks of the databases lead: `.c/N/mydb` is one SQLite connection, `.c/N` holds its journals.
//
// N comes from a counter that starts at a random value with every daemon, so that a path resolved before a restart
// never names somebody else's connection. It is given out when the symlink is read; the same thread gets the same
// one again until it opens it, because programs compare stat(path) with fstat. A connection that was closed, or whose
// thread ended without opening it, is given out again, so the kernel needs to remember only as many as were ever in use
// at once.
//
// A connection is private to the user who resolved it: `.c/N` is theirs alone, and only the owner of the mount may list
// `.c`. It is given out again to the same user, so that a path which was resolved once stays theirs. Only when more lie
// unused than may be open at once, as many users leave them behind, the one closed first passes to another user.

import { basename } from 'node:path';
import { UNOPENED_CONNECTIONS_MAX } from '../limits.js';
import type { Attributes, DirectoryEntry } from '../native/binding.js';
import type { Usage } from '../status.js';
import type { Access, Owner } from './access.js';
import { Connection, type ConnectionOptions } from './connection.js';
import { ConnectionDirectory } from './connection-directory.js';
import { Creators } from './creators.js';
import { LimitError } from './errno.js';
import { LinkReads } from './link-reads.js';
import type { MountedFile } from './mounted-file.js';
import { type Caller, directoryAttributes, type InodeNumber, Node, S_IFDIR } from './node.js';
import { isGone } from './process-name.js';
import { SuperJournals } from './super-journals.js';

export const CONNECTIONS_DIRECTORY = '.c';
export const ID_DIGITS = 12;
const ID_COUNT = 16 ** ID_DIGITS;
/** What the symlink of a database holds. */
const TARGET = new RegExp(`^(?:\\.\\./)*\\${CONNECTIONS_DIRECTORY}/([0-9a-f]{${ID_DIGITS}})/[^/]+$`);
/** Threads that are looked for before a new connection is made, those that came first. */
const THREADS_LOOKED_FOR_MAX = 32;

/** Where `.c` lies for a link at that path. */
export function connectionsPath(path: string): string {
  return '../'.repeat(path.split('/').length - 1) + CONNECTIONS_DIRECTORY;
}

function targetOf(path: string, id: string): string {
  return `${connectionsPath(path)}/${id}/${basename(path)}`;
}

export interface ConnectionsOptions {
  readonly ino: InodeNumber;
  readonly access: Access;
  readonly timeMs: number;
  /** A random value below 16^12. */
  readonly firstId: number;
  readonly newInode: () => InodeNumber;
  /** Makes the kernel drop what it has cached of an inode; undefined: it caches nothing of live databases. */
  readonly invalidate: ConnectionOptions['invalidate'];
  /** Makes the kernel forget the attributes of an inode; resolves when it has. */
  readonly attributesChanged: (ino: InodeNumber) => Promise<void>;
  /** Makes the kernel forget a name in a directory; resolves when it has. */
  readonly nameChanged: (directory: InodeNumber, name: string) => Promise<void>;
  /** Absolute path of the mounted directory. */
  readonly mountpoint: string;
  /** What is at a path of the mount now. */
  readonly fileNamed: (path: string) => Promise<MountedFile | undefined>;
  /** Connections that may be open at once. */
  readonly openMax: number;
}

/** What `.c/N` was given out for. */
export interface Issued {
  readonly owner: Owner;
  readonly file: MountedFile;
  /** The path that the file had then. */
  readonly path: string;
}

/** A connection that was resolved and not opened yet. */
interface Unopened {
  readonly id: string;
  readonly pid: number;
  readonly file: MountedFile;
}

export class ConnectionsDirectory extends Node {
  readonly #options: ConnectionsOptions;
  #nextId: number;
  readonly #directories = new Map<string, ConnectionDirectory>();
  readonly #open = new Set<string>();
  /** Every connection that was given out and may be asked for. */
  readonly #issued = new Map<string, Issued>();
  /** By thread, user and name. */
  readonly #unopened = new Map<string, Unopened>();
  /** By file: connections that nobody has open, to be given out again; the one closed last is last. */
  readonly #closed = new Map<MountedFile, Set<string>>();
  /** Those of who creates a file. */
  readonly creators = new Creators();
  readonly linkReads = new LinkReads();
  readonly superJournals: SuperJournals;

  constructor(options: ConnectionsOptions) {
    super(options.ino);
    this.#options = options;
    this.#nextId = options.firstId;
    this.superJournals = new SuperJournals({
      byId: (id) => this.#directories.get(id)?.connection,
      inRoot: (name) => this.creators.withJournal(name),
      mountpoint: options.mountpoint,
    });
  }

  get options(): ConnectionsOptions {
    return this.#options;
  }

  get usage(): Usage {
    return { now: this.#open.size, max: this.#options.openMax };
  }

  /** Every connection that the kernel knows. */
  *connections(): Generator<Connection> {
    for (const directory of this.#directories.values()) if (directory.connection) yield directory.connection;
    yield* this.creators.connections();
  }

  /** The target of the database's symlink for this caller. */
  async issue(file: MountedFile, caller: Caller): Promise<string> {
    const { pid, uid, gid } = caller;
    const keyOf = (path: string): string => `${pid} ${uid} ${path}`;
    const before = this.#unopened.get(keyOf(file.name));
    if (before?.file === file) return targetOf(file.name, before.id);
    const isFresh = (await file.foreignJournal()) !== undefined;
    const { name: path } = file;
    const key = keyOf(path);
    const other = this.#unopened.get(key);
    if (other !== undefined) this.#takeBack(key, other);
    const issued = { owner: { uid, gid }, file, path };
    // The kernel remembers that there was no journal in those that were used before.
    const used = isFresh
      ? undefined
      : (this.#reuse(uid, file) ?? this.#reuseOfGone(uid, file) ?? this.#takeOver(issued));
    const id = used ?? this.#newId(issued);
    this.#unopened.set(key, { id, pid, file });
    this.#boundUnopened();
    const directory = this.#directories.get(id);
    await directory?.ownedBy(issued.owner);
    await directory?.refreshSize();
    return targetOf(path, id);
  }

  /** The plain file of who creates it, or of all who look for it to recover a database. */
  plain(file: MountedFile, { uid, gid }: Caller): Connection {
    const known = this.creators.of(file);
    if (known !== undefined) return known;
    const owner = { uid, gid };
    const id = `new-${this.#nextIdDigits()}`;
    const connection: Connection = new Connection({
      ...this.connectionOptions,
      id,
      file,
      path: file.name,
      name: file.name,
      inRoot: true,
      owner: () => owner,
      opened: () => this.#count(id),
      closed: () => {
        this.#open.delete(id);
        this.creators.delete(connection);
      },
    });
    this.creators.add(connection);
    return connection;
  }

  /** What all connections have in common. */
  get connectionOptions(): Pick<ConnectionOptions, 'access' | 'newInode' | 'invalidate' | 'superJournals'> {
    const { access, newInode, invalidate } = this.#options;
    return { access, newInode, invalidate, superJournals: this.superJournals };
  }

  /** The connection is in use: the next resolution gets another one. @throws ENFILE when too many are */
  opened(id: string, file: MountedFile): void {
    for (const [key, issued] of this.#unopened) if (issued.id === id) this.#unopened.delete(key);
    this.#closed.get(file)?.delete(id);
    this.#count(id);
  }

  closed(id: string, file: MountedFile): void {
    this.#open.delete(id);
    // Nobody comes for a file that is gone.
    if (!file.linked) {
      this.#closed.delete(file);
      return;
    }
    const closed = this.#closed.get(file) ?? new Set<string>();
    closed.delete(id);
    this.#closed.set(file, closed.add(id));
  }

  /** The file to whose connection a symlink leads. */
  fileOfTarget(target: string): MountedFile | undefined {
    const [, id] = TARGET.exec(target) ?? [];
    return id === undefined ? undefined : this.#issued.get(id)?.file;
  }

  /** Who resolved it comes for the file that has the name now. */
  passTo(id: string, file: MountedFile): void {
    this.#issued.set(id, { ...this.#issued.get(id)!, file });
  }

  #count(id: string): void {
    const { openMax } = this.#options;
    if (!this.#open.has(id) && this.#open.size >= openMax) {
      throw new LimitError('ENFILE', 'open connections', '--max-connections', openMax);
    }
    this.#open.add(id);
  }

  override async attributes(): Promise<Attributes> {
    return directoryAttributes(this.ino, this.#options.access, 0o711, this.#options.timeMs);
  }

  override async lookup(name: string): Promise<Node | { absentTtlMs: number }> {
    const known = this.#directories.get(name);
    if (known !== undefined) return known;
    const issued = this.#issued.get(name);
    if (issued === undefined) return { absentTtlMs: 0 };
    const directory = new ConnectionDirectory(this.#options.newInode(), name, issued, this);
    this.#directories.set(name, directory);
    return directory;
  }

  override async entries(): Promise<DirectoryEntry[]> {
    return [...this.#directories].map(([name, directory], index) => ({
      name,
      ino: directory.ino,
      mode: S_IFDIR,
      nextOffset: index + 1,
    }));
  }

  /** The kernel has forgotten the connection; it is made anew when somebody asks for its path. */
  drop(id: string): void {
    this.#directories.delete(id);
  }

  #newId(issued: Issued): string {
    const id = this.#nextIdDigits();
    this.#issued.set(id, issued);
    return id;
  }

  #nextIdDigits(): string {
    const id = (this.#nextId % ID_COUNT).toString(16).padStart(ID_DIGITS, '0');
    this.#nextId += 1;
    return id;
  }

  #reuse(uid: number, file: MountedFile): string | undefined {
    const closed = this.#closed.get(file);
    if (closed === undefined) return undefined;
    // The one closed last: the kernel has most of it cached.
    const fits = (id: string): boolean => {
      const { owner, path } = this.#issued.get(id)!;
      return owner.uid === uid && path === file.name;
    };
    const id = [...closed].findLast(fits);
    if (id !== undefined) closed.delete(id);
    return id;
  }

  /** Another user's that was closed first, when there are more than enough. */
  #takeOver(issued: Issued): string | undefined {
    const closed = this.#closed.get(issued.file);
    if (closed === undefined || closed.size < this.#options.openMax + UNOPENED_CONNECTIONS_MAX) return undefined;
    const id = [...closed].find((candidate) => this.#issued.get(candidate)!.path === issued.path);
    if (id === undefined) return undefined;
    closed.delete(id);
    this.#issued.set(id, issued);
    return id;
  }

  /** Takes back what was resolved by threads that are gone: those of `stat`, and of killed programs. */
  #reuseOfGone(uid: number, file: MountedFile): string | undefined {
    let looked = 0;
    for (const [key, issued] of this.#unopened) {
      if (looked++ === THREADS_LOOKED_FOR_MAX) break;
      if (isGone(issued.pid)) this.#takeBack(key, issued);
    }
    return this.#reuse(uid, file);
  }

  #takeBack(key: string, { id, file }: Unopened): void {
    this.#unopened.delete(key);
    this.closed(id, file);
  }

  /** Who only ever looked at a file leaves its connection to others. */
  #boundUnopened(): void {
    if (this.#unopened.size <= UNOPENED_CONNECTIONS_MAX) return;
    const [key, issued] = this.#unopened.entries().next().value!;
    this.#takeBack(key, issued);
  }
}
