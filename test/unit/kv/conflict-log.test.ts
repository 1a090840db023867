import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConflictLog } from '../../../src/kv/conflict-log.js';
import type { ResolvedMutation } from '../../../src/kv/mutation.js';
import { ReadSet } from '../../../src/kv/read-set.js';
import { chooseSeed, randomInteger, seededRandom } from '../../support/random.js';

const set = (key: string): ResolvedMutation => ({ kind: 'set', key: Buffer.from(key), value: Buffer.alloc(0) });
const clearRange = (begin: string, end: string): ResolvedMutation => ({
  kind: 'clearRange',
  begin: Buffer.from(begin),
  end: Buffer.from(end),
});

function reads(keys: string[], ranges: [string, string][] = []): ReadSet {
  const set = new ReadSet();
  for (const key of keys) set.addKey(key);
  for (const [begin, end] of ranges) set.addRange(begin, end);
  return set;
}

test('only what was written after the snapshot conflicts', () => {
  const log = new ConflictLog(10, 100);
  log.add(11, [set('a'), clearRange('m', 'p')]);
  assert.equal(log.conflicts(10, reads(['a'])), true);
  assert.equal(log.conflicts(11, reads(['a'])), false);
  assert.equal(log.conflicts(10, reads(['b'])), false);
  assert.equal(log.conflicts(10, reads(['n'])), true);
  assert.equal(log.conflicts(10, reads(['p'])), false);
  assert.equal(log.conflicts(10, reads([], [['a', 'b']])), true);
  assert.equal(log.conflicts(10, reads([], [['b', 'm']])), false);
  assert.equal(log.conflicts(10, reads([], [['b', 'n']])), true);
  assert.equal(log.conflicts(9, reads(['z'])), true, 'older than the floor');
});

test('after a reset nothing conflicts but what is older than the floor', () => {
  const log = new ConflictLog(10, 100);
  log.add(11, [set('a')]);
  log.reset(10);
  assert.equal(log.conflicts(10, reads(['a'])), false);
  assert.equal(log.conflicts(9, reads(['z'])), true);
});

test('a bounded log never misses a conflict, and forgets only what is old', () => {
  const random = seededRandom(chooseSeed('conflict log'));
  const log = new ConflictLog(0, 40);
  const all: { counter: number; key: string }[] = [];
  let spurious = 0;
  for (let counter = 1; counter <= 2_000; counter++) {
    const keys = Array.from({ length: randomInteger(random, 1, 3) }, () => String(randomInteger(random, 100, 199)));
    const ranges = random() < 0.2 ? [clearRange(keys[0]!, `${keys[0]!}\0`)] : [];
    log.add(counter, [...keys.map(set), ...ranges]);
    all.push(...keys.map((key) => ({ counter, key })));
    const readCounter = Math.max(0, counter - randomInteger(random, 0, 30));
    const key = String(randomInteger(random, 100, 199));
    const expected = all.some((write) => write.counter > readCounter && write.key === key);
    const single = log.conflicts(readCounter, reads([key]));
    const range = log.conflicts(readCounter, reads([], [[key, `${key}\0`]]));
    assert.equal(single, range);
    if (expected) assert.equal(single, true, `commit ${counter}, read at ${readCounter}`);
    else if (single) spurious++;
    if (single && !expected) assert.ok(counter - readCounter > 5, 'a recent snapshot must not conflict by forgetting');
  }
  assert.ok(spurious > 0, 'the log never forgot anything: the test tests nothing');
});
