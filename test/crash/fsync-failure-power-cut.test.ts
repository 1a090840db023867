// A sync fails, the process dies or closes its store, another one opens it and goes on; then the power is cut. The kernel
// may have kept what the failed sync did not write, shown it to the second process and never written it to the disk. So
// opening a store must make durable what is found in it, or commits acknowledged afterwards stand on nothing.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Interposer } from '../support/interposer.js';
import { cutPlanned, isAcknowledgement, recordChildren } from '../support/planned-power-cut.js';
import type { ChildOptions } from '../support/power-cut-child.js';
import type { PlanOptions } from '../support/power-cut-plan.js';
import { chooseSeed, randomInteger, seededRandom } from '../support/random.js';
import type { StoreFile, TraceEvent } from '../support/store-trace.js';

const LONG = process.env.MVFUSE_TEST_LONG === '1';
const SHARE = LONG ? 0.02 : 0.003;
/** Of the syncs and acknowledgements after the failure. */
const STOP_SHARE = LONG ? 1 : 0.3;
const seed = chooseSeed('power cuts after failed syncs');
const random = seededRandom(seed);

async function cutAfterFailure(plan: PlanOptions, file: StoreFile, onFailure: ChildOptions['onFailure'], nth: number) {
  const children: ChildOptions[] = [
    { plan, phases: [0, 0], onFailure },
    { plan, phases: [0, 1], onFailure: 'die' },
  ];
  const setFaults = (interposer: Interposer, index: number): void => {
    if (index === 0) interposer.failSync({ nth, files: [file] });
    else interposer.clear();
  };
  const trace = await recordChildren(children, setFaults);
  const failedAt = trace.findIndex((event) => event.kind === 'syncEnd' && event.errno !== 0);
  assert.ok(failedAt !== -1, 'no sync failed: this shows nothing');
  const isStop = (event: TraceEvent, at: number) => {
    return at >= failedAt && (event.kind === 'syncEnd' || isAcknowledgement(event)) && random() < STOP_SHARE;
  };
  return cutPlanned(trace, plan, { isStop, shareAt: (at) => (at >= failedAt ? SHARE : 0) });
}

interface Case {
  readonly file: StoreFile;
  readonly onFailure: ChildOptions['onFailure'];
  /** From which of its syncs to which the failing one is chosen. */
  readonly between: readonly [number, number];
  readonly rounds: number;
}

const CASES: readonly Case[] = [
  // The first ones make the store itself.
  { file: 'wal', onFailure: 'die', between: [4, 12], rounds: LONG ? 20 : 2 },
  { file: 'wal', onFailure: 'close', between: [1, 12], rounds: LONG ? 10 : 1 },
  { file: 'data', onFailure: 'die', between: [1, 2], rounds: LONG ? 4 : 1 },
  { file: 'directory', onFailure: 'die', between: [1, 3], rounds: LONG ? 6 : 1 },
];

for (const { file, onFailure, between, rounds } of CASES) {
  test(`a sync of the ${file} fails, the process ${onFailure}s, then the power is cut`, async (t) => {
    for (let round = 0; round < rounds; round++) {
      const plan = { seed: seed + round, phases: 2, commitsPerLane: 3, pagesMax: 30 };
      const nth = randomInteger(random, ...between);
      const count = await cutAfterFailure(plan, file, onFailure, nth);
      t.diagnostic(`sync ${nth}: ${count} cuts`);
    }
  });
}
