// The write-ahead log of a connection in the exclusive locking mode, the only one in which SQLite needs no shared memory
// for it. It is private to the connection, and durable in nothing: a transaction is committed to the store by the write
// that completes it in the log, at every `synchronous`. What SQLite copies from the log to the database later is there.

import {
  FRAME_HEADER_BYTES,
  frameAt,
  frameEndingAt,
  pageBytesOfLog,
  readFrameHeader,
  WAL_HEADER_BYTES,
} from '../sqlite/wal.js';
import { RequestError } from './errno.js';
import type { Overlay } from './overlay.js';
import type { Transaction } from './transaction.js';

export class WriteAheadLog {
  readonly #content: Overlay;
  readonly #transaction: Transaction;
  /** The last frame of the last transaction. */
  #committed = 0;
  /** The pages in the frames behind it. SQLite may take some back and write others there. */
  #pages: number[] = [];

  constructor(content: Overlay, transaction: Transaction) {
    this.#content = content;
    this.#transaction = transaction;
  }

  /** @throws when the transaction that these bytes complete was not committed */
  async write(offset: number, data: Buffer): Promise<void> {
    // SQLite begins anew behind another header once everything was copied.
    if (offset === 0) this.#begin();
    const pageBytes = pageBytesOfLog(await this.#content.read(0, WAL_HEADER_BYTES));
    try {
      await this.#content.write(offset, data);
    } catch (error) {
      // Checksums of what is committed: SQLite takes it for rolled back.
      if (pageBytes !== undefined && offset < frameAt(this.#committed + 1, pageBytes)) this.#transaction.abandon();
      throw error;
    }
    const frame = pageBytes === undefined ? undefined : frameEndingAt(offset + data.length, pageBytes);
    if (frame !== undefined && frame > this.#committed) await this.#completed(frame, pageBytes!);
  }

  #begin(): void {
    this.#committed = 0;
    this.#pages = [];
  }

  async #completed(frame: number, pageBytes: number): Promise<void> {
    const { page, pageCount } = readFrameHeader(
      await this.#content.read(frameAt(frame, pageBytes), FRAME_HEADER_BYTES),
    );
    const index = frame - this.#committed - 1;
    if (index > this.#pages.length || page < 1 || pageBytes !== this.#transaction.head?.pageBytes) {
      throw new RequestError('EIO', 'no write-ahead log of this database');
    }
    this.#pages[index] = page;
    if (pageCount === 0) return;
    const frames = new Map(this.#pages.slice(0, index + 1).map((each, at) => [each, this.#committed + 1 + at]));
    await this.#transaction.commitLogged(this.#read(frames, pageBytes), pageCount * pageBytes);
    this.#committed = frame;
    this.#pages = [];
  }

  /** @param frames the last of each page */
  async *#read(
    frames: ReadonlyMap<number, number>,
    pageBytes: number,
  ): AsyncGenerator<{ offset: number; data: Buffer }> {
    for (const [page, frame] of frames) {
      const data = await this.#content.read(frameAt(frame, pageBytes) + FRAME_HEADER_BYTES, pageBytes);
      yield { offset: (page - 1) * pageBytes, data };
    }
  }
}
