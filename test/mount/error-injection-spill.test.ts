// Transactions larger than SQLite's cache, which writes pages to the database before COMMIT: an error at each of
// their requests (normally at every 23rd, others for each setting) leaves nothing of them behind.

import { test } from 'node:test';
import { everyRequest, LONG, runInjections } from '../support/injection-run.js';
import { injectionSettings } from '../support/injection-settings.js';

const STRIDE = LONG ? 1 : 23;

for (const journal of ['DELETE', 'TRUNCATE', 'PERSIST', 'MEMORY', 'OFF'] as const) {
  test(`an error in a transaction that spills, journal_mode=${journal}`, async (t) => {
    await runInjections(t, injectionSettings(journal, true), (labels, _setting, index) =>
      everyRequest(labels).filter((_, at) => (at + index) % STRIDE === 0),
    );
  });
}
