// Read connections: a snapshot holds one in a read transaction until it is released.
//
// They are opened as they are needed, up to a maximum; past it a snapshot waits for one to be released,
// for a bounded time. The last one released is used first, since its cache is the warmest.

import type Database from 'better-sqlite3';
import { MvfuseError } from '../../errors.js';
import { KV_SNAPSHOT_WAIT_MS_MAX } from '../../limits.js';
import type { Snapshot } from '../buffered-transaction.js';
import type { KeyValue, RangeOptions } from '../engine.js';
import { openForReading } from './data-file.js';
import { toStoreError } from './sqlite-error.js';

export class ReaderPool {
  readonly #path: string;
  readonly #connectionsMax: number;
  readonly #idle: ReadConnection[] = [];
  readonly #waiting: ((connection: ReadConnection) => void)[] = [];
  #opened = 0;

  constructor(path: string, connectionsMax: number) {
    this.#path = path;
    this.#connectionsMax = connectionsMax;
  }

  /** @throws BUSY when no connection became free in time */
  async openSnapshot(): Promise<Snapshot> {
    const connection = this.#idle.pop() ?? this.#openAnother() ?? (await this.#waitForOne());
    try {
      return connection.begin((released) => this.#release(released));
    } catch (error) {
      this.#release(connection);
      throw error;
    }
  }

  /** Every snapshot must have been released. */
  close(): void {
    for (const connection of this.#idle.splice(0)) connection.close();
  }

  #openAnother(): ReadConnection | undefined {
    if (this.#opened >= this.#connectionsMax) return undefined;
    const connection = reading(() => new ReadConnection(this.#path));
    this.#opened++;
    return connection;
  }

  #waitForOne(): Promise<ReadConnection> {
    return new Promise((resolve, reject) => {
      const expire = () => {
        this.#waiting.splice(this.#waiting.indexOf(take), 1);
        reject(new MvfuseError('BUSY', `all ${this.#connectionsMax} read connections are in use`));
      };
      const timer = setTimeout(expire, KV_SNAPSHOT_WAIT_MS_MAX);
      const take = (connection: ReadConnection) => {
        clearTimeout(timer);
        resolve(connection);
      };
      this.#waiting.push(take);
    });
  }

  #release(connection: ReadConnection): void {
    const take = this.#waiting.shift();
    if (take === undefined) this.#idle.push(connection);
    else take(connection);
  }
}

const PAIRS = 'SELECT p.key, coalesce(p.value, c.value) FROM pairs p LEFT JOIN content c ON c.id = p.content';

class ReadConnection {
  readonly #db: Database.Database;
  readonly #begin: Database.Statement;
  readonly #end: Database.Statement;
  readonly #counter: Database.Statement;
  readonly #get: Database.Statement;
  readonly #ascending: Database.Statement;
  readonly #descending: Database.Statement;

  constructor(path: string) {
    this.#db = openForReading(path);
    this.#begin = this.#db.prepare('BEGIN');
    this.#end = this.#db.prepare('COMMIT');
    this.#counter = this.#db.prepare('SELECT counter FROM meta').pluck();
    this.#get = this.#db.prepare(`${PAIRS} WHERE p.key = ?`).raw();
    const range = `${PAIRS} WHERE p.key >= ? AND p.key < ? ORDER BY p.key`;
    this.#ascending = this.#db.prepare(`${range} LIMIT ?`).raw();
    this.#descending = this.#db.prepare(`${range} DESC LIMIT ?`).raw();
  }

  begin(onRelease: (connection: ReadConnection) => void): Snapshot {
    // SQLite takes the snapshot at the first read, which is that of the counter.
    const counter = reading(() => {
      this.#begin.run();
      return this.#counter.get() as number;
    });
    return {
      counter,
      get: (key) => reading(() => (this.#get.get(key) as [Buffer, Buffer] | undefined)?.[1]),
      getRange: (begin, end, options) => reading(() => this.#readRange(begin, end, options)),
      release: () => {
        if (this.#db.inTransaction) this.#end.run();
        onRelease(this);
      },
    };
  }

  close(): void {
    this.#db.close();
  }

  #readRange(begin: Buffer, end: Buffer, { limit = -1, reverse }: RangeOptions): KeyValue[] {
    const statement = reverse ? this.#descending : this.#ascending;
    const rows = statement.all(begin, end, limit) as [Buffer, Buffer][];
    return rows.map(([key, value]) => ({ key, value }));
  }
}

function reading<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw toStoreError(error, 'reading the store failed');
  }
}
