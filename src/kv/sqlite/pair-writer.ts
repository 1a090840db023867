// Setting and clearing pairs on the writing connection, so that no content row is left without its key.

import type Database from 'better-sqlite3';
import type { ResolvedMutation } from '../mutation.js';
import { INLINE_VALUE_BYTES_MAX } from './data-file.js';

export class PairWriter {
  readonly #contentOf: Database.Statement;
  readonly #insertContent: Database.Statement;
  readonly #deleteContent: Database.Statement;
  readonly #upsert: Database.Statement;
  readonly #delete: Database.Statement;
  readonly #deleteContentRange: Database.Statement;
  readonly #deleteRange: Database.Statement;

  constructor(db: Database.Database) {
    this.#contentOf = db.prepare('SELECT content FROM pairs WHERE key = ?').pluck();
    this.#insertContent = db.prepare('INSERT INTO content (value) VALUES (?)');
    this.#deleteContent = db.prepare('DELETE FROM content WHERE id = ?');
    this.#upsert = db.prepare('REPLACE INTO pairs (key, value, content) VALUES (?, ?, ?)');
    this.#delete = db.prepare('DELETE FROM pairs WHERE key = ?');
    const inside = 'key >= ? AND key < ?';
    this.#deleteContentRange = db.prepare(
      `DELETE FROM content WHERE id IN (SELECT content FROM pairs WHERE ${inside} AND content IS NOT NULL)`,
    );
    this.#deleteRange = db.prepare(`DELETE FROM pairs WHERE ${inside}`);
  }

  apply(mutation: ResolvedMutation): void {
    switch (mutation.kind) {
      case 'set':
        this.#set(mutation.key, mutation.value);
        return;
      case 'clear':
        this.#clearContent(mutation.key);
        this.#delete.run(mutation.key);
        return;
      case 'clearRange':
        this.#deleteContentRange.run(mutation.begin, mutation.end);
        this.#deleteRange.run(mutation.begin, mutation.end);
    }
  }

  #set(key: Buffer, value: Buffer): void {
    this.#clearContent(key);
    if (value.length <= INLINE_VALUE_BYTES_MAX) {
      this.#upsert.run(key, value, null);
    } else {
      this.#upsert.run(key, null, this.#insertContent.run(value).lastInsertRowid);
    }
  }

  #clearContent(key: Buffer): void {
    const content = this.#contentOf.get(key) as number | null | undefined;
    if (content !== null && content !== undefined) this.#deleteContent.run(content);
  }
}
