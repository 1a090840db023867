// A client of one namespace that goes on writing and reading while something is wrong elsewhere.

import assert from 'node:assert/strict';
import { Client } from './client.js';

const TRANSACTIONS = 15;

export class Bystander {
  readonly #client = new Client();
  #count = 0;
  #normalMs = 0;

  /** Makes its table, and measures how long its work takes when all is well. */
  static async start(path: string): Promise<Bystander> {
    const bystander = new Bystander();
    await bystander.#client.open(path);
    await bystander.#client.exec('CREATE TABLE IF NOT EXISTS bystander(n INTEGER PRIMARY KEY, pad)');
    await bystander.#client.exec('DELETE FROM bystander');
    bystander.#normalMs = await bystander.#work();
    return bystander;
  }

  /** Works on. @throws when it takes far longer than it should, or an answer is wrong */
  async goesOn(factor = 10): Promise<void> {
    const ms = await this.#work();
    const msMax = factor * this.#normalMs + 2_000;
    assert.ok(ms < msMax, `${TRANSACTIONS} transactions took ${ms} ms, and ${this.#normalMs} ms when all was well`);
  }

  kill(): Promise<void> {
    return this.#client.kill();
  }

  async #work(): Promise<number> {
    const startMs = performance.now();
    for (let done = 0; done < TRANSACTIONS; done += 1) {
      await this.#client.exec('INSERT INTO bystander(pad) VALUES(randomblob(2000))');
      this.#count += 1;
      assert.deepEqual(await this.#client.exec('SELECT count(*) FROM bystander'), [[this.#count]]);
    }
    return Math.round(performance.now() - startMs);
  }
}
