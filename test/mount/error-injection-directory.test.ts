// Every request of a COMMIT answered with an error, for a process that has created its database in a mounted directory,
// where that is a plain file with its journals beside it. Others see it through the symlink.

import { test } from 'node:test';
import { endsOfRuns, everyRequest, LONG, runInjections } from '../support/injection-run.js';
import { injectionSettings } from '../support/injection-settings.js';

/** Normally every fifth setting, and every other of its requests. */
const SETTING_STRIDE = LONG ? 1 : 5;
const STRIDE = LONG ? 1 : 2;
/** synchronous=FULL, and no other statement. */
const SETTING_AMONG_OTHERS = 12;

for (const journal of LONG ? (['DELETE', 'TRUNCATE', 'PERSIST', 'MEMORY', 'OFF'] as const) : (['DELETE'] as const)) {
  test(`an error at each request of a creator's COMMIT, journal_mode=${journal}`, async (t) => {
    const settings = injectionSettings(journal).filter((_, index) => index % SETTING_STRIDE === 0);
    const choose: Parameters<typeof runInjections>[2] = (labels, _setting, index) =>
      endsOfRuns(labels, everyRequest(labels)).filter((_, at) => (at + index) % STRIDE === 0);
    await runInjections(t, settings, choose, { created: true, others: 0 });
  });
}

for (const created of [true, false]) {
  const whose = created ? "a creator's COMMIT" : 'a COMMIT';
  test(`an error at each request of ${whose} among eight processes`, async (t) => {
    const settings = injectionSettings('DELETE').filter((_, index) => LONG || index === SETTING_AMONG_OTHERS);
    const choose: Parameters<typeof runInjections>[2] = (labels) =>
      endsOfRuns(labels, everyRequest(labels)).filter((_, at) => at % STRIDE === 0);
    await runInjections(t, settings, choose, { created, others: 6 });
  });
}
