// A rollback journal or super-journal: a file beside the database of one connection, seen by nobody else and never
// durable. Its bytes are SQLite's; what matters is when it is written, finalised and removed.

import type { Attributes, SetattrRequest } from '../native/binding.js';
import { isFinalisingWrite, isHot } from '../sqlite/rollback-journal.js';
import type { Connection } from './connection.js';
import { fileAttributes, type InodeNumber, Node, type OpenMode } from './node.js';
import { EMPTY_BASE, Overlay } from './overlay.js';

export type PrivateFileKind = 'journal' | 'super-journal';

export class PrivateFile extends Node {
  readonly #connection: Connection;
  readonly name: string;
  readonly kind: PrivateFileKind;
  readonly content: Overlay;
  /** The daemon may take a journal away, so its name is asked for each time. */
  override readonly entryTtlMs = 0;
  #timeMs: number;
  /** It has no name any more; who has it open may still use it. */
  #removed = false;

  constructor(ino: InodeNumber, connection: Connection, name: string, kind: PrivateFileKind) {
    super(ino);
    this.#connection = connection;
    this.name = name;
    this.kind = kind;
    this.content = new Overlay(EMPTY_BASE, connection.file.spill);
    this.#timeMs = Date.now();
  }

  override get connection(): Connection {
    return this.#connection;
  }

  /** Its name is gone. */
  async removed(): Promise<void> {
    this.#removed = true;
    await this.content.dispose();
  }

  /** What was written after that goes now. */
  override forgotten(): void {
    if (this.#removed) void this.content.dispose();
  }

  /** Whether SQLite would roll back from it. */
  async hot(): Promise<boolean> {
    return isHot(await this.content.read(0, 1));
  }

  override async attributes(): Promise<Attributes> {
    return fileAttributes(this.ino, this.connection.owner, 0o600, this.content.sizeBytes, this.#timeMs);
  }

  override async open(_fh: number, mode: OpenMode): Promise<void> {
    if (mode.truncate) await this.#truncate(0);
  }

  override async read(_fh: number, offset: number, size: number): Promise<Buffer[]> {
    return [await this.content.read(offset, size)];
  }

  override async write(_fh: number, offset: number, data: Buffer): Promise<void> {
    if (this.kind === 'journal') {
      if (isFinalisingWrite(offset, data)) await this.connection.transaction.journalFinalised();
      else this.connection.transaction.journalWritten();
    }
    await this.content.write(offset, data);
    if (this.kind === 'super-journal') await this.connection.checkSuperJournal(this);
  }

  override async setAttributes(request: SetattrRequest): Promise<void> {
    if (request.size !== undefined) await this.#truncate(request.size);
  }

  async #truncate(sizeBytes: number): Promise<void> {
    if (this.kind === 'journal' && sizeBytes === 0) await this.connection.transaction.journalFinalised();
    await this.content.truncate(sizeBytes);
  }
}
