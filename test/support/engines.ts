// The engines that the suites run against. An engine joins by one entry here.

import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Engine } from '../../src/kv/engine.js';
import { openEngine } from '../../src/kv/open.js';
import { foundationdbUrl, TEST_CLUSTER_FILE } from './foundationdb.js';

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
  /** Several processes may have it open at once. */
  readonly isShared: boolean;
  create(): Promise<TestStore>;
}

const EMBEDDED_ENGINES: readonly TestEngine[] = [
  { name: 'memory', isPersistent: false, isShared: false, create: async () => testStore('memory:', async () => {}) },
  { name: 'sqlite', isPersistent: true, isShared: false, create: createSqlite },
];

/** Those that live here; with `npm run test:fdb`, the one that does not. */
export const TEST_ENGINES: readonly TestEngine[] =
  TEST_CLUSTER_FILE === undefined
    ? EMBEDDED_ENGINES
    : [{ name: 'foundationdb', isPersistent: true, isShared: true, create: createFoundationdb }];

/** Each in a part of the cluster that nobody else uses. */
async function createFoundationdb(): Promise<TestStore> {
  return testStore(foundationdbUrl(TEST_CLUSTER_FILE!, `test-${randomUUID()}`), async () => {});
}

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
