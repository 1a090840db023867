// One version of a database as bytes: what a snapshot file shows, and the base that a connection works on.

import { HEADER_BYTES, type Header, readHeader, stampHeader } from '../sqlite/header.js';
import type { PageStore } from '../store/page-store.js';
import type { Head, NamespaceId, PageNumber } from '../store/types.js';

export class DatabaseVersion {
  readonly head: Head;
  /** Undefined where the version holds no SQLite database, or is only shown. */
  readonly header: Header | undefined;
  readonly #store: PageStore;
  readonly #namespace: NamespaceId;

  /** For a version whose header is known already; `open` reads it, `shown` needs none. */
  constructor(store: PageStore, namespace: NamespaceId, head: Head, header: Header | undefined) {
    this.#store = store;
    this.#namespace = namespace;
    this.head = head;
    this.header = header;
  }

  static async open(store: PageStore, namespace: NamespaceId, head: Head): Promise<DatabaseVersion> {
    if (head.sizeBytes === 0) return new DatabaseVersion(store, namespace, head, undefined);
    const [first] = await store.readPages(namespace, head, [1 as PageNumber]);
    return new DatabaseVersion(store, namespace, head, readHeader(first!));
  }

  /** For `pieces` alone, so that a page 1 that cannot be read concerns only those who read it. */
  static shown(store: PageStore, namespace: NamespaceId, head: Head): DatabaseVersion {
    return new DatabaseVersion(store, namespace, head, undefined);
  }

  get sizeBytes(): number {
    return this.head.sizeBytes;
  }

  /** Pages as stored, each pageBytes long. The caller must not change them. */
  pages(numbers: readonly PageNumber[]): Promise<Buffer[]> {
    return this.#store.readPages(this.#namespace, this.head, numbers);
  }

  /** The bytes from `offset`, `length` of them or as many as there are, in pieces that must not be changed. */
  async pieces(offset: number, length: number): Promise<Buffer[]> {
    const end = Math.min(offset + length, this.head.sizeBytes);
    if (end <= offset) return [];
    const { pageBytes } = this.head;
    const first = Math.floor(offset / pageBytes);
    const last = Math.floor((end - 1) / pageBytes);
    const numbers = Array.from({ length: last - first + 1 }, (_, index) => (first + index + 1) as PageNumber);
    const pieces = await this.pages(numbers);
    const tail = end - last * pageBytes;
    if (tail < pageBytes) pieces[pieces.length - 1] = pieces[pieces.length - 1]!.subarray(0, tail);
    const skipped = offset - first * pageBytes;
    if (skipped > 0) pieces[0] = pieces[0]!.subarray(skipped);
    return pieces;
  }

  /** Like `pieces`, with a plain page 1 shown under another change counter. */
  async piecesWithCounter(offset: number, length: number, counter: number): Promise<Buffer[]> {
    const pieces = await this.pieces(offset, length);
    if (this.header?.plain !== true || offset >= HEADER_BYTES || pieces.length === 0) return pieces;
    const [first] = await this.pages([1 as PageNumber]);
    const header = Buffer.from(first!.subarray(0, HEADER_BYTES));
    stampHeader(header, counter);
    const stamped = Buffer.from(pieces[0]!);
    header.copy(stamped, 0, offset, Math.min(HEADER_BYTES, offset + stamped.length));
    pieces[0] = stamped;
    return pieces;
  }
}
