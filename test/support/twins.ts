// The same statements on mounted databases and on plain local ones, in lockstep: the plain side is the oracle.
//
// Each side has two databases (main, and aux attached to every connection), and three connections: 0 and 1 in one
// process, 2 in another. Whatever one side answers, rows or the name of SQLite's error, the other must answer too.
// A reader apart keeps an old snapshot: on the plain side it reads a copy that was taken at that moment, because there a
// reader would block the writers, and in the mount it must not.

import assert from 'node:assert/strict';
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { Client, ClientError, type Digest, type Row } from './client.js';

export const CONNECTIONS = 3;
const HISTORY_LENGTH = 60;
const KILLED_LOCKS_GO_MS_MAX = 20_000;

export interface Paths {
  readonly main: string;
  readonly aux: string;
}

/** What a statement came to. */
export type Outcome = { readonly rows: Row[] } | { readonly error: string };

type SideName = 'mounted' | 'plain';

class Side {
  readonly paths: Paths;
  readonly clients: Client[] = [new Client(), new Client()];
  readonly reader = new Client();

  constructor(paths: Paths) {
    this.paths = paths;
  }

  client(connection: number): Client {
    return this.clients[connection === 2 ? 1 : 0]!;
  }

  async open(connection: number, timeout = 0): Promise<void> {
    const client = this.client(connection);
    await client.open(this.paths.main, connection, { timeout });
    await client.exec('ATTACH ? AS aux', connection, [this.paths.aux]);
  }
}

export class Twins {
  readonly mounted: Side;
  readonly plain: Side;
  readonly #label: string;
  readonly #scratch: string;
  readonly #history: string[] = [];
  #reading = false;
  #steps = 0;

  /** @param label says in a failure which run it was, with its seed */
  constructor(label: string, mounted: Paths, plain: Paths, scratch: string) {
    this.#label = label;
    this.mounted = new Side(mounted);
    this.plain = new Side(plain);
    this.#scratch = scratch;
  }

  get reading(): boolean {
    return this.#reading;
  }

  async open(): Promise<void> {
    for (const side of [this.mounted, this.plain]) {
      for (let connection = 0; connection < CONNECTIONS; connection += 1) await side.open(connection);
    }
  }

  async end(): Promise<void> {
    for (const side of [this.mounted, this.plain]) {
      for (const client of [...side.clients, side.reader]) await client.kill();
    }
  }

  /** Runs a statement on both sides. */
  async exec(connection: number, sql: string, params: unknown[] = []): Promise<Outcome> {
    this.note(`${connection}: ${sql}${params.length > 0 ? ` ${JSON.stringify(params).slice(0, 80)}` : ''}`);
    return this.#same(sql, (side) => side.client(connection).exec(sql, connection, params));
  }

  /** Runs a statement on one side only, where a written rule says that the other does something else. */
  async only(name: SideName, connection: number, sql: string): Promise<Outcome> {
    this.note(`${connection}: ${sql} (${name} only)`);
    return outcome(this[name].client(connection).exec(sql, connection));
  }

