// SIGKILL at a random moment of a process that commits: every version that it printed must be there.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { openEngine } from '../../../src/kv/open.js';
import { committingChildPath } from '../../support/committing-child.js';
import { chooseSeed, randomInteger, seededRandom } from '../../support/random.js';

const ROUNDS = 30;

test('every acknowledged commit survives SIGKILL', async () => {
  const random = seededRandom(chooseSeed('kill'));
  const directory = await mkdtemp(join(tmpdir(), 'mvfuse-crash-'));
  try {
    const acknowledged: string[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const versions = await commitUntilKilled(directory, randomInteger(random, 1, 200));
      acknowledged.push(...versions);
      const engine = await openEngine(`sqlite:${directory}`, { clock: Date.now });
      const [stored, last] = await engine.read(
        async (t) =>
          [await t.getRange(Buffer.from('log/'), Buffer.from('log0')), await t.get(Buffer.from('last'))] as const,
      );
      await engine.close();
      const present = stored.map((pair) => pair.key.subarray(4).toString('hex'));
      assert.deepEqual(
        acknowledged.filter((version) => !present.includes(version)),
        [],
        `round ${round}`,
      );
      assert.equal(last?.toString('hex'), present.at(-1), 'a commit is there whole or not at all');
    }
    assert.deepEqual(acknowledged, [...new Set(acknowledged)].sort(), 'no version was issued twice');
    console.log(`# ${acknowledged.length} acknowledged commits, ${ROUNDS} kills`);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
});

/** Kills the process once it has printed `lines` versions; resolves with all that were printed whole. */
function commitUntilKilled(directory: string, lines: number): Promise<string[]> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [committingChildPath, directory], { stdio: ['ignore', 'pipe', 'inherit'] });
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      output += chunk;
      if (output.split('\n').length > lines) child.kill('SIGKILL');
    });
    child.on('error', reject);
    child.on('close', (_status, signal) => {
      if (signal === 'SIGKILL') resolve(output.split('\n').slice(0, -1));
      else reject(new Error('the process ended by itself'));
    });
  });
}
