// A rollback journal, super-journal or write-ahead log: a file beside the database of one connection, seen by nobody else
// and never durable. Its bytes are SQLite's; what matters is when it is written, finalised and removed.

import type { Attributes, SetattrRequest } from '../native/binding.js';
import { isFinalisingWrite, isHot } from '../sqlite/rollback-journal.js';
import { PERMISSION_BITS } from './access.js';
import type { Connection } from './connection.js';
import type { ForeignJournal } from './foreign-journal.js';
import { type CachePolicy, fileAttributes, type InodeNumber, Node, type OpenMode } from './node.js';
import { EMPTY_BASE, Overlay } from './overlay.js';
import { WriteAheadLog } from './write-ahead-log.js';

export type PrivateFileKind = 'journal' | 'super-journal' | 'wal';

export interface PrivateFileOptions {
  readonly name: string;
  readonly kind: PrivateFileKind;
  readonly foreign: ForeignJournal | undefined;
  /** Permission bits. SQLite wants those of the database, and would set them. */
  readonly mode: number;
}

export class PrivateFile extends Node {
  readonly #connection: Connection;
  readonly name: string;
  readonly kind: PrivateFileKind;
  readonly content: Overlay;
  readonly #log: WriteAheadLog | undefined;
  #foreign: ForeignJournal | undefined;
  /** The daemon may take a journal away, so its name is asked for each time. */
  override readonly entryTtlMs = 0;
  #timeMs: number;
  #mode: number;

  constructor(ino: InodeNumber, connection: Connection, { name, kind, foreign, mode }: PrivateFileOptions) {
    super(ino);
    this.#connection = connection;
    this.name = name;
    this.kind = kind;
    this.#foreign = foreign;
    this.#mode = mode;
    this.content = new Overlay(foreign?.content ?? EMPTY_BASE, connection.file.spill);
    this.#log = kind === 'wal' ? new WriteAheadLog(this.content, connection.transaction) : undefined;
    this.#timeMs = Date.now();
  }

  /** The journal that somebody put beside the database, as long as this is that one. */
  get foreign(): ForeignJournal | undefined {
    return this.#foreign;
  }

  override get connection(): Connection {
    return this.#connection;
  }

  /** Whether SQLite would roll back from it. */
  async hot(): Promise<boolean> {
    return isHot(await this.content.read(0, 1));
  }

  override async attributes(): Promise<Attributes> {
    return fileAttributes(this.ino, this.connection.owner, this.#mode, this.content.sizeBytes, this.#timeMs);
  }

  override async open(_fh: number, mode: OpenMode): Promise<CachePolicy> {
    if (mode.truncate) await this.#truncate(0);
    return 'direct';
  }

  override async read(_fh: number, offset: number, size: number): Promise<Buffer[]> {
    return [await this.content.read(offset, size)];
  }

  override async write(_fh: number, offset: number, data: Buffer): Promise<void> {
    if (this.kind === 'journal') {
      if (isFinalisingWrite(offset, data)) await this.#finalised();
      else this.connection.transaction.journalWritten();
    }
    if (this.#log !== undefined) return this.#log.write(offset, data);
    await this.content.write(offset, data);
    if (this.kind === 'super-journal') await this.connection.checkSuperJournal(this);
  }

  override async setAttributes(request: SetattrRequest): Promise<void> {
    if (request.mode !== undefined) this.#mode = request.mode & PERMISSION_BITS;
    if (request.size !== undefined) await this.#truncate(request.size);
  }

  /** Nobody can reach it any more: gives its bytes back. */
  discard(): void {
    this.content
      .dispose()
      .catch((error: unknown) => this.connection.file.log.warn({ err: error }, 'a journal was kept'));
  }

  /** A journal that is only closed stays; one that was taken away may have been written on while it was open. */
  override forgotten(): void {
    if (this.connection.sibling(this.name) !== this) this.discard();
  }

  async #truncate(sizeBytes: number): Promise<void> {
    if (this.kind === 'journal' && sizeBytes === 0) await this.#finalised();
    await this.content.truncate(sizeBytes);
  }

  async #finalised(): Promise<void> {
    await this.connection.journalFinalised(this);
    this.#foreign = undefined;
  }
}
