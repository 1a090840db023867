// Random file operations of several processes in a mounted directory, each compared with a local directory; what is
// promised to differ is in test/support/file_fuzz/model.py. Contents are compared again after clean remounts and after
// SIGKILL of the daemon.

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { CLIENT_ENVIRONMENT, run } from '../support/client.js';
import { LONG } from '../support/injection-run.js';
import { TestMount } from '../support/mounted.js';
import { chooseSeed } from '../support/random.js';

// The scripts are no TypeScript, so they stay in the source tree: dist/test/mount → test/support.
const SCRIPT = fileURLToPath(new URL('../../../test/support/file_fuzz/fuzz.py', import.meta.url));
const LISTING = fileURLToPath(new URL('../../../test/support/directory_listing.py', import.meta.url));
const SEEDS = LONG ? 40 : 1;
const OPERATIONS = LONG ? 4_000 : 600;
/** Several times what the kernel asks for at once. */
const NAMES = LONG ? 1_500 : 200;
const LISTINGS = LONG ? 100 : 10;
/** A writer in another's way waits so long each time. */
const FLAGS = ['--writer-wait', '300ms'];

async function fuzz(seed: number): Promise<string> {
  let mount = await TestMount.start({ namespaces: '*' }, FLAGS);
  let driver: ChildProcess | undefined;
  try {
    const local = join(mount.base, 'local');
    mkdirSync(local);
    const args = [SCRIPT, mount.directory, local, String(seed), String(OPERATIONS)];
    driver = spawn('python3', args, { env: CLIENT_ENVIRONMENT, stdio: ['pipe', 'pipe', 'pipe'] });
    let said = '';
    driver.stderr!.on('data', (chunk: Buffer) => {
      said += chunk.toString();
    });
    driver.stdin!.on('error', () => undefined);
    let last = '';
    for await (const line of createInterface({ input: driver.stdout! })) {
      last = line;
      if (line !== 'remount' && line !== 'kill') continue;
      if (line === 'remount') assert.equal(await mount.unmount(), 0, mount.log);
      else await mount.kill();
      mount = await TestMount.start({ namespaces: '*', base: mount.base }, FLAGS);
      driver.stdin!.write('go\n');
    }
    assert.match(last, /^done /, `seed ${seed}: ${said}`);
    return last;
  } finally {
    // It is in the middle of something when an assertion failed here; its processes end with it.
    driver?.kill('SIGTERM');
    await mount.remove();
  }
}

const first = chooseSeed('file-fuzz');

for (let index = 0; index < SEEDS; index += 1) {
  test(`file operations, seed ${first + index}`, async (t) => {
    t.diagnostic(await fuzz(first + index));
  });
}

test('what stays in a directory is listed once, whatever comes and goes meanwhile', async (t) => {
  const mount = await TestMount.start({ namespaces: '*' });
  try {
    const args = [LISTING, mount.directory, String(NAMES), String(LISTINGS)];
    const { status, stdout, stderr } = await run('python3', args, '', 600_000);
    assert.equal(status, 0, stderr);
    t.diagnostic(stdout.trim());
  } finally {
    await mount.remove();
  }
});
