// Loss of power while the write-ahead log is copied back into the database file, and when it is written anew from its
// start. Commits large enough that both happen several times; the cuts lie around those moments.

import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { cutPlanned, isAcknowledgement, recordPlan } from '../support/planned-power-cut.js';
import type { PlanOptions } from '../support/power-cut-plan.js';
import { chooseSeed } from '../support/random.js';
import type { TraceEvent } from '../support/store-trace.js';

const LONG = process.env.MVFUSE_TEST_LONG === '1';
const SHARE = LONG ? 0.02 : 0.003;
/** Syncs of the log after a checkpoint that still count as its neighbourhood. */
const SYNCS_AFTER = 3;
const plan: PlanOptions = {
  seed: chooseSeed('power cuts at checkpoints'),
  phases: 1,
  commitsPerLane: LONG ? 30 : 12,
  pagesMax: 140,
};

let trace: TraceEvent[];
let isNear: boolean[];

before(async () => {
  trace = await recordPlan(plan);
  isNear = neighbourhoods(trace);
});

/** For each call whether it belongs to a checkpoint, from the sync before it to the first commits after it. */
function neighbourhoods(events: readonly TraceEvent[]): boolean[] {
  const near = events.map(() => false);
  let syncsLeft = 0;
  for (const [at, event] of events.entries()) {
    if (event.kind === 'write' && event.file === 'data') syncsLeft = SYNCS_AFTER;
    if (syncsLeft === 0) continue;
    near[at] = true;
    if (event.kind === 'syncEnd' && event.file === 'wal') syncsLeft -= 1;
  }
  return near;
}

const isStop = (event: TraceEvent, at: number) => isNear[at]! && (event.kind === 'syncEnd' || isAcknowledgement(event));
const shareAt = (at: number) => (isNear[at]! ? SHARE : 0);

test('power cuts around checkpoints leave all acknowledged commits, and nothing half', async (t) => {
  const restarts =
    trace.filter((event) => event.kind === 'write' && event.file === 'wal' && event.offset === 0).length - 1;
  const count = await cutPlanned(trace, plan, { isStop, shareAt });
  t.diagnostic(
    `${count} cuts in ${isNear.filter(Boolean).length} calls of ${trace.length}; ${restarts} restarts of the log`,
  );
  assert.ok(restarts > 0, 'the log was never written anew: this shows nothing');
});

test('a checkpoint that does not sync the database file is found out', async () => {
  const first = trace.findIndex((event) => event.kind === 'note');
  const lying = trace.map((event, at): TraceEvent => {
    return at > first && event.kind === 'syncEnd' && event.file === 'data' ? { ...event, errno: 5 } : event;
  });
  await assert.rejects(
    cutPlanned(lying, plan, { isStop, shareAt }),
    /^Error: cut .*(is gone|were acknowledged|malformed|page)/,
  );
});
