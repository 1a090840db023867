// How many requests a warm transaction costs: they are what a mount spends its time on.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Client } from '../support/client.js';
import { FaultMount } from '../support/mounted.js';

let mount: FaultMount;
let client: Client;

before(async () => {
  mount = await FaultMount.startFaulty();
  client = new Client();
  await client.open(mount.path());
  await client.script('PRAGMA journal_mode=DELETE; PRAGMA synchronous=FULL; CREATE TABLE t(a, b)');
  for (let i = 0; i < 3; i += 1) await client.exec('INSERT INTO t VALUES(?, ?)', 0, [i, 'x']);
});

after(async () => {
  await client.kill();
  await mount.remove();
});

async function traced(work: () => Promise<unknown>): Promise<string[]> {
  await mount.startTrace();
  await work();
  return mount.stopTrace();
}

test('a warm read transaction takes at most 7 round trips', async () => {
  await client.exec('SELECT * FROM t');
  const trace = await traced(() => client.exec('SELECT * FROM t'));
  assert.ok(trace.length > 0 && trace.length <= 7, trace.join(' '));
});

test('an autocommit insert in DELETE mode at FULL takes at most 42', async () => {
  await client.exec('INSERT INTO t VALUES(1, 2)');
  const trace = await traced(() => client.exec('INSERT INTO t VALUES(3, 4)'));
  assert.ok(trace.includes('FSYNC(db)'), trace.join(' '));
  assert.ok(trace.length <= 42, `${trace.length}: ${trace.join(' ')}`);
});
