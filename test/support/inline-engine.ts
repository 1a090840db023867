// The sqlite engine without its writer's thread, for tests that open thousands of stores: the same files, the same
// group commit and the same readers, each commit a group of its own.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { MvfuseError } from '../../src/errors.js';
import { EmbeddedEngine, type EngineOptions } from '../../src/kv/embedded-engine.js';
import type { Engine } from '../../src/kv/engine.js';
import { CONFLICT } from '../../src/kv/retry.js';
import { DATA_FILE, openForWriting } from '../../src/kv/sqlite/data-file.js';
import { GroupCommitter } from '../../src/kv/sqlite/group-commit.js';
import { ReaderPool } from '../../src/kv/sqlite/reader-pool.js';
import { toStoreError } from '../../src/kv/sqlite/sqlite-error.js';

/** @throws as openEngine does */
export function openInlineEngine(directory: string, options: EngineOptions): Engine {
  mkdirSync(directory, { recursive: true });
  const path = join(directory, DATA_FILE);
  const db = openOrExplain(path);
  const committer = new GroupCommitter(db);
  const readers = new ReaderPool(path, 2);
  const backend = {
    openSnapshot: () => readers.openSnapshot(),
    commit: async (commit: Parameters<GroupCommitter['commit']>[0][number]) => {
      const outcome = committer.commit([commit]).outcomes[0]!;
      if ('error' in outcome) throw new MvfuseError(outcome.error.code, outcome.error.message);
      return 'conflict' in outcome ? CONFLICT : outcome.counter;
    },
    close: async () => {
      readers.close();
      db.close();
    },
  };
  return new EmbeddedEngine(backend, options);
}

function openOrExplain(path: string): ReturnType<typeof openForWriting> {
  try {
    return openForWriting(path, undefined);
  } catch (cause) {
    throw toStoreError(cause, 'opening the store failed');
  }
}
