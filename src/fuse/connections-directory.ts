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

import { UNOPENED_CONNECTIONS_MAX } from '../limits.js';
import type { Attributes, DirectoryEntry } from '../native/binding.js';
import type { Usage } from '../status.js';
import type { Access, Owner } from './access.js';
import { Connection, type ConnectionOptions } from './connection.js';
import { LimitError, RequestError } from './errno.js';
import type { MountedFile } from './mounted-file.js';
import { type Caller, directoryAttributes, type InodeNumber, Node, S_IFDIR, S_IFLNK, TTL_LONG_MS } from './node.js';
import type { PrivateFile } from './private-file.js';
import { isGone } from './process-name.js';
import { SuperJournals } from './super-journals.js';

export const CONNECTIONS_DIRECTORY = '.c';
const ID_DIGITS = 12;
const ID_COUNT = 16 ** ID_DIGITS;
/** Threads that are looked for before a new connection is made, those that came first. */
const THREADS_LOOKED_FOR_MAX = 32;

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
  readonly fileNamed: (name: string) => MountedFile | undefined;
  /** Connections that may be open at once. */
  readonly openMax: number;
}

/** A connection that was resolved and not opened yet. */
interface Unopened {
  readonly id: string;
  readonly pid: number;
  readonly uid: number;
  readonly fileName: string;
}

