// The engines that the suites run against. An engine joins by one entry here.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Engine } from '../../src/kv/engine.js';
import { openEngine } from '../../src/kv/open.js';

/** One isolated store, which can be opened again when it is persistent. */
export interface TestStore {
  readonly url: string;
  open(clock?: EngineClock): Promise<Engine>;
  /** Closes every engine that open() gave and removes the store. */
  remove(): Promise<void>;
}
export interface EngineClock {
  readonly clock?: () => number;
  readonly monotonicMs?: () => number;
}

export interface TestEngine {
  readonly name: string;
  readonly isPersistent: boolean;
  create(): Promise<TestStore>;
}

export const TEST_ENGINES: readonly TestEngine[] = [
  { name: 'memory', isPersistent: false, create: async () => testStore('memory:', async () => {}) },
  { name: 'sqlite', isPersistent: true, create: createSqlite },
];

async function createSqlite(): Promise<TestStore> {
  const directory = await mkdtemp(join(tmpdir(), 'mvfuse-kv-'));
  return testStore(`sqlite:${directory}/store`, () => rm(directory, { recursive: true, force: true }));
}

function testStore(url: string, removeFiles: () => Promise<void>): TestStore {
  const engines: Engine[] = [];
  return {
    url,
    open: async (clock = {}) => {
      const engine = await openEngine(url, { clock: Date.now, ...clock });
      engines.push(engine);
      return engine;
    },
    remove: async () => {
      await Promise.all(engines.map((engine) => engine.close()));
      await removeFiles();
    },
  };
}
