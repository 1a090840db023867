// Pages read in order from an engine that is elsewhere cost fewer questions than pages.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Engine } from '../../../src/kv/engine.js';
import { openEngine } from '../../../src/kv/open.js';
import { commitOne, filledPage, openStore, pageNumber, request } from '../../support/stores.js';

const PAGES = 300;

async function readersOf(remote: boolean) {
  const engine = await openEngine('memory:', { clock: Date.now });
  const writer = await openStore(engine);
  const { id, head } = await writer.createNamespace('main');
  const pages = Array.from({ length: PAGES }, (_, index) => filledPage(index + 1, (index + 1) % 251));
  const commit = await commitOne(writer, request(id, head.version, PAGES, pages));
  let reads = 0;
  const counted: Engine = {
    transact: (body, options) => engine.transact(body, options),
    read: (body, options) => {
      reads += 1;
      return engine.read(body, options);
    },
    watch: (key, value, signal) => engine.watch(key, value, signal),
    close: async () => {},
    ...(remote && { roundTrips: { readVersions: 0, reads: 0, commits: 0 } }),
  };
  const reader = await openStore(counted, { soleOwner: false });
  const read = async (numbers: readonly number[]): Promise<number> => {
    reads = 0;
    for (const number of numbers) {
      const [page] = await reader.readPages(id, commit.head, [pageNumber(number)]);
      assert.equal(page![0], number % 251, `page ${number}`);
    }
    return reads;
  };
  return read;
}

const inOrder = Array.from({ length: PAGES }, (_, index) => index + 1);

test('in order, pages come along with those before them', async () => {
  const read = await readersOf(true);
  const reads = await read(inOrder);
  assert.ok(reads <= 12, `${reads} reads`);
});

test('out of order, nothing is read that nobody asked for', async () => {
  const read = await readersOf(true);
  assert.equal(await read([7, 3, 200, 90]), 4);
  assert.equal(await read([8, 4, 201, 91]), 4);
});

test('from an engine in this process, nothing is read ahead', async () => {
  const read = await readersOf(false);
  assert.equal(await read(inOrder), PAGES);
});
