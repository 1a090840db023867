// `.c/N`: one connection, as the names of its database and journals. Whom it is given to is decided in
// connections-directory.ts.

import { basename } from 'node:path';
import type { Attributes, DirectoryEntry } from '../native/binding.js';
import type { Owner } from './access.js';
import { Connection } from './connection.js';
import type { ConnectionsDirectory, Issued } from './connections-directory.js';
import { RequestError } from './errno.js';
import type { MountedFile } from './mounted-file.js';
import { type Caller, type Created, directoryAttributes, type InodeNumber, Node, TTL_LONG_MS } from './node.js';

/** `.c/N`: one database and its journals. */
export class ConnectionDirectory extends Node {
  readonly id: string;
  readonly #path: string;
  readonly #name: string;
  #file: MountedFile;
  #owner: Owner;
  readonly #parent: ConnectionsDirectory;
  #connection: Connection | undefined;

  constructor(ino: InodeNumber, id: string, { owner, file, path }: Issued, parent: ConnectionsDirectory) {
    super(ino);
    this.id = id;
    this.#path = path;
    this.#name = basename(path);
    this.#file = file;
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

  /** Is given out again: the kernel asks anew for a size that it does not have right. */
  async refreshSize(): Promise<void> {
    if ((await this.#connection?.sizeIsStale()) === true) await this.#parent.options.nameChanged(this.ino, this.#name);
  }

  override async attributes(): Promise<Attributes> {
    return directoryAttributes(this.ino, this.#owner, 0o700, this.#parent.options.timeMs);
  }

  override async lookup(name: string): Promise<Node | { absentTtlMs: number }> {
    if (name === this.#name) return (await this.#isThere()) ? this.#connected().database : { absentTtlMs: 0 };
    if (this.#connection === undefined) return { absentTtlMs: 0 };
    if (this.#connection.isLockedBy(name)) return this.#connection.dotfileLock ?? { absentTtlMs: 0 };
    const sibling = await this.#connection.lookupSibling(name);
    return typeof sibling === 'object' ? sibling : { absentTtlMs: TTL_LONG_MS };
  }

  override async entries(): Promise<DirectoryEntry[]> {
    return [];
  }

  override async create(name: string): Promise<Created> {
    if (this.#connection === undefined) throw new RequestError('EACCES');
    return { node: await this.#connection.createSibling(name), policy: 'direct' };
  }

  override async unlink(name: string): Promise<void> {
    if (this.#connection === undefined || name === this.#name) throw new RequestError('EACCES');
    await this.#connection.unlinkSibling(name);
  }

  override async makeDirectory(name: string, { pid }: Caller): Promise<Node> {
    if (this.#connection?.isLockedBy(name) !== true) throw new RequestError('EPERM');
    return this.#connection.takeDotfileLock(pid);
  }

  override async removeDirectory(name: string): Promise<void> {
    if (this.#connection?.isLockedBy(name) !== true) throw new RequestError('EACCES');
    await this.#connection.giveBackDotfileLock();
  }

  override forgotten(): void {
    this.#connection?.forget();
    this.#parent.drop(this.id);
  }

  /**
   * Whether there is still a file for who resolved the name. One that was replaced before it was opened is no more, but
   * the name never ceased to be there: the other file takes its place.
   */
  async #isThere(): Promise<boolean> {
    if (this.#connection?.open === true || (await this.#file.relinked())) return true;
    const file = await this.#parent.options.fileNamed(this.#path);
    if (this.#file.linked) return true;
    // The kernel may remember that there is no journal in here.
    if (file === undefined || (await file.foreignJournal()) !== undefined) return false;
    this.#connection?.forget();
    this.#connection = undefined;
    this.#file = file;
    this.#parent.passTo(this.id, file);
    return true;
  }

  #connected(): Connection {
    if (this.#connection !== undefined) return this.#connection;
    const parent = this.#parent;
    this.#connection = new Connection({
      ...parent.connectionOptions,
      id: this.id,
      file: this.#file,
      path: this.#path,
      name: this.#name,
      owner: () => this.#owner,
      opened: () => parent.opened(this.id, this.#file),
      closed: () => parent.closed(this.id, this.#file),
    });
    return this.#connection;
  }
}
