// `.c`, where the symlinks of the databases lead: `.c/N/mydb` is one SQLite connection, `.c/N` holds its journals.
//
// N comes from a counter that starts at a random value with every daemon, so that a path resolved before a restart
// never names somebody else's connection. It is given out when the symlink is read; the same thread gets the same
// one again until it opens it, because programs compare stat(path) with fstat. A connection that was closed, or whose
// thread ended without opening it, is given out again, so the kernel needs to remember only as many as were ever in use
// at once.

import { UNOPENED_CONNECTIONS_MAX } from '../limits.js';
import type { Attributes, DirectoryEntry } from '../native/binding.js';
import type { Usage } from '../status.js';
import { Connection, type ConnectionOptions } from './connection.js';
import { LimitError, RequestError } from './errno.js';
import type { MountedFile } from './mounted-file.js';
import {
  type Caller,
  directoryAttributes,
  type InodeNumber,
  Node,
  type Owner,
  S_IFDIR,
  S_IFLNK,
  TTL_LONG_MS,
} from './node.js';
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
  readonly owner: Owner;
  readonly timeMs: number;
  /** A random value below 16^12. */
  readonly firstId: number;
  readonly newInode: () => InodeNumber;
  /** Makes the kernel drop what it has cached of an inode; undefined: it caches nothing of live databases. */
  readonly invalidate: ConnectionOptions['invalidate'];
  readonly fileNamed: (name: string) => MountedFile | undefined;
  /** Connections that may be open at once. */
  readonly openMax: number;
}

export class ConnectionsDirectory extends Node {
  readonly #options: ConnectionsOptions;
  readonly #firstId: number;
  #nextId: number;
  readonly #directories = new Map<string, ConnectionDirectory>();
  readonly #open = new Set<string>();
  /** By thread and file: the connection that was resolved and not opened yet. */
  readonly #unopened = new Map<string, string>();
  /** By file: connections that nobody has open, to be given out again. */
  readonly #closed = new Map<string, Set<string>>();
  readonly superJournals = new SuperJournals((id) => this.#directories.get(id)?.connection);

  constructor(options: ConnectionsOptions) {
    super(options.ino);
    this.#options = options;
    this.#firstId = options.firstId;
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
  issue(file: MountedFile, caller: Caller): string {
    const key = `${caller.pid} ${file.name}`;
    let id = this.#unopened.get(key);
    if (id === undefined) {
      id = this.#reuse(file.name) ?? this.#reuseOfGone(file.name) ?? this.#newId();
      this.#unopened.set(key, id);
      this.#boundUnopened();
    }
    return `${CONNECTIONS_DIRECTORY}/${id}/${file.name}`;
  }

  /** The connection is in use: the next resolution gets another one. @throws ENFILE when too many are */
  opened(id: string, fileName: string): void {
    for (const [key, issued] of this.#unopened) if (issued === id) this.#unopened.delete(key);
    this.#closed.get(fileName)?.delete(id);
    const { openMax } = this.#options;
    if (!this.#open.has(id) && this.#open.size >= openMax) {
      throw new LimitError('ENFILE', 'open connections', '--max-connections', openMax);
    }
    this.#open.add(id);
  }

  closed(id: string, fileName: string): void {
    this.#open.delete(id);
    const ids = this.#closed.get(fileName) ?? new Set();
    this.#closed.set(fileName, ids.add(id));
  }

  override async attributes(): Promise<Attributes> {
    return directoryAttributes(this.ino, this.#options.owner, 0o755, this.#options.timeMs);
  }

  override async lookup(name: string): Promise<Node | { absentTtlMs: number }> {
    const known = this.#directories.get(name);
    if (known !== undefined) return known;
    if (!this.#issued(name)) return { absentTtlMs: 0 };
    const directory = new ConnectionDirectory(this.#options.newInode(), name, this);
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

  #newId(): string {
    const id = (this.#nextId % ID_COUNT).toString(16).padStart(ID_DIGITS, '0');
    this.#nextId += 1;
    return id;
  }

  #reuse(fileName: string): string | undefined {
    const ids = this.#closed.get(fileName);
    // The one closed last: the kernel has most of it cached.
    const id = ids === undefined ? undefined : [...ids].at(-1);
    if (id !== undefined) ids!.delete(id);
    return id;
  }

  /** Takes back what was resolved by threads that are gone: those of `stat`, and of killed programs. */
  #reuseOfGone(fileName: string): string | undefined {
    let looked = 0;
    for (const [key, id] of this.#unopened) {
      if (looked++ === THREADS_LOOKED_FOR_MAX) break;
      if (isGone(Number.parseInt(key, 10))) this.#takeBack(key, id);
    }
    return this.#reuse(fileName);
  }

  #takeBack(key: string, id: string): void {
    this.#unopened.delete(key);
    this.closed(id, key.slice(key.indexOf(' ') + 1));
  }

  #issued(name: string): boolean {
    if (!/^[0-9a-f]{12}$/.test(name)) return false;
    const distance = (Number.parseInt(name, 16) - this.#firstId + ID_COUNT) % ID_COUNT;
    return distance < this.#nextId - this.#firstId;
  }

  /** Who only ever looked at a file leaves its connection to others. */
  #boundUnopened(): void {
    if (this.#unopened.size <= UNOPENED_CONNECTIONS_MAX) return;
    const [key, id] = this.#unopened.entries().next().value!;
    this.#takeBack(key, id);
  }
}

/** `.c/N`: one database and its journals. */
export class ConnectionDirectory extends Node {
  readonly id: string;
  readonly #parent: ConnectionsDirectory;
  #connection: Connection | undefined;

  constructor(ino: InodeNumber, id: string, parent: ConnectionsDirectory) {
    super(ino);
    this.id = id;
    this.#parent = parent;
  }

  override get connection(): Connection | undefined {
    return this.#connection;
  }

  override async attributes(): Promise<Attributes> {
    const { owner, timeMs } = this.#parent.options;
    return directoryAttributes(this.ino, owner, 0o755, timeMs);
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
    const { fileNamed, newInode, invalidate, owner } = this.#parent.options;
    const file = fileNamed(name);
    if (file === undefined) return undefined;
    this.#connection = new Connection({
      id: this.id,
      file,
      owner,
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
    const { owner, timeMs } = this.#connections.options;
    const target = CONNECTIONS_DIRECTORY.length + ID_DIGITS + 2 + Buffer.byteLength(this.file.name);
    return {
      ...directoryAttributes(this.ino, owner, 0, timeMs),
      size: target,
      mode: S_IFLNK | 0o777,
      nlink: 1,
    };
  }

  override async readlink(caller: Caller): Promise<string> {
    return this.#connections.issue(this.file, caller);
  }
}
