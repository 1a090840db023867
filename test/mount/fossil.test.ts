// fossil on a mounted directory: a repository, a checkout among it and one elsewhere, clones. Everything that fossil is told to
// do is done in a local directory, too, and the artifacts are the same.

import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { run, sqlite3 } from '../support/client.js';
import { TestMount } from '../support/mounted.js';

const FOSSIL = '/usr/bin/fossil';
const skip = existsSync(FOSSIL) ? false : 'fossil is not installed';

/** A directory with the repository, and what belongs to who works with it. */
class Site {
  readonly directory: string;
  readonly checkout: string;
  readonly home: string;
  #days = 1;

  constructor(directory: string, local: string) {
    this.directory = directory;
    this.home = local;
    this.checkout = join(local, 'checkout');
    mkdirSync(this.checkout, { recursive: true });
  }

  path(name: string): string {
    return join(this.directory, name);
  }

  /** fossil keeps what it knows of repositories in a database in FOSSIL_HOME. */
  async shell(directory: string, script: string): Promise<string> {
    const variables = [`FOSSIL_HOME=${this.directory}`, `HOME=${this.home}`, 'FOSSIL_USER=tester', 'LC_ALL=C'];
    const { status, stdout, stderr } = await run('env', [`--chdir=${directory}`, ...variables, 'bash', '-ec', script]);
    assert.equal(status, 0, `${script}: ${stdout} ${stderr}`);
    return stdout;
  }

  /** A file more in the checkout, a line more in one that all have. */
  async commit(directory: string, name: string): Promise<void> {
    const date = `2026-01-${String(++this.#days).padStart(2, '0')}T12:00:00`;
    await this.shell(
      directory,
      `echo ${name} >> all.txt; seq 1 500 > ${name}.txt; fossil add all.txt ${name}.txt
       fossil commit -m 'adds ${name}' --no-warnings --date-override ${date}`,
    );
  }

  /** The names of artifacts are the hashes of their content. */
  artifacts(repository: string): Promise<string> {
    return sqlite3(repository, 'SELECT uuid, size FROM blob ORDER BY uuid');
  }
}

/** A day's work; every artifact that came of it, and how each repository is. */
async function work(site: Site): Promise<{ artifacts: string[]; integrity: string[]; files: string; listed: string }> {
  const { directory, checkout } = site;
  const [repository, clone, elsewhere] = [
    site.path('repo.fossil'),
    site.path('clone.fossil'),
    join(site.home, 'clone'),
  ];
  await site.shell(directory, `fossil new --date-override 2026-01-01T00:00:00 ${repository}`);
  await site.shell(directory, 'fossil open --force repo.fossil');
  for (const name of ['one', 'two', 'three']) await site.commit(directory, name);
  // The database of this checkout lies in the mounted directory, its files do not.
  symlinkSync(site.path('checkout.fslckout'), join(checkout, '.fslckout'));
  await site.shell(checkout, `fossil open ${repository}`);
  for (const name of ['four', 'five']) await site.commit(checkout, name);
  await site.shell(directory, 'fossil update');
  await site.commit(directory, 'six');
  await site.shell(
    checkout,
    'fossil update && echo nothing >> all.txt && fossil revert && fossil undo && fossil revert',
  );
  await site.shell(directory, `fossil rebuild ${repository} && fossil rebuild --vacuum --compress ${repository}`);
  await site.shell(directory, `fossil clone file://${repository} ${clone} && fossil clone ${repository} ${elsewhere}`);
  await site.commit(checkout, 'seven');
  await site.shell(checkout, `fossil push file://${clone} && fossil pull file://${clone}`);
  await site.shell(site.home, `fossil sync -R ${elsewhere} file://${repository}`);
  await site.shell(directory, 'fossil update && fossil all rebuild');
  const repositories = [repository, clone, elsewhere];
  const integrity = [];
  for (const each of repositories) integrity.push(await site.shell(directory, `fossil test-integrity -R ${each}`));
  const artifacts = [];
  for (const each of repositories) artifacts.push(await site.artifacts(each));
  const files = await site.shell(directory, 'cat all.txt; md5sum *.txt; fossil changes; fossil ls');
  await site.shell(checkout, 'fossil close');
  await site.shell(directory, 'fossil close');
  return { artifacts, integrity, files, listed: await site.shell(directory, 'ls -A') };
}

describe('fossil', { skip }, () => {
  let mount: TestMount;
  let local: string;

  before(async () => {
    mount = await TestMount.start({ namespaces: '*' });
    local = mkdtempSync(join(tmpdir(), 'mvfuse-local-'));
    mkdirSync(join(local, 'plain'));
  });

  after(async () => {
    await mount?.remove();
    rmSync(local, { recursive: true, force: true });
  });

  test('a repository, its checkouts and its clones are what they are on a local disk', async () => {
    const plain = await work(new Site(join(local, 'plain'), join(local, 'home-plain')));
    const mounted = await work(new Site(mount.directory, join(local, 'home-mounted')));
    assert.deepEqual(mounted, plain);
    const [artifacts, ...clones] = mounted.artifacts;
    assert.ok(artifacts!.split('\n').length > 15, artifacts);
    for (const clone of clones) assert.equal(clone, artifacts);
    for (const integrity of mounted.integrity) assert.match(integrity, /integrity-check: ok/);
  });

  test('a checkout whose database is elsewhere is refused, since its commits could not be atomic', async () => {
    const site = new Site(mount.directory, join(local, 'home-refused'));
    const environment = [`--chdir=${site.checkout}`, `FOSSIL_HOME=${site.directory}`, `HOME=${site.home}`];
    const before = await site.artifacts(site.path('repo.fossil'));
    const { status, stderr } = await run('env', [...environment, FOSSIL, 'open', site.path('repo.fossil')]);
    assert.notEqual(status, 0);
    assert.match(stderr, /disk I\/O error/);
    assert.match(mount.log, /a transaction over this mount and another directory is refused/);
    assert.equal(await site.artifacts(site.path('repo.fossil')), before);
  });
});
