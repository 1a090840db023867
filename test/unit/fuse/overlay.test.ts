// Uncommitted bytes over a base, against a plain buffer, in memory and spilled.

import assert from 'node:assert/strict';
import { tmpdir } from 'node:os';
import { test } from 'node:test';
import { SharedMemory } from '../../../src/fuse/block-map.js';
import { EMPTY_BASE, Overlay } from '../../../src/fuse/overlay.js';
import { DIRTY_MEMORY_KEPT_BYTES } from '../../../src/limits.js';
import { chooseSeed, randomInteger, seededRandom } from '../../support/random.js';

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
    const overlay = new Overlay(base, { memoryBytesMax, directory: tmpdir() });
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
      const touched = new Set(overlay.pagesTouched(pageBytes));
      for (let page = 1; (page - 1) * pageBytes < expected.length; page += 1) {
        const [from, to] = [(page - 1) * pageBytes, Math.min(page * pageBytes, expected.length)];
        const before = Buffer.alloc(to - from);
        original.subarray(from, to).copy(before);
        const differs = !before.equals(expected.subarray(from, to));
        assert.ok(!differs || touched.has(page), `page ${page} of ${pageBytes} differs and is not touched`);
      }
    }
    await overlay.dispose();
  });
}

test('files share what they may have in memory, and give it back', async () => {
  const shared = new SharedMemory(1 << 20);
  const spill = { memoryBytesMax: 1 << 30, directory: tmpdir(), shared };
  const overlays = Array.from({ length: 10 }, () => new Overlay(EMPTY_BASE, spill));
  const bytesMax = shared.bytesMax + overlays.length * DIRTY_MEMORY_KEPT_BYTES;
  const bytes = Buffer.alloc(1 << 20, 'x');
  for (const overlay of overlays) {
    await overlay.write(0, Buffer.from(bytes));
    assert.ok(shared.heldBytes <= bytesMax, `${shared.heldBytes} bytes`);
  }
  for (const overlay of overlays) {
    assert.ok((await overlay.read(0, bytes.length)).equals(bytes));
    await overlay.truncate(5_000);
    await overlay.dispose();
  }
  assert.equal(shared.heldBytes, 0);
});

test('an untouched overlay says so', async () => {
  const overlay = new Overlay(EMPTY_BASE, { memoryBytesMax: 0, directory: tmpdir() });
  assert.equal(overlay.touched, false);
  await overlay.truncate(0);
  assert.equal(overlay.touched, false);
  await overlay.write(5000, Buffer.from('x'));
  assert.ok(overlay.touched && overlay.covers(5000, 5000) && !overlay.covers(0, 99));
  assert.deepEqual(overlay.pagesTouched(4096), [2]);
  await overlay.dispose();
});
