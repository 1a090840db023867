// Files of a mounted directory without a mount: when a name is a namespace, whatever fails meanwhile.

import assert from 'node:assert/strict';
import { tmpdir } from 'node:os';
import { beforeEach, test } from 'node:test';
import { pino } from 'pino';
import { MvfuseError } from '../../../src/errors.js';
import { Catalog } from '../../../src/fuse/catalog.js';
import { DirtyBudget } from '../../../src/fuse/dirty-budget.js';
import { MountedFile } from '../../../src/fuse/mounted-file.js';
import { SpaceBudget } from '../../../src/fuse/space-budget.js';
import { WriterWaits } from '../../../src/fuse/writer-waits.js';
import { openEngine } from '../../../src/kv/open.js';
import { PageStore } from '../../../src/store/page-store.js';

let store: PageStore;
let catalog: Catalog;

beforeEach(async () => {
  const clock = Date.now;
  store = await PageStore.open({ engine: await openEngine('memory:', { clock }), clock, cacheBytesMax: 1 << 20 });
  const shared = {
    store,
    spill: new DirtyBudget({ memoryBytesMax: 1 << 20, bytesMax: 1 << 30, directory: tmpdir() }),
    space: new SpaceBudget(undefined, () => 0),
    writerWaits: new WriterWaits({ waitMsMax: 1_000, countMax: 10 }),
    log: pino({ level: 'silent' }),
    nowMs: () => 0,
  };
  catalog = new Catalog({
    store,
    prefix: '',
    namespaceOfFixed: () => undefined,
    admits: async () => true,
    mounted: (file) => new MountedFile({ ...file, ...shared }),
    fork: (...of) => store.forkNamespace(...of),
  });
});

test('a file is a namespace as soon as the store has it, also when its lease is not to be had', async () => {
  const file = await catalog.create('n');
  store.acquireLease = async () => {
    throw new MvfuseError('BUSY', 'another host writes it');
  };
  await assert.rejects(file.ensureMade(), { code: 'BUSY' });
  assert.equal(file.made, true);
  assert.equal(await catalog.find('n'), file);
  // Another time there is nothing left to make.
  await file.ensureMade();
  assert.equal(file.linked, true);
});

test('a file that could not be made is still to be made', async () => {
  const file = await catalog.create('n');
  const createNamespace = store.createNamespace.bind(store);
  store.createNamespace = async () => {
    throw new MvfuseError('STORE_FAILED', 'injected');
  };
  await assert.rejects(file.ensureMade(), { code: 'STORE_FAILED' });
  assert.equal(file.made, false);
  assert.equal(await catalog.find('n'), file);
  store.createNamespace = createNamespace;
  await file.ensureMade();
  assert.deepEqual(
    (await store.listNamespaces()).map(({ id }) => id),
    [file.namespace],
  );
});
