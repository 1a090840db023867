// Hosts that share a store in one process: each with a store of its own on the same engine, and clocks that tests set.

import { setTimeout as sleep } from 'node:timers/promises';
import type { Engine } from '../../src/kv/engine.js';
import type { PageStore } from '../../src/store/page-store.js';
import { openStore } from './stores.js';

/** Of all hosts, and of all kinds; it goes on only when a test says so. */
export interface SharedClock {
  nowMs: number;
}

/** As long as what is open counts after the last sign of life; those come of themselves only every few seconds. */
export const HOST_LEASE_MS = 60_000;

let started = 0;

export class SimulatedHost {
  readonly store: PageStore;
  readonly #sleeping: { now: boolean };

  private constructor(store: PageStore, sleeping: { now: boolean }) {
    this.store = store;
    this.#sleeping = sleeping;
  }

  static async start(engine: Engine, clock: SharedClock): Promise<SimulatedHost> {
    const sleeping = { now: false };
    const awake = async <T>(work: () => Promise<T>): Promise<T> => {
      while (sleeping.now) await sleep(2);
      return work();
    };
    const own: Engine = {
      transact: (body, options) => awake(() => engine.transact(body, options)),
      read: (body, options) => awake(() => engine.read(body, options)),
      watch: (key, value, signal) => awake(() => engine.watch(key, value, signal)),
      close: async () => {},
    };
    const host = {
      name: 'simulated',
      pid: 1,
      identity: { place: 'here', pid: 1, started: `simulated-${started++}` },
      isGone: () => false,
      bootTimeMs: () => clock.nowMs,
      leaseMs: HOST_LEASE_MS,
      leaseReads: true,
    };
    // Without a cache worth the name every read shows what is stored.
    const store = await openStore(own, { host, clock: () => clock.nowMs, cacheBytesMax: 1 });
    return new SimulatedHost(store, sleeping);
  }

  /** Nothing that it asks of the engine is done before it wakes. */
  sleep(): void {
    this.#sleeping.now = true;
  }

  wake(): void {
    this.#sleeping.now = false;
  }

  async close(): Promise<void> {
    this.wake();
    await this.store.close();
  }
}
