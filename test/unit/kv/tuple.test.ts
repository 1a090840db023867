import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isMvfuseError } from '../../../src/errors.js';
import { packTuple, packVersionPrefix, type TupleElement, tupleRange, unpackTuple } from '../../../src/kv/tuple.js';
import type { Version } from '../../../src/version.js';
import { chooseSeed, type Random, randomBytes, randomInteger, seededRandom } from '../../support/random.js';

const hex = (...elements: TupleElement[]) => packTuple(...elements).toString('hex');

test('encodes as FoundationDB’s tuple layer does', () => {
  assert.equal(hex(0), '14');
  assert.equal(hex(1), '1501');
  assert.equal(hex(255), '15ff');
  assert.equal(hex(256), '160100');
  assert.equal(hex(Number.MAX_SAFE_INTEGER), '1b1fffffffffffff');
  assert.equal(hex('F\u00d4O\u0000bar'), '0246c3944f00ff62617200');
  assert.equal(hex(Buffer.from('foo\u0000bar')), '01666f6f00ff62617200');
  assert.equal(hex({ version: '0102030405060708090a' as Version }), '320102030405060708090a');
});

test('integers that are negative, broken or too large are refused', () => {
  for (const value of [-1, 0.5, Number.NaN, 2 ** 53]) {
    assert.throws(
      () => packTuple(value),
      (error) => isMvfuseError(error, 'INVALID_ARGUMENT'),
    );
  }
});

test('what is no tuple is refused', () => {
  for (const bytes of ['ff', '1501ff', '16', '0161', '3201', '00']) {
    assert.throws(
      () => unpackTuple(Buffer.from(bytes, 'hex')),
      (error) => isMvfuseError(error, 'CORRUPT'),
      bytes,
    );
  }
});

test('a version’s prefix and its bytes make its key', () => {
  const version = 'ab'.repeat(10) as Version;
  assert.deepEqual(
    Buffer.concat([packVersionPrefix('x', 1), Buffer.from(version, 'hex')]),
    packTuple('x', 1, { version }),
  );
});

test('random tuples keep their order, come back, and nest in their prefix’s range', () => {
  const random = seededRandom(chooseSeed('tuples'));
  for (let round = 0; round < 3_000; round++) {
    const [a, b] = [randomTuple(random), randomTuple(random)];
    const [packedA, packedB] = [packTuple(...a), packTuple(...b)];
    assert.deepEqual(packTuple(...unpackTuple(packedA)), packedA);
    assert.equal(
      Math.sign(packedA.compare(packedB)),
      compareTuples(a, b),
      `${packedA.toString('hex')} ${packedB.toString('hex')}`,
    );
    const { begin, end } = tupleRange(packedA);
    const isInside = packedB.compare(begin) >= 0 && packedB.compare(end) < 0;
    assert.equal(isInside, b.length > a.length && compareTuples(a, b.slice(0, a.length)) === 0);
  }
});

function randomTuple(random: Random): TupleElement[] {
  return Array.from({ length: randomInteger(random, 0, 3) }, () => randomElement(random));
}

/** From few values, so that equal ones and prefixes are frequent. */
function randomElement(random: Random): TupleElement {
  const kind = random();
  if (kind < 0.35)
    return random() < 0.7 ? randomInteger(random, 0, 300) : Math.floor(random() * 2 ** randomInteger(random, 1, 53));
  const bytes = randomBytes(random, randomInteger(random, 0, 2)).map((byte) => [0, 1, 0x7f, 0xff][byte % 4]!);
  if (kind < 0.6) return Buffer.from(bytes);
  if (kind < 0.9) return ['', 'a', '\0', 'a\0', 'a\0b', 'é', '\u{10ffff}'][randomInteger(random, 0, 6)]!;
  return { version: `${'00'.repeat(9)}0${randomInteger(random, 0, 3)}` as Version };
}

function compareTuples(a: readonly TupleElement[], b: readonly TupleElement[]): number {
  for (let index = 0; index < Math.min(a.length, b.length); index++) {
    const order = compareElements(a[index]!, b[index]!);
    if (order !== 0) return order;
  }
  return Math.sign(a.length - b.length);
}

function compareElements(a: TupleElement, b: TupleElement): number {
  const [rankA, rankB] = [rank(a), rank(b)];
  if (rankA !== rankB) return Math.sign(rankA - rankB);
  if (typeof a === 'number') return Math.sign(a - (b as number));
  return Math.sign(elementBytes(a).compare(elementBytes(b)));
}

function rank(element: TupleElement): number {
  if (element instanceof Uint8Array) return 0;
  return typeof element === 'string' ? 1 : typeof element === 'number' ? 2 : 3;
}

function elementBytes(element: TupleElement): Buffer {
  if (typeof element === 'string') return Buffer.from(element);
  if (element instanceof Uint8Array) return Buffer.from(element);
  return Buffer.from((element as { version: Version }).version, 'hex');
}
