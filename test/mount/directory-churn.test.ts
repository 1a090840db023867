// Eight processes make, rename, replace and remove databases in one directory, while others have them open. On a mounted
// directory each step has the result that it has in a local one.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { run, sqlite3 } from '../support/client.js';
import { type Churned, ROWS, SHARED_NAMES } from '../support/directory-churn.js';
import { TestMount } from '../support/mounted.js';
import { chooseSeed } from '../support/random.js';

const SCRIPT = fileURLToPath(new URL('../support/directory-churn-child.js', import.meta.url));
const WORKERS = 8;
const STEPS = process.env.MVFUSE_TEST_LONG === '1' ? 400 : 25;

/** A name that is always replaced is always there, and whole; who has the file that it showed before may not write it. */
const RIGHT = ['replace: replaced', 'read: read', 'update: updated', 'update: SQLITE_READONLY_DBMOVED'];

let mount: TestMount;
let local: string;

before(async () => {
  mount = await TestMount.start({ namespaces: '*' });
  local = mkdtempSync(join(tmpdir(), 'mvfuse-local-'));
});

after(async () => {
  await mount?.remove();
  rmSync(local, { recursive: true, force: true });
});

interface Result {
  readonly churned: Churned[];
  /** What is left: names, and whether each is whole. */
  readonly files: string[];
}

async function churn(directory: string, seed: number): Promise<Result> {
  for (const name of SHARED_NAMES) {
    const rows = `INSERT INTO t SELECT 'first', '' FROM generate_series(1, ${ROWS})`;
    await sqlite3(join(directory, name), `CREATE TABLE t(tag TEXT, padding TEXT); ${rows};`);
  }
  const workers = Array.from({ length: WORKERS }, async (_, worker) => {
    const args = [SCRIPT, directory, String(worker), String(STEPS), String(seed)];
    const { status, stdout, stderr } = await run(process.execPath, args, '', 600_000);
    assert.equal(status, 0, stderr);
    return JSON.parse(stdout) as Churned;
  });
  const churned = await Promise.all(workers);
  const names = (await run('ls', ['-A', directory])).stdout.split('\n').slice(0, -1);
  const files = names.map(async (name) => {
    const sql = 'PRAGMA integrity_check; SELECT count(DISTINCT tag), count(*) FROM t;';
    return `${name} ${await sqlite3(join(directory, name), sql)}`;
  });
  return { churned, files: await Promise.all(files) };
}

test('databases that come and go', async () => {
  const seed = chooseSeed('directory churn');
  const plain = await churn(local, seed);
  const mounted = await churn(mount.directory, seed);
  for (const [worker, { own, shared }] of mounted.churned.entries()) {
    assert.deepEqual(own, plain.churned[worker]!.own, `worker ${worker}`);
    assert.deepEqual(
      Object.keys(shared).filter((outcome) => !RIGHT.includes(outcome)),
      [],
      `worker ${worker}`,
    );
  }
  assert.deepEqual(mounted.files, plain.files);
  for (const name of SHARED_NAMES) assert.ok(mounted.files.includes(`${name} ok\n1|${ROWS}`), mounted.files.join());
});
