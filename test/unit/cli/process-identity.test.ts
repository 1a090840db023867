// Only a process that is certainly gone may be taken for gone.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { isGone, ownIdentity } from '../../../src/cli/process-identity.js';

test('a process that runs is not gone, nor is one that stands still; one that ended is', async () => {
  assert.equal(isGone(ownIdentity()), false);
  const child = spawn('sleep', ['60']);
  const fields = readFileSync(`/proc/${child.pid}/stat`, 'utf8').split(') ')[1]!.split(' ');
  const identity = { place: ownIdentity().place, pid: child.pid!, started: fields[19]! };
  assert.equal(isGone(identity), false);
  child.kill('SIGSTOP');
  assert.equal(isGone(identity), false);
  child.kill('SIGKILL');
  await once(child, 'exit');
  assert.equal(isGone(identity), true);
});

test('another process with the same id is not it', () => {
  assert.equal(isGone({ ...ownIdentity(), started: '1' }), true);
});

test('of another machine, another container and an unknown start nothing is certain', () => {
  const gone = { ...ownIdentity(), pid: 2 ** 22 + 1 };
  assert.equal(isGone(gone), true);
  assert.equal(isGone({ ...gone, place: 'elsewhere' }), false);
  assert.equal(isGone({ ...gone, started: 'unknown' }), false);
});
