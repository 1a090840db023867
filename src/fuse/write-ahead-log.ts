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
import type { Overlay } from './overlay.js';
import type { Transaction } from './transaction.js';

export class WriteAheadLog {
  readonly #content: Overlay;
  readonly #transaction: Transaction;
  /** The last frame of the last transaction. */
  #committed = 0;

  constructor(content: Overlay, transaction: Transaction) {
    this.#content = content;
    this.#transaction = transaction;
  }

  /** @throws when the transaction that these bytes complete was not committed */
  async write(offset: number, data: Buffer): Promise<void> {
    // SQLite begins anew behind another header once everything was copied.
    if (offset === 0) this.#committed = 0;
    const pageBytes = await this.#pageBytes();
    try {
      await this.#content.write(offset, data);
    } catch (error) {
      // Checksums of what is committed: SQLite takes it for rolled back.
      if (pageBytes !== undefined && offset < frameAt(this.#committed + 1, pageBytes)) this.#transaction.abandon();
      throw error;
    }
    const last = pageBytes === undefined ? undefined : frameEndingAt(offset + data.length, pageBytes);
    if (last === undefined || last <= this.#committed) return;
    const { pageCount } = await this.#header(last, pageBytes!);
    if (pageCount === 0) return;
    const frames = new Map<number, number>();
    for (let frame = this.#committed + 1; frame <= last; frame += 1) {
      frames.set((await this.#header(frame, pageBytes!)).page, frame);
    }
    await this.#transaction.commitLogged(this.#pages(frames, pageBytes!), pageCount * pageBytes!);
    this.#committed = last;
  }

  async #pageBytes(): Promise<number | undefined> {
    return pageBytesOfLog(await this.#content.read(0, WAL_HEADER_BYTES));
  }

  async #header(frame: number, pageBytes: number): Promise<{ page: number; pageCount: number }> {
    return readFrameHeader(await this.#content.read(frameAt(frame, pageBytes), FRAME_HEADER_BYTES));
  }

  async *#pages(
    frames: ReadonlyMap<number, number>,
    pageBytes: number,
  ): AsyncGenerator<{ offset: number; data: Buffer }> {
    for (const [page, frame] of frames) {
      const data = await this.#content.read(frameAt(frame, pageBytes) + FRAME_HEADER_BYTES, pageBytes);
      yield { offset: (page - 1) * pageBytes, data };
    }
  }
}
