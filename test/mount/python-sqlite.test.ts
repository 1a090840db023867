// CPython's own tests of its sqlite3 module with their databases on a mounted directory: each has the same result as in a local
// one, but for three.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { run } from '../support/client.js';
import { TestMount } from '../support/mounted.js';

const SCRIPT = fileURLToPath(new URL('../../../test/support/python_sqlite_tests.py', import.meta.url));
const TESTS = 'test.test_sqlite3';
const TESTS_MIN = 400;
const FILES_MIN = 300;
const COMMITS_MIN = 300;

/** What is meant to be different: a name that is no UTF-8 is refused, and a reader keeps nobody from writing. */
const DIFFERENT = [
  'test_dbapi.OpenTests.test_open_with_undecodable_path',
  'test_dbapi.OpenTests.test_open_undecodable_uri',
  'test_dbapi.MultiprocessTests.test_ctx_mgr_rollback_if_commit_failed',
].map((name) => `${TESTS}.${name}`);

interface Results {
  /** By name: 'passed', or what happened instead. */
  readonly outcomes: Record<string, string>;
  /** Databases that were files although the test meant memory. */
  readonly opened: number;
}

/** Some Python that has its own tests: Debian packs them apart. */
function python(): string | undefined {
  return ['/usr/bin/python3', 'python3'].find((candidate) => {
    try {
      execFileSync(candidate, ['-c', `import ${TESTS}`], { stdio: 'ignore' });
      return true;
    } catch {
      return false;
    }
  });
}

const interpreter = python();
const skip = interpreter === undefined ? 'the tests of Python are not installed (libpython3.11-testsuite)' : false;

async function results(directory: string): Promise<Results> {
  const { status, stdout, stderr } = await run(interpreter!, [SCRIPT, directory], '', 300_000);
  assert.equal(status, 0, stderr);
  return JSON.parse(stdout.slice(stdout.lastIndexOf('\n{') + 1)) as Results;
}

describe("Python's own tests of sqlite3", { skip }, () => {
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

  test('end on a mounted directory as on a local one', async () => {
    const plain = await results(local);
    const mounted = await results(mount.directory);
    const names = Object.keys(plain.outcomes);
    assert.ok(names.length >= TESTS_MIN, `${names.length} tests`);
    assert.deepEqual(Object.keys(mounted.outcomes), names);
    const differences = names.filter((name) => mounted.outcomes[name] !== plain.outcomes[name]);
    const shown = differences.map((name) => `${name}: ${plain.outcomes[name]}; mounted: ${mounted.outcomes[name]}`);
    assert.deepEqual(differences.sort(), DIFFERENT.filter((name) => names.includes(name)).sort(), shown.join('\n'));

    // They did use the mount, and took away what they made.
    assert.equal(mounted.opened, plain.opened);
    assert.ok(mounted.opened >= FILES_MIN, `${mounted.opened} files`);
    const commits = mount.log.split('"msg":"commit"').length - 1;
    assert.ok(commits >= COMMITS_MIN, `${commits} commits`);
    assert.equal((await run('ls', ['-A', mount.directory])).stdout, '');
  });
});
