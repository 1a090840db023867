// Loss of power at any moment, as far as it can be had without pulling a plug: every write and sync of a store's files
// is recorded while commits are made, and then each moment is gone back to with what a disk may have kept by then. What
// was acknowledged is there byte for byte, at its version; nothing is half; no version is issued twice.
//
// Runs on a disk that lies about its syncs must fail: they show that the check sees what it looks for.

import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { cutPlanned, isAcknowledgement, recordPlan } from '../support/planned-power-cut.js';
import type { PlanOptions } from '../support/power-cut-plan.js';
import { chooseSeed } from '../support/random.js';
import type { TraceEvent } from '../support/store-trace.js';

const LONG = process.env.MVFUSE_TEST_LONG === '1';
const SHARE = LONG ? 0.1 : 0.012;
const plan: PlanOptions = {
  seed: chooseSeed('power cuts'),
  phases: 2,
  commitsPerLane: LONG ? 30 : 6,
  pagesMax: 30,
};

let trace: TraceEvent[];

before(async () => {
  trace = await recordPlan(plan);
});

const isStop = (event: TraceEvent) => event.kind === 'syncEnd' || isAcknowledgement(event);

test('whenever the power is cut, all acknowledged commits are left, and nothing half', async (t) => {
  const count = await cutPlanned(trace, plan, { isStop, shareAt: () => SHARE });
  t.diagnostic(`${count} cuts in ${trace.length} calls, ${trace.filter(isAcknowledgement).length} commits`);
});

for (const file of ['wal', 'data', 'directory'] as const) {
  test(`a disk that does not sync the ${file} is found out`, async () => {
    const lying = trace.filter((event) => event.kind !== 'syncEnd' || event.file !== file);
    const found = /^Error: cut .*(is gone|were acknowledged|malformed|no such table|page)/;
    await assert.rejects(cutPlanned(lying, plan, { isStop, shareAt: () => 0 }), found);
  });
}
