// Two errors: one ends a COMMIT, the other hits SQLite while it rolls back. What could not be rolled back must not
// become visible later, and nobody may be left stuck.

import { test } from 'node:test';
import { LONG, runInjections } from '../support/injection-run.js';
import { commitPoint, EIO, type Fault, injectionSettings, type Setting } from '../support/injection-settings.js';

/** Requests of a rollback, and some of the reads that follow. */
const ROLLBACK_REQUESTS_MAX = 40;
const STRIDE = LONG ? 1 : 23;

function faults(labels: readonly string[], setting: Setting, index: number): Fault[] {
  const point = commitPoint(setting);
  const firsts = [labels.indexOf('W(db)') + 1, labels.lastIndexOf('W(db)') + 1];
  if (point !== undefined) firsts.push(labels.indexOf(point) + 1);
  const pairs = firsts.flatMap((nth) =>
    Array.from({ length: ROLLBACK_REQUESTS_MAX }, (_, at) => ({ nth, errno: EIO, next: { nth: at + 1, errno: EIO } })),
  );
  return pairs.filter((_, at) => (at + index) % STRIDE === 0);
}

for (const journal of ['DELETE', 'TRUNCATE', 'PERSIST', 'MEMORY', 'OFF'] as const) {
  test(`an error in a rollback, journal_mode=${journal}`, async (t) => {
    await runInjections(t, injectionSettings(journal), faults);
  });
}
