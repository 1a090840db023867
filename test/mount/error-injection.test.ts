// Every request of a COMMIT answered with an error, for every journal mode, synchronous setting and locking mode, with
// and without another statement open. Whatever SQLite makes of the error: an acknowledged commit is there, one that
// was answered with an error is not (past the commit point: whole or not at all), and the connection writes again.

import { test } from 'node:test';
import { endsOfRuns, everyRequest, LONG, runInjections } from '../support/injection-run.js';
import { injectionSettings } from '../support/injection-settings.js';

for (const journal of ['DELETE', 'TRUNCATE', 'PERSIST', 'MEMORY', 'OFF'] as const) {
  test(`an error at each request of a COMMIT, journal_mode=${journal}`, async (t) => {
    await runInjections(t, injectionSettings(journal), (labels, { cursor }, index) => {
      const faults = everyRequest(labels);
      if (LONG) return faults;
      const chosen = endsOfRuns(labels, faults);
      return chosen.filter((_, at) => (at + index) % (cursor === 'none' ? 2 : 3) === 0);
    });
  });
}
