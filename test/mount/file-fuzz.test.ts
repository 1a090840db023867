// Random file operations of several processes in a mounted directory, each compared with a local directory; what is
// promised to differ is in test/support/file_fuzz/model.py. Contents are compared again after clean remounts and after
// SIGKILL of the daemon.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { CLIENT_ENVIRONMENT } from '../support/client.js';
import { LONG } from '../support/injection-run.js';
import { TestMount } from '../support/mounted.js';
import { chooseSeed } from '../support/random.js';

// The scripts are no TypeScript, so they stay in the source tree: dist/test/mount → test/support.
const SCRIPT = fileURLToPath(new URL('../../../test/support/file_fuzz/fuzz.py', import.meta.url));
const SEEDS = LONG ? 40 : 1;
const OPERATIONS = LONG ? 4_000 : 600;
/** A writer in another's way waits so long each time. */
const FLAGS = ['--writer-wait', '300ms'];

async function fuzz(seed: number): Promise<string> {
  let mount = await TestMount.start({ namespaces: '*' }, FLAGS);
  try {
    const local = join(mount.base, 'local');
    mkdirSync(local);
    const args = [SCRIPT, mount.directory, local, String(seed), String(OPERATIONS)];
    const driver = spawn('python3', args, { env: CLIENT_ENVIRONMENT, stdio: ['pipe', 'pipe', 'pipe'] });
    let said = '';
    driver.stderr.on('data', (chunk: Buffer) => {
      said += chunk.toString();
    });
    driver.stdin.on('error', () => undefined);
    let last = '';
    for await (const line of createInterface({ input: driver.stdout })) {
      last = line;
      if (line !== 'remount' && line !== 'kill') continue;
      if (line === 'remount') assert.equal(await mount.unmount(), 0, mount.log);
      else await mount.kill();
      mount = await TestMount.start({ namespaces: '*', base: mount.base }, FLAGS);
      driver.stdin.write('go\n');
    }
    assert.match(last, /^done /, `seed ${seed}: ${said}`);
    return last;
  } finally {
    await mount.remove();
  }
}

const first = chooseSeed('file-fuzz');

for (let index = 0; index < SEEDS; index += 1) {
  test(`file operations, seed ${first + index}`, async (t) => {
    t.diagnostic(await fuzz(first + index));
  });
}
