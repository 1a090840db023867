// Work is let in by its bytes, in order.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openEngine } from '../../../src/kv/open.js';
import { COMMITTING_BYTES_MAX } from '../../../src/limits.js';
import { ByteGate } from '../../../src/store/byte-gate.js';
import type { CommitRequest, NamespaceInfo, Page } from '../../../src/store/types.js';
import { chooseSeed, randomInteger, seededRandom } from '../../support/random.js';
import { filledPages, openStore } from '../../support/stores.js';

test('never more bytes than the gate has, first come, first served, and everybody in the end', async () => {
  const next = seededRandom(chooseSeed('gate'));
  const gate = new ByteGate(100);
  const entered: number[] = [];
  let [inside, most] = [0, 0];
  const work = Array.from({ length: 200 }, (_, index) => {
    const bytes = randomInteger(next, 0, 150);
    return gate.pass(bytes, async () => {
      entered.push(index);
      inside += Math.min(bytes, 100);
      most = Math.max(most, inside);
      for (let turn = randomInteger(next, 0, 5); turn > 0; turn -= 1) await Promise.resolve();
      inside -= Math.min(bytes, 100);
      if (index % 7 === 0) throw new Error('failed');
      return index;
    });
  });
  const results = await Promise.allSettled(work);
  assert.equal(results.filter(({ status }) => status === 'rejected').length, 29);
  assert.deepEqual(
    entered,
    [...entered].sort((a, b) => a - b),
  );
  assert.ok(most > 50 && most <= 100, `${most} bytes`);
  assert.equal(await gate.pass(1_000, async () => 'alone'), 'alone');
});

test('bulk commits that take long hold up each other, and no small one', async () => {
  const store = await openStore(await openEngine('memory:', { clock: Date.now }));
  const spaces: NamespaceInfo[] = [];
  for (let n = 0; n < 30; n += 1) spaces.push(await store.createNamespace(`n${n}`));
  let finish = (): void => {};
  const finished = new Promise<void>((resolve) => {
    finish = resolve;
  });
  let begun = 0;
  async function* slow(): AsyncGenerator<Page> {
    begun += 1;
    await finished;
    yield* filledPages({ 1: 1 });
  }
  const requestFor = (n: number, bytesMax: number, pages: CommitRequest['pages']): CommitRequest[] => {
    const { id, head } = spaces[n]!;
    return [{ namespace: id, base: head.version, pageBytes: 512, sizeBytes: 512, bytesMax, pages }];
  };
  const bulks = spaces.slice(1).map((_, n) => store.commit(requestFor(n + 1, COMMITTING_BYTES_MAX, slow())));
  const [small] = await store.commit(requestFor(0, 512, filledPages({ 1: 2 })));
  assert.equal(small!.pageCount, 1);
  assert.ok(begun < 5, `${begun} bulk commits at once`);
  finish();
  await Promise.all(bulks);
  assert.equal(begun, 29);
  await store.close();
});
