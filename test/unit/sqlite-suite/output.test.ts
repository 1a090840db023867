import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readSuiteOutput } from '../../sqlite-suite/output.js';

const HEAD = [
  'one-1.1... Ok',
  'one-1.2...',
  '! one-1.2 expected: [a',
  'b]',
  '! one-1.2 got:      [c]',
  'one-1.3... Ok',
];
const ERROR = ['one-2...', 'Error: no such thing', '    while executing', 'one-3... Ok'];

test('failures with what was expected and got, and errors', () => {
  const closing = [
    'SQLite 2022',
    '2 errors out of 6 tests on host',
    '!Failures on these tests: one-1.2 one-2',
    'x... y',
  ];
  const read = readSuiteOutput([...HEAD, ...ERROR, ...closing].join('\n'));
  assert.equal(read.complete, true);
  assert.equal(read.tests, 5);
  assert.deepEqual(read.failures, [
    { test: 'one-1.2', detail: '! one-1.2 expected: [a\nb]\n! one-1.2 got:      [c]' },
    { test: 'one-2', detail: 'Error: no such thing\n    while executing' },
  ]);
});

test('a failure that only the closing list names', () => {
  const read = readSuiteOutput('a... Ok\n1 errors out of 2 tests on host\n!Failures on these tests: b\n');
  assert.deepEqual(read.failures, [{ test: 'b', detail: '' }]);
});

test('a name that fails twice counts twice', () => {
  const twice = ['a...', '! a expected: [1]', '! a got: [2]', 'a...', '! a expected: [1]', '! a got: [3]'];
  const read = readSuiteOutput([...twice, '2 errors out of 3 tests', '!Failures on these tests: a a'].join('\n'));
  assert.deepEqual(
    read.failures.map((failure) => failure.test),
    ['a', 'a'],
  );
});

test('a file that does not reach its end', () => {
  const read = readSuiteOutput([...HEAD, 'one-2...'].join('\n'));
  assert.equal(read.complete, false);
  assert.equal(read.tests, 4);
  assert.equal(read.last, 'one-2');
  assert.equal(read.failures.length, 1);
});
