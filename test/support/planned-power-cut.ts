// Power cuts of a store that a process fills by plan: the recording, and the cuts.

import { strict as assert } from 'node:assert';
import { mkdirSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Interposer } from './interposer.js';
import { run } from './native-process.js';
import { type CutOptions, cutPower } from './power-cut.js';
import { Acknowledged, checkStore } from './power-cut-check.js';
import { type ChildOptions, powerCutChildPath } from './power-cut-child.js';
import { type PlanOptions, planCommits } from './power-cut-plan.js';
import { seededRandom } from './random.js';
import type { TraceEvent } from './store-trace.js';

/** All that a process does to a new store while it makes the commits of the plan. */
export async function recordPlan(plan: PlanOptions): Promise<TraceEvent[]> {
  const trace = await recordChildren([{ plan, phases: [0, plan.phases - 1], onFailure: 'die' }]);
  const done = trace.flatMap((event) => (event.kind === 'note' && isAcknowledgement(event) ? [event.text] : []));
  assert.equal(new Set(done).size, planCommits(plan).flat(2).length);
  return trace;
}

/** All that processes do to a new store, one after the other; `beforeEach` may set faults. */
export async function recordChildren(
  children: readonly ChildOptions[],
  beforeEach: (interposer: Interposer, index: number) => void = () => undefined,
): Promise<TraceEvent[]> {
  const base = realpathSync(mkdtempSync(join(tmpdir(), 'mvfuse-power-')));
  try {
    const interposer = await Interposer.create(base, 'child');
    const store = join(base, 'store');
    mkdirSync(store);
    for (const [index, options] of children.entries()) {
      beforeEach(interposer, index);
      const args = [powerCutChildPath, store, interposer.notesPath, JSON.stringify(options)];
      const { code, signal, stderr } = await run(process.execPath, args, { env: interposer.environment });
      assert.ok(code === 0 || signal === 'SIGKILL', stderr);
    }
    interposer.close();
    return interposer.trace();
  } finally {
    rmSync(base, { recursive: true, force: true });
  }
}

export function isAcknowledgement(event: TraceEvent): boolean {
  return event.kind === 'note' && event.text.startsWith('done');
}

/** @returns the count of cuts. @throws for the first that left what it must not */
export function cutPlanned(
  trace: readonly TraceEvent[],
  plan: PlanOptions,
  places: Pick<CutOptions, 'isStop' | 'shareAt'>,
): Promise<number> {
  const commits = planCommits(plan);
  const acknowledged = new Acknowledged();
  const random = seededRandom(plan.seed);
  return cutPower(trace, {
    ...places,
    random,
    passed: (event) => {
      if (event.kind === 'note') acknowledged.note(event.text);
    },
    check: (directory) => checkStore(directory, { plan: commits, acknowledged, random, olderVersions: 3 }),
  });
}
