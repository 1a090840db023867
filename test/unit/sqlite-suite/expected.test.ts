import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compare, readExpectations } from '../../sqlite-suite/expected.js';
import { readList } from '../../sqlite-suite/families.js';

const group = { class: 'journal', proof: 'a.test:1 looks for the journal', tests: ['a-1', 'b-*'] } as const;
const failure = (name: string) => ({ test: name, detail: '' });

test('failures get the group that names them', () => {
  const { failures, passed } = compare([group], [failure('a-1'), failure('b-1.2'), failure('a-10')]);
  assert.deepEqual(
    failures.map((one) => one.group),
    [group, group, undefined],
  );
  assert.deepEqual(passed, []);
});

test('an expected failure that passed is told', () => {
  assert.deepEqual(compare([group], [failure('a-1')]).passed, ['b-*']);
});

test('a list without proof, with an unknown class or an unknown cause is refused', () => {
  const text = (change: object) => JSON.stringify({ 'a.test': [{ ...group, ...change }] });
  assert.throws(() => readExpectations(text({ proof: '' })), /without proof/);
  assert.throws(() => readExpectations(text({ class: 'other' })), /unknown class/);
  assert.throws(() => readExpectations(text({ follows: 'a-2' })), /a-2/);
  assert.equal(readExpectations(text({ follows: 'a-1' }))['a.test']!.length, 1);
});

test('the list of the project is well formed and names files that are run', () => {
  const files = new Set(readList().map(({ file }) => file));
  assert.ok(files.size > 200);
  for (const file of Object.keys(readExpectations())) assert.ok(files.has(file), file);
});
