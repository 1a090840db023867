// The database's file as the kernel knows it; what it is asked is the connection's business (connection.ts).

import type { Attributes, SetattrRequest } from '../native/binding.js';
import { PERMISSION_BITS } from './access.js';
import type { Connection } from './connection.js';
import type { ExtendedAttributes } from './extended-attributes.js';
import { type CachePolicy, type Caller, type InodeNumber, Node, type OpenMode } from './node.js';

/** The inode of a connection's database. */
export class Database extends Node {
  readonly #connection: Connection;
  /** Size and time are those of a snapshot that changes with the locks. */
  override readonly attrTtlMs = 0;

  constructor(ino: InodeNumber, connection: Connection) {
    super(ino);
    this.#connection = connection;
  }

  override get connection(): Connection {
    return this.#connection;
  }

  override attributes(): Promise<Attributes> {
    return this.connection.attributes();
  }
  override extendedAttributes(): Promise<ExtendedAttributes> {
    return this.connection.extendedAttributes();
  }
  override open(fh: number, mode: OpenMode, caller: Caller): Promise<CachePolicy> {
    return this.connection.openDatabase(fh, mode, caller);
  }
  override read(fh: number, offset: number, size: number): Promise<Buffer[]> {
    return this.connection.read(fh, offset, size);
  }
  override readAnswered(pieces: Buffer[]): void {
    this.connection.readAnswered(pieces);
  }
  override write(fh: number, offset: number, data: Buffer, caller: Caller): Promise<void> {
    return this.connection.write(fh, offset, data, caller);
  }
  override async setAttributes(request: SetattrRequest, caller: Caller): Promise<void> {
    if (request.size !== undefined) await this.connection.truncate(request.fh, request.size, caller);
    if (request.mode !== undefined) await this.connection.file.setMode(request.mode & PERMISSION_BITS);
  }
  override sync(): Promise<void> {
    return this.connection.sync();
  }
  override flush(fh: number, lockOwner: bigint, caller: Caller): Promise<void> {
    return this.connection.flush(fh, lockOwner, caller);
  }
  override release(fh: number): Promise<void> {
    return this.connection.releaseDatabase(fh);
  }
  /** Of a database below `.c` its directory hears that. */
  override forgotten(): void {
    if (this.connection.inRoot) this.connection.forget();
  }
}
