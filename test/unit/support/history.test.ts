// The checker on histories written by hand: one for each kind of anomaly, and those that only look like one.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkHistory } from '../../support/history/checker.js';
import { type Action, type History, type Operation, Recorder } from '../../support/history/operations.js';
import type { AnomalyKind } from '../../support/history/report.js';

const INITIAL = [10, 20];
const READ: Action = { kind: 'read', ids: [0, 1] };

type Values = Array<[number, number]>;

function invocation(op: string, invokedNs: number, action: Action) {
  return { op, client: `client of ${op}`, host: 'a', action, invokedNs };
}

/** A write of row 0 that was acknowledged as version n. */
function wrote(op: string, [invokedNs, respondedNs]: [number, number], n: number, value: number): Operation {
  const action: Action = { kind: 'write', id: 0, value };
  return { ...invocation(op, invokedNs, action), outcome: 'ok', respondedNs, n, wrote: true, values: [[0, value]] };
}

function read(op: string, times: [number, number], n: number, values: Values, last?: string): Operation {
  const [invokedNs, respondedNs] = times;
  const seen = { n, wrote: false, values, ...(last !== undefined && { last }) };
  return { ...invocation(op, invokedNs, READ), outcome: 'ok', respondedNs, ...seen };
}

function lost(op: string, invokedNs: number, value: number, n?: number): Operation {
  const action: Action = { kind: 'write', id: 0, value };
  const error = 'SQLITE_IOERR_FSYNC';
  return { ...invocation(op, invokedNs, action), outcome: 'indeterminate', error, ...(n !== undefined && { n }) };
}

function failed(op: string, value: number, error = 'SQLITE_BUSY'): Operation {
  return { ...invocation(op, 1, { kind: 'write', id: 0, value }), outcome: 'failed', respondedNs: 9, error };
}

function history(order: readonly string[], ...operations: Operation[]): History {
  return {
    seed: 7,
    initial: INITIAL,
    operations,
    order: order.map((op, index) => ({ n: index + 1, op })),
    integrity: ['ok'],
  };
}

function kindsOf(checked: History): AnomalyKind[] {
  return Object.keys(checkHistory(checked).counts) as AnomalyKind[];
}

const W1 = wrote('w1', [1, 2], 1, 11);
const W2 = wrote('w2', [3, 4], 2, 12);

const GOOD: Readonly<Record<string, History>> = {
  nothing: history([]),
  'one after the other': history(
    ['w1', 'w2'],
    read('r0', [0, 1], 0, [
      [0, 10],
      [1, 20],
    ]),
    W1,
    W2,
    read('r2', [5, 6], 2, [[0, 12]]),
  ),
  'a read beside a write sees either': history(
    ['w1'],
    wrote('w1', [1, 9], 1, 11),
    read('r1', [2, 3], 1, [[0, 11]]),
    read('r2', [2, 4], 0, [[0, 10]]),
  ),
  'an answer and an invocation at the same time are concurrent': history(['w1'], W1, read('r', [2, 3], 0, [[0, 10]])),
  'an indeterminate write that took place late': history(
    ['w1', 'lost', 'w2'],
    lost('lost', 0, 99, 2),
    W1,
    read('r', [3, 4], 2, [[0, 99]]),
    wrote('w2', [5, 6], 3, 12),
  ),
  'an indeterminate write that never took place': history(['w1', 'w2'], lost('lost', 0, 99, 1), W1, W2),
  'a failed write': history(['w1'], W1, failed('f', 99)),
  'a compare-and-set that did not match': history(['w1'], W1, {
    ...read('c', [3, 4], 1, [[0, 11]]),
    action: { kind: 'cas', id: 0, from: 10, to: 99 },
  }),
};

for (const [name, checked] of Object.entries(GOOD)) {
  test(`no anomaly: ${name}`, () => {
    const { anomalies, text } = checkHistory(checked);
    assert.deepEqual(anomalies, [], text);
  });
}

