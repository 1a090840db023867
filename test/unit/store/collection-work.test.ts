// A collection does what is in proportion to what was committed, also where something older is held: a step has to end in
// time, or none ever does.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Engine, ReadTransaction } from '../../../src/kv/engine.js';
import { openEngine } from '../../../src/kv/open.js';
import type { Head } from '../../../src/store/types.js';
import { commitOne, filledPages, openStore, request } from '../../support/stores.js';

const VERSIONS = 300;
const PAGES = 4;
/** Of pairs read, for each image that a commit wrote. */
const READS_MAX = 1;

test('with a tag below many versions, a collection reads no image twice', async () => {
  const engine = await openEngine('memory:', { clock: Date.now });
  const reads = { count: 0 };
  const store = await openStore(counting(engine, reads));
  const { id, head } = await store.createNamespace('main');
  const heads: Head[] = [head];
  for (let version = 0; version < VERSIONS; version++) {
    const fills = Object.fromEntries(Array.from({ length: PAGES }, (_, index) => [index + 1, version % 256]));
    heads.push((await commitOne(store, request(id, heads.at(-1)!.version, PAGES, filledPages(fills)))).head);
  }
  await store.addTag(id, 'first', heads[1]!.version);
  reads.count = 0;
  await store.retention.truncate(id, heads.at(-1)!.version);
  const part = reads.count / (VERSIONS * PAGES);
  console.log(`# ${part.toFixed(1)} pairs read for each image`);
  assert.ok(part <= READS_MAX, `${reads.count} pairs were read`);
  assert.equal((await store.log(id)).length, 2);
  await engine.close();
});

/** Counts the pairs that ranges gave to transactions. */
function counting(engine: Engine, reads: { count: number }): Engine {
  const counted =
    (transaction: ReadTransaction): ReadTransaction['getRange'] =>
    async (begin, end, options) => {
      const pairs = await transaction.getRange(begin, end, options);
      reads.count += pairs.length;
      return pairs;
    };
  return {
    transact: (body, options) =>
      engine.transact((transaction) => {
        const { snapshot } = transaction;
        const seen = new Proxy(transaction, {
          get: (target, name) => {
            if (name === 'getRange') return counted(target);
            if (name === 'snapshot') return { get: snapshot.get.bind(snapshot), getRange: counted(snapshot) };
            const member: unknown = Reflect.get(target, name, target);
            return typeof member === 'function' ? member.bind(target) : member;
          },
        });
        return body(seen);
      }, options),
    read: engine.read.bind(engine),
    watch: engine.watch.bind(engine),
    close: engine.close.bind(engine),
  };
}