  async cursor(connection: number, sql: string, cursor: string): Promise<Outcome> {
    this.note(`${connection}: cursor ${cursor}: ${sql}`);
    return this.#same(sql, async (side) => {
      await side.client(connection).cursor(sql, cursor, connection);
      return [];
    });
  }

  async fetch(connection: number, cursor: string, count: number): Promise<Outcome> {
    this.note(`${connection}: fetch ${count} of ${cursor}`);
    return this.#same('fetch', (side) => side.client(connection).fetch(cursor, count, connection));
  }

  async drop(connection: number, cursor: string): Promise<void> {
    this.note(`${connection}: drop ${cursor}`);
    for (const side of [this.mounted, this.plain]) await side.client(connection).drop(cursor, connection);
  }

  async inTransaction(connection: number): Promise<boolean> {
    const outcome = await this.#same('in_transaction', async (side) => [
      [await side.client(connection).inTransaction(connection)],
    ]);
    return 'rows' in outcome && outcome.rows[0]![0] === true;
  }

  async reattach(connection: number): Promise<void> {
    const { error } = { error: undefined, ...(await this.exec(connection, 'DETACH aux')) };
    if (error !== undefined) return;
    this.note(`${connection}: ATTACH aux`);
    await this.#same('ATTACH', (side) => side.client(connection).exec('ATTACH ? AS aux', connection, [side.paths.aux]));
  }

  /** Kills the process of connection 2, whatever it was doing, and opens the connection in a new one. */
  async killSecondProcess(): Promise<void> {
    this.note('2: killed');
    for (const side of [this.mounted, this.plain]) {
      await side.clients[1]!.kill();
      side.clients[1] = new Client();
      await side.open(2, KILLED_LOCKS_GO_MS_MAX / 1000);
    }
    // The kernel gives a dead process's locks back some time after it has gone.
    await this.exec(2, 'BEGIN IMMEDIATE');
    await this.exec(2, 'COMMIT');
    await this.exec(2, 'PRAGMA busy_timeout=0');
  }

  /** Starts a read transaction that stays open. No write transaction may be open. */
  async openReader(): Promise<void> {
    this.note('reader: BEGIN');
    const copy = join(this.#scratch, 'snapshot.db');
    copyFileSync(this.plain.paths.main, copy);
    await this.plain.reader.open(copy);
    await this.mounted.reader.open(this.mounted.paths.main, 0, { timeout: 0 });
    for (const { reader } of [this.mounted, this.plain]) {
      await reader.exec('BEGIN');
      await reader.exec('SELECT count(*) FROM sqlite_schema');
    }
    this.#reading = true;
  }

  /** The reader must still see what was there when it began. */
  async checkReader(): Promise<void> {
    this.note('reader: digest');
    await this.#same('the digest of an old snapshot', async ({ reader }) => [[await reader.digest()]]);
  }

  async closeReader(): Promise<void> {
    await this.checkReader();
    this.note('reader: COMMIT');
    for (const { reader } of [this.mounted, this.plain]) {
      await reader.exec('COMMIT');
      await reader.close();
    }
    this.#reading = false;
  }

  /** The content of both databases, the same on both sides, which must be sound. */
  async digest(connection: number): Promise<{ main: Digest; aux: Digest }> {
    this.note(`${connection}: digest`);
    const outcome = await this.#same('digest', async (side) => {
      const client = side.client(connection);
      return [[await client.digest(connection), await client.digest(connection, 'aux')]];
    });
    if (!('rows' in outcome)) throw this.failure(`no digest: ${outcome.error}`);
    const [main, aux] = outcome.rows[0] as [Digest, Digest];
    const found = [main.integrity, aux.integrity];
    if (!isDeepStrictEqual(found, [['ok'], ['ok']])) {
      throw this.failure(`corrupt in the mount and locally, in the same way: ${JSON.stringify(found)}`);
    }
    return { main, aux };
  }

  note(line: string): void {
    this.#steps += 1;
    this.#history.push(`${this.#steps} ${line}`);
    if (this.#history.length > HISTORY_LENGTH) this.#history.shift();
  }

  failure(what: string): Error {
    return new Error(`${this.#label}: ${what}\n  ${this.#history.join('\n  ')}`);
  }

  async #same(what: string, act: (side: Side) => Promise<Row[]>): Promise<Outcome> {
    const [mounted, plain] = await Promise.all([outcome(act(this.mounted)), outcome(act(this.plain))]);
    try {
      assert.deepEqual(mounted, plain);
    } catch (error) {
      throw this.failure(`"${what}" came to something else in the mount (+) than locally (-): ${String(error)}`);
    }
    if ('error' in mounted) this.note(`  ${mounted.error}`);
    return mounted;
  }
}

async function outcome(work: Promise<Row[]>): Promise<Outcome> {
  try {
    return { rows: await work };
  } catch (error) {
    if (error instanceof ClientError) return { error: error.code };
    throw error;
  }
}