const BAD: ReadonlyArray<readonly [name: string, kinds: readonly AnomalyKind[], history: History]> = [
  ['an acknowledged write is gone', ['lost-commit'], history(['w1'], W1, W2)],
  ['another write took its version', ['lost-commit'], history(['w1', 'x'], W1, W2, lost('x', 3, 13, 2))],
  ['two acknowledged as one version', ['lost-commit', 'same-version'], history(['w1'], W1, wrote('x', [1, 3], 1, 5))],
  ['an indeterminate write twice', ['applied-twice'], history(['w1', 'lost', 'lost'], W1, lost('lost', 3, 99))],
  ['a failed write is there', ['failed-but-applied'], history(['w1', 'f'], W1, failed('f', 99))],
  ['nobody asked for it', ['unknown-operation'], history(['w1', 'ghost'], W1)],
  [
    'a version is left out',
    ['broken-sequence'],
    { ...history([], wrote('w2', [1, 2], 2, 12)), order: [{ n: 2, op: 'w2' }] },
  ],
  ['at another version than it said', ['moved-commit'], history(['lost'], lost('lost', 1, 99, 2))],
  [
    'a compare-and-set of what was not there',
    ['impossible-write'],
    history(['c'], { ...lost('c', 1, 99), action: { kind: 'cas', id: 0, from: 5, to: 99 } }),
  ],
  [
    'a write before one that had returned',
    ['misordered-write'],
    history(['w1', 'w2'], wrote('w1', [5, 6], 1, 11), wrote('w2', [1, 2], 2, 12)),
  ],
  [
    'a read of what was not yet asked for',
    ['misordered-write'],
    history(['w1'], read('r', [1, 2], 1, [[0, 11]]), wrote('w1', [5, 6], 1, 11)),
  ],
  [
    'an indeterminate write before its invocation',
    ['misordered-write'],
    history(['lost', 'w1'], wrote('w1', [1, 2], 2, 11), lost('lost', 5, 99)),
  ],
  ['a read behind a write', ['stale-read'], history(['w1'], W1, read('r', [3, 4], 0, [[0, 10]]))],
  [
    'a read behind a read',
    ['stale-read'],
    history(['w1'], wrote('w1', [1, 9], 1, 11), read('r1', [2, 3], 1, [[0, 11]]), read('r2', [4, 5], 0, [[0, 10]])),
  ],
  [
    'rows of two versions',
    ['torn-read'],
    history(['w1', 'w2'], W1, wrote('w2', [3, 9], 2, 12), read('r', [4, 5], 2, [[0, 11]])),
  ],
  [
    'a sequence number apart from the operations',
    ['torn-read'],
    history(['w1', 'w2'], W1, wrote('w2', [3, 9], 2, 12), read('r', [4, 5], 1, [[0, 11]], 'w2')),
  ],
  ['a value of no version', ['unknown-value'], history(['w1'], W1, read('r', [3, 4], 1, [[0, 99]]))],
  ['a version past the end', ['vanished-version'], history(['w1'], W1, read('r', [3, 4], 2, [[0, 11]]))],
  [
    'a version that became another one',
    ['vanished-version'],
    history(['w1'], wrote('w1', [1, 9], 1, 11), lost('x', 1, 98), read('r', [2, 3], 1, [[0, 98]], 'x')),
  ],
  [
    'a total that is not the total',
    ['wrong-total', 'unknown-value'],
    {
      ...history(
        [],
        read('r', [1, 2], 0, [
          [0, 10],
          [1, 21],
        ]),
      ),
      total: 30,
    },
  ],
  ['an error that no fault explains', ['damage'], history([], failed('f', 99, 'SQLITE_CORRUPT'))],
  ['a failed integrity check', ['damage'], { ...history([]), integrity: ['row 3 missing from index'] }],
];

for (const [name, kinds, checked] of BAD) {
  test(`${kinds.join(' and ')}: ${name}`, () => {
    assert.deepEqual(kindsOf(checked).sort(), [...kinds].sort(), checkHistory(checked).text);
  });
}

test('a report names the seed, the operations and their times', () => {
  const { text } = checkHistory(history(['w1'], W1, read('r', [2_000_001, 3_000_001], 0, [[0, 10]])));
  assert.match(text, /^seed 7: stale-read: 1\n/);
  assert.match(text, /\n {4}r of client of r on a, 2\.000 ms to 3\.000 ms: /);
});

test('the summary counts, and finds the longest stall of each host', () => {
  const ms = 1e6;
  const { summary } = checkHistory(
    history(
      ['w1'],
      wrote('w1', [0, 1 * ms], 1, 11),
      { ...read('r1', [1 * ms, 2 * ms], 1, []), host: 'b' },
      { ...read('r2', [2 * ms, 10 * ms], 1, []), host: 'b' },
      failed('f', 99),
      { ...lost('x', 4 * ms, 98), respondedNs: 12 * ms },
    ),
  );
  assert.deepEqual(summary, {
    operations: 5,
    acknowledged: 3,
    acknowledgedWrites: 1,
    failed: 1,
    indeterminate: 1,
    indeterminateApplied: 0,
    longestStallMs: 8,
    longestStallMsByHost: { a: 11, b: 8 },
    durationMs: 12,
    errors: { SQLITE_BUSY: 1, SQLITE_IOERR_FSYNC: 1 },
  });
});

test('what is under way when all is over is indeterminate', () => {
  const recorder = new Recorder();
  recorder.invoke(invocation('one', 1, READ));
  recorder.invoke(invocation('two', 2, READ));
  recorder.complete('two', { outcome: 'failed', respondedNs: 3, error: 'SQLITE_BUSY' });
  assert.deepEqual(
    recorder.operations().map(({ op, outcome }) => [op, outcome]),
    [
      ['two', 'failed'],
      ['one', 'indeterminate'],
    ],
  );
  assert.throws(() => recorder.complete('two', { outcome: 'failed', respondedNs: 4, error: '' }), /not under way/);
});

test('a hundred thousand operations are checked in a few seconds', () => {
  const operations: Operation[] = [];
  for (let n = 1; n <= 50_000; n++) {
    operations.push(wrote(`w${n}`, [4 * n, 4 * n + 1], n, n));
    operations.push(
      read(`r${n}`, [4 * n + 2, 4 * n + 3], n, [
        [0, n],
        [1, 20],
      ]),
    );
  }
  const order = Array.from({ length: 50_000 }, (_, index) => `w${index + 1}`);
  const startMs = performance.now();
  assert.deepEqual(checkHistory(history(order, ...operations)).counts, {});
  assert.ok(performance.now() - startMs < 10_000);
});
