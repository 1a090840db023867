import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isMvfuseError } from '../../../src/errors.js';
import { openEngine } from '../../../src/kv/open.js';
import { stagePageRange } from '../../../src/store/keys.js';
import { encodePage } from '../../../src/store/page-codec.js';
import { discardStage, listStages, markDead, publishStage, Stage } from '../../../src/store/stage.js';
import { ZERO_VERSION } from '../../../src/version.js';
import { filledPage, openStore, request } from '../../support/stores.js';

async function stagePages(count: number) {
  const engine = await openEngine('memory:', { clock: Date.now });
  const { id } = await (await openStore(engine)).createNamespace('main');
  const stage = await Stage.begin(engine, request(id, ZERO_VERSION, 10_000, []), 10_000, 0);
  for (let number = 1; number <= count; number++) {
    const { number: page, data } = filledPage(number, 1);
    await stage.add(page, encodePage(page, data));
  }
  const bulk = await stage.finish();
  const { begin, end } = stagePageRange(id, stage.name.stage);
  const countPages = async () => (await engine.read((t) => t.getRange(begin, end))).length;
  return { engine, stage, bulk, countPages };
}

test('a stage says what it holds', async () => {
  const { stage, bulk, countPages } = await stagePages(600);
  assert.deepEqual(bulk, { stage: stage.name.stage, first: 1, last: 600, pageCount: 600 });
  assert.equal(await countPages(), 600);
});

test('a stage that was given up after its last page can neither be published nor written', async () => {
  const { engine, stage } = await stagePages(3);
  assert.equal(await markDead(engine, stage.name), true);
  const isConflict = (error: unknown) => isMvfuseError(error, 'CONFLICT');
  await assert.rejects(
    engine.transact((t) => publishStage(t, stage.name)),
    isConflict,
  );
  const { number, data } = filledPage(4, 1);
  await stage.add(number, encodePage(number, data));
  await assert.rejects(stage.finish(), isConflict);
});

test('discarding takes several transactions, may stop between them, and goes on later', async () => {
  const { engine, stage, countPages } = await stagePages(600);
  let checks = 0;
  await discardStage(engine, stage.name, () => ++checks > 1);
  const left = await countPages();
  assert.ok(left > 0 && left < 600, `${left} pages are left`);
  assert.deepEqual(await listStages(engine), [stage.name]);
  await discardStage(engine, stage.name);
  assert.equal(await countPages(), 0);
  assert.deepEqual(await listStages(engine), []);
});

test('a published stage is not discarded', async () => {
  const { engine, stage, countPages } = await stagePages(3);
  await engine.transact((t) => publishStage(t, stage.name));
  await discardStage(engine, stage.name);
  assert.equal(await countPages(), 3);
});