export class ConnectionsDirectory extends Node {
  readonly #options: ConnectionsOptions;
  #nextId: number;
  readonly #directories = new Map<string, ConnectionDirectory>();
  readonly #open = new Set<string>();
  /** Of every connection that was ever given out. */
  readonly #owners = new Map<string, Owner>();
  /** By thread, user and file. */
  readonly #unopened = new Map<string, Unopened>();
  /** By file: connections that nobody has open, to be given out again, and their users; the one closed last is last. */
  readonly #closed = new Map<string, Map<string, number>>();
  readonly superJournals = new SuperJournals((id) => this.#directories.get(id)?.connection);

  constructor(options: ConnectionsOptions) {
    super(options.ino);
    this.#options = options;
    this.#nextId = options.firstId;
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
  }

  /** The target of the database's symlink for this caller. */
  async issue(file: MountedFile, caller: Caller): Promise<string> {
    const { pid, uid, gid } = caller;
    const key = `${pid} ${uid} ${file.name}`;
    let id = this.#unopened.get(key)?.id;
    if (id === undefined) {
      const owner = { uid, gid };
      id = this.#reuse(uid, file.name) ?? this.#reuseOfGone(uid, file.name);
      id ??= this.#takeOver(file.name, owner) ?? this.#newId(owner);
      this.#unopened.set(key, { id, pid, uid, fileName: file.name });
      this.#boundUnopened();
      await this.#directories.get(id)?.ownedBy(owner);
    }
    return `${CONNECTIONS_DIRECTORY}/${id}/${file.name}`;
  }

  /** The connection is in use: the next resolution gets another one. @throws ENFILE when too many are */
  opened(id: string, fileName: string): void {
    for (const [key, issued] of this.#unopened) if (issued.id === id) this.#unopened.delete(key);
    this.#closed.get(fileName)?.delete(id);
    const { openMax } = this.#options;
    if (!this.#open.has(id) && this.#open.size >= openMax) {
      throw new LimitError('ENFILE', 'open connections', '--max-connections', openMax);
    }
    this.#open.add(id);
  }

  closed(id: string, fileName: string): void {
    this.#open.delete(id);
    const closed = this.#closed.get(fileName) ?? new Map<string, number>();
    closed.delete(id);
    this.#closed.set(fileName, closed.set(id, this.#owners.get(id)!.uid));
  }

  override async attributes(): Promise<Attributes> {
    return directoryAttributes(this.ino, this.#options.access, 0o711, this.#options.timeMs);
  }

  override async lookup(name: string): Promise<Node | { absentTtlMs: number }> {
    const known = this.#directories.get(name);
    if (known !== undefined) return known;
    const owner = this.#owners.get(name);
    if (owner === undefined) return { absentTtlMs: 0 };
    const directory = new ConnectionDirectory(this.#options.newInode(), name, owner, this);
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

  #newId(owner: Owner): string {
    const id = (this.#nextId % ID_COUNT).toString(16).padStart(ID_DIGITS, '0');
    this.#nextId += 1;
    this.#owners.set(id, owner);
    return id;
  }

  #reuse(uid: number, fileName: string): string | undefined {
    const closed = this.#closed.get(fileName);
    if (closed === undefined) return undefined;
    // The one closed last: the kernel has most of it cached.
    const [id] = [...closed].findLast(([, owner]) => owner === uid) ?? [];
    if (id !== undefined) closed.delete(id);
    return id;
  }

  /** Another user's that was closed first, when there are more than enough. */
  #takeOver(fileName: string, owner: Owner): string | undefined {
    const closed = this.#closed.get(fileName);
    if (closed === undefined || closed.size < this.#options.openMax + UNOPENED_CONNECTIONS_MAX) return undefined;
    const [id] = closed.keys();
    if (id === undefined) return undefined;
    closed.delete(id);
    this.#owners.set(id, owner);
    return id;
  }

  /** Takes back what was resolved by threads that are gone: those of `stat`, and of killed programs. */
  #reuseOfGone(uid: number, fileName: string): string | undefined {
    let looked = 0;
    for (const [key, issued] of this.#unopened) {
      if (looked++ === THREADS_LOOKED_FOR_MAX) break;
      if (isGone(issued.pid)) this.#takeBack(key, issued);
    }
    return this.#reuse(uid, fileName);
  }

  #takeBack(key: string, { id, fileName }: Unopened): void {
    this.#unopened.delete(key);
    this.closed(id, fileName);
  }

  /** Who only ever looked at a file leaves its connection to others. */
  #boundUnopened(): void {
    if (this.#unopened.size <= UNOPENED_CONNECTIONS_MAX) return;
    const [key, issued] = this.#unopened.entries().next().value!;
    this.#takeBack(key, issued);
  }
}

/** `.c/N`: one database and its journals. */
export class ConnectionDirectory extends Node {
  readonly id: string;
  #owner: Owner;
  readonly #parent: ConnectionsDirectory;
  #connection: Connection | undefined;

  constructor(ino: InodeNumber, id: string, owner: Owner, parent: ConnectionsDirectory) {
    super(ino);
    this.id = id;
    this.#owner = owner;
    this.#parent = parent;
  }

  override get connection(): Connection | undefined {
    return this.#connection;
  }

  /** Passes to another user; resolves when the kernel lets nobody else in. */
  async ownedBy(owner: Owner): Promise<void> {
    if (this.#owner.uid === owner.uid) return;
    this.#owner = owner;
    await this.#parent.options.attributesChanged(this.ino);
  }

  override async attributes(): Promise<Attributes> {
    return directoryAttributes(this.ino, this.#owner, 0o700, this.#parent.options.timeMs);
  }

  override async lookup(name: string): Promise<Node | { absentTtlMs: number }> {
    const connection = this.#connection ?? this.#bind(name);
    if (connection === undefined) return { absentTtlMs: 0 };
    if (name === connection.file.name) return connection.database;
    const sibling = connection.sibling(name);
    return typeof sibling === 'object' ? sibling : { absentTtlMs: TTL_LONG_MS };
  }

  override async entries(): Promise<DirectoryEntry[]> {
    return [];
  }

  override create(name: string): Promise<PrivateFile> {
    if (this.#connection === undefined) throw new RequestError('EACCES');
    return this.#connection.createSibling(name);
  }

  override async unlink(name: string): Promise<void> {
    if (this.#connection === undefined || name === this.#connection.file.name) throw new RequestError('EACCES');
    await this.#connection.unlinkSibling(name);
  }

  override forgotten(): void {
    this.#connection?.forget();
    this.#parent.drop(this.id);
  }

  #bind(name: string): Connection | undefined {
    const { fileNamed, newInode, invalidate, access } = this.#parent.options;
    const file = fileNamed(name);
    if (file === undefined) return undefined;
    this.#connection = new Connection({
      id: this.id,
      file,
      owner: () => this.#owner,
      access,
      newInode,
      invalidate,
      superJournals: this.#parent.superJournals,
      opened: () => this.#parent.opened(this.id, file.name),
      closed: () => this.#parent.closed(this.id, file.name),
    });
    return this.#connection;
  }
}

/** A database in the root: the symlink that gives every opener a connection of its own. */
export class DatabaseLink extends Node {
  readonly file: MountedFile;
  readonly #connections: ConnectionsDirectory;

  constructor(ino: InodeNumber, file: MountedFile, connections: ConnectionsDirectory) {
    super(ino);
    this.file = file;
    this.#connections = connections;
  }

  override async attributes(): Promise<Attributes> {
    const { access, timeMs } = this.#connections.options;
    const target = CONNECTIONS_DIRECTORY.length + ID_DIGITS + 2 + Buffer.byteLength(this.file.name);
    return {
      ...directoryAttributes(this.ino, access, 0, timeMs),
      size: target,
      mode: S_IFLNK | 0o777,
      nlink: 1,
    };
  }

  override async readlink(caller: Caller): Promise<string> {
    return this.#connections.issue(this.file, caller);
  }
}
