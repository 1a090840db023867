// Uncommitted bytes over a base, against a plain buffer, in memory and spilled.

import assert from 'node:assert/strict';
import { tmpdir } from 'node:os';
import { test } from 'node:test';
import { DirtyBudget } from '../../../src/fuse/dirty-budget.js';
import { LimitError } from '../../../src/fuse/errno.js';
import { EMPTY_BASE, Overlay } from '../../../src/fuse/overlay.js';
import { chooseSeed, randomInteger, seededRandom } from '../../support/random.js';

function budgetOf(memoryBytesMax: number, bytesMax: number): DirtyBudget {
  return new DirtyBudget({ memoryBytesMax, bytesMax, directory: tmpdir() });
}

for (const memoryBytesMax of [1 << 30, 8192, 0]) {
  test(`random writes and truncations, ${memoryBytesMax} bytes in memory`, async () => {
    const next = seededRandom(chooseSeed('overlay'));
    const random = (below: number): number => randomInteger(next, 0, below - 1);
    const original = Buffer.from(Array.from({ length: 50_000 }, () => random(256)));
    const base = {
      sizeBytes: original.length,
      read: async (offset: number, length: number) => {
        assert.ok(offset >= 0 && length > 0 && offset + length <= original.length, 'read outside the base');
        return Buffer.from(original.subarray(offset, offset + length));
      },
    };
    const budget = budgetOf(memoryBytesMax, 1 << 30);
    const overlay = new Overlay(base, budget);
    let expected = Buffer.from(original);
    for (let step = 0; step < 600; step += 1) {
      if (random(5) === 0) {
        const size = random(80_000);
        await overlay.truncate(size);
        const resized = Buffer.alloc(size);
        expected.copy(resized);
        expected = resized;
      } else {
        const offset = random(70_000);
        const data = Buffer.from(Array.from({ length: 1 + random(random(2) === 0 ? 10_000 : 16) }, () => random(256)));
        await overlay.write(offset, Buffer.from(data));
        const size = Math.max(expected.length, offset + data.length);
        const grown = Buffer.alloc(size);
        expected.copy(grown);
        data.copy(grown, offset);
        expected = grown;
      }
      assert.equal(overlay.sizeBytes, expected.length, `step ${step}`);
      const offset = random(expected.length + 10);
      const length = random(20_000);
      assert.ok(
        (await overlay.read(offset, length)).equals(expected.subarray(offset, offset + length)),
        `step ${step}`,
      );
    }
    assert.ok((await overlay.read(0, expected.length)).equals(expected));
    for (const pageBytes of [512, 4096, 65536]) {
      const touched = new Set(overlay.pagesTouched(pageBytes, Number.POSITIVE_INFINITY));
      for (let page = 1; (page - 1) * pageBytes < expected.length; page += 1) {
        const [from, to] = [(page - 1) * pageBytes, Math.min(page * pageBytes, expected.length)];
        const before = Buffer.alloc(to - from);
        original.subarray(from, to).copy(before);
        const differs = !before.equals(expected.subarray(from, to));
        assert.ok(!differs || touched.has(page), `page ${page} of ${pageBytes} differs and is not touched`);
      }
    }
    assert.equal(budget.usage.now, overlay.heldBytes);
    assert.ok(budget.memoryUsage.now <= Math.max(memoryBytesMax, 4096));
    await overlay.dispose();
    assert.equal(budget.usage.now, 0);
    assert.equal(budget.memoryUsage.now, 0);
  });
}

test('an untouched overlay says so', async () => {
  const overlay = new Overlay(EMPTY_BASE, budgetOf(0, 1 << 20));
  assert.equal(overlay.touched, false);
  await overlay.truncate(0);
  assert.equal(overlay.touched, false);
  await overlay.write(5000, Buffer.from('x'));
  assert.ok(overlay.touched && overlay.covers(5000, 5000) && !overlay.covers(0, 99));
  assert.deepEqual([...overlay.pagesTouched(4096, Number.POSITIVE_INFINITY)], [2]);
  await overlay.dispose();
});

test('past the pages of the base only what was written is touched', async () => {
  const base = { sizeBytes: 100 * 4096, read: async (_: number, length: number) => Buffer.alloc(length, 1) };
  const overlay = new Overlay(base, budgetOf(1 << 20, 1 << 30));
  await overlay.truncate(10 * 4096 + 1);
  await overlay.truncate(2 ** 48);
  await overlay.write(2 ** 48 - 1, Buffer.from('x'));
  assert.equal(overlay.baseBytes, 10 * 4096 + 1);
  assert.equal(overlay.zeroedBytes(12 * 4096), 2 * 4096 - 1);
  assert.equal(overlay.zeroedBytes(2 ** 48), 90 * 4096 - 1);
  assert.equal(overlay.zeroedBytes(0), 0);
  assert.deepEqual([...overlay.pagesTouched(4096, 12)], [11, 12, 2 ** 36]);
  assert.deepEqual([...overlay.pagesTouched(65_536, 0)], [2 ** 32]);
  await overlay.dispose();
});

test('the quota is one for all files: what is past it is refused and leaves the rest as it was', async () => {
  const budget = budgetOf(16 * 4096, 40 * 4096);
  const [first, second] = [new Overlay(EMPTY_BASE, budget), new Overlay(EMPTY_BASE, budget)];
  const full = (error: unknown): boolean => error instanceof LimitError && error.option === '--dirty-limit';
  await first.write(0, Buffer.alloc(30 * 4096, 1));
  await second.write(0, Buffer.alloc(10 * 4096, 2));
  assert.ok(budget.memoryUsage.now <= 16 * 4096);
  await assert.rejects(second.write(10 * 4096, Buffer.alloc(4096)), full);
  // What is there already may be written again.
  await second.write(0, Buffer.alloc(4096, 3));
  assert.deepEqual((await first.read(0, 30 * 4096)).equals(Buffer.alloc(30 * 4096, 1)), true);
  await first.truncate(4096);
  await second.write(10 * 4096, Buffer.alloc(29 * 4096, 4));
  assert.throws(() => first.requireRoom(2 * 4096), full);
  await first.dispose();
  await second.dispose();
  assert.equal(budget.usage.now, 0);
});

test('pages are touched in ascending order, whatever the order of the writes, in memory and spilled', async () => {
  const overlay = new Overlay(EMPTY_BASE, budgetOf(4 * 4096, 1 << 30));
  const blocks = [70_000, 5, 33_000, 6, 1_048_576, 0, 32_767, 32_768];
  for (const block of blocks) await overlay.write(block * 4096, Buffer.alloc(4096, 1));
  const pages = blocks.sort((a, b) => a - b).map((block) => block + 1);
  assert.deepEqual([...overlay.pagesTouched(4096, Number.POSITIVE_INFINITY)], pages);
  assert.equal(overlay.pagesTouched(4096, Number.POSITIVE_INFINITY).size, pages.length);
  await overlay.dispose();
});
