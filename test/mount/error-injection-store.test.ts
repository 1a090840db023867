// The store refuses a commit: SQLite is told at the request that asked for it, and nothing of the transaction stays,
// neither in the database nor in the connection's cache.

import { test } from 'node:test';
import { runInjections } from '../support/injection-run.js';
import { EIO, ENOSPC, injectionSettings } from '../support/injection-settings.js';

for (const journal of ['DELETE', 'TRUNCATE', 'PERSIST', 'MEMORY', 'OFF'] as const) {
  test(`a commit that the store refuses, journal_mode=${journal}`, async (t) => {
    const settings = injectionSettings(journal).filter(({ cursor }) => cursor !== 'dropped');
    await runInjections(t, settings, () => [EIO, ENOSPC].map((errno) => ({ nth: 0, errno })));
  });
}
