// Random SQL on a mount and on plain local files in lockstep, in every journal mode and with the smallest, an ordinary and the
// largest page size: same rows, same errors, same content, also through a fresh connection and through `mydb@version`.
//
// MVFUSE_TEST_SEED repeats a run; MVFUSE_TEST_LONG=1 runs LONG_STEPS of each combination.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { withService } from '../../src/cli/store-access.js';
import { Client, type Digest, run } from '../support/client.js';
import { BLOCK_STEPS, Differential } from '../support/differential.js';
import { PAGE_BYTES } from '../support/differential-episodes.js';
import { DirectoryLoad } from '../support/directory-load.js';
import { LONG } from '../support/injection-run.js';
import { JOURNAL_MODES, type JournalMode } from '../support/lockstep.js';
import { FaultMount } from '../support/mounted.js';
import { chooseSeed, randomInteger, seededRandom } from '../support/random.js';
import { Twins } from '../support/twins.js';

const STEPS = 300;
const LONG_STEPS = 20_000;
/** Steps take longer there. */
const CROWDED_STEPS = LONG ? 3_000 : 200;
const CHECKED_VERSIONS_MAX = 10;
/** Small, so that large transactions leave the daemon's memory too. */
const DIRTY_MEMORY_BYTES = 64 * 1024;

const seed = chooseSeed('differential');
const steps = LONG ? LONG_STEPS : STEPS;

// Each waits for round trips and syncs most of the time.
describe(`${steps} steps`, { concurrency: 3 }, () => {
  for (const mode of JOURNAL_MODES) {
    for (const pageBytes of PAGE_BYTES) test(`${mode}, pages of ${pageBytes}`, () => compare(mode, pageBytes, steps));
  }
  for (const mode of LONG ? JOURNAL_MODES : JOURNAL_MODES.slice(0, 1)) {
    test(`${mode}, by the creator`, () => compare(mode, PAGE_BYTES[0]!, steps, { created: true, others: 0 }));
  }
});

describe(`${CROWDED_STEPS} steps among eight processes`, () => {
  for (const mode of LONG ? JOURNAL_MODES : JOURNAL_MODES.slice(1, 2)) {
    for (const created of [true, false]) {
      const title = `${mode}, by ${created ? 'the creator' : 'others than the creator'}`;
      test(title, () => compare(mode, PAGE_BYTES[1]!, CROWDED_STEPS, { created, others: 5 }));
    }
  }
});

/** Of a mounted directory of databases. */
interface Way {
  /** Two of the three connections are in the process that creates the databases. */
  readonly created: boolean;
  /** Processes besides that work in the same directory, one of them reading the same database. */
  readonly others: number;
}

async function compare(mode: JournalMode, pageBytes: number, steps: number, way?: Way): Promise<void> {
  const namespaces = way === undefined ? 'mydb=test,other=other' : '*';
  const mount = await FaultMount.startFaulty({ namespaces }, DIRTY_MEMORY_BYTES);
  const load = way === undefined || way.others === 0 ? undefined : new DirectoryLoad(mount, seed);
  const local = mkdtempSync(join(tmpdir(), 'mvfuse-plain-'));
  const label = `MVFUSE_TEST_SEED=${seed}, ${mode}, pages of ${pageBytes}`;
  const plain = { main: join(local, 'mydb'), aux: join(local, 'other') };
  const twins = new Twins(label, { main: mount.path('mydb'), aux: mount.path('other') }, plain, local);
  try {
    if (way?.created === false) {
      const { status, stderr } = await run('touch', [mount.path('mydb'), mount.path('other')]);
      assert.equal(status, 0, stderr);
    }
    await load?.start(way!.others - 1);
    await twins.open();
    const random = seededRandom(seed + pageBytes + JOURNAL_MODES.indexOf(mode));
    const differential = new Differential(twins, mount, random, mode, pageBytes);
    await differential.prepare();
    await load?.read(mount.path('mydb'));
    const versions = new Versions(mount, way === undefined ? 'test' : 'mydb');
    for (let done = 0; done < steps; done += BLOCK_STEPS) {
      const before = { ...differential.counts };
      await differential.block();
      for (const [what, count] of Object.entries(differential.counts)) {
        assert.ok(count > before[what as keyof typeof before], `no ${what} in steps ${done}-${done + BLOCK_STEPS}`);
      }
      load?.check();
      await versions.check(await sameDigests(twins, mount, plain), randomInteger(random, 0, 2 ** 31));
    }
    await load?.kill();
    await load?.verify();
  } catch (error) {
    throw error instanceof Error && error.message.includes(label)
      ? error
      : twins.failure(String((error as Error).stack));
  } finally {
    await load?.kill();
    await twins.end();
    await mount.remove();
    rmSync(local, { recursive: true, force: true });
  }
}

/** Through connections that have been there all the time, and through fresh ones in a new process. */
async function sameDigests(twins: Twins, mount: FaultMount, plain: { main: string; aux: string }): Promise<Digest> {
  const { main, aux } = await twins.digest(0);
  assert.deepEqual(await twins.digest(2), { main, aux });
  const fresh = new Client();
  try {
    await fresh.open(mount.path('mydb'), 0);
    await fresh.open(mount.path('other'), 1);
    await fresh.open(plain.main, 2);
    assert.deepEqual([await fresh.digest(0), await fresh.digest(1)], [main, aux]);
    assert.deepEqual(await fresh.digest(2), main);
  } finally {
    await fresh.kill();
  }
  return main;
}

/** The newest version as a file of its own, and those of earlier check points, which must not have changed. */
class Versions {
  readonly #mount: FaultMount;
  readonly #namespace: string;
  readonly #known: Array<{ readonly version: string; readonly digest: Digest }> = [];

  constructor(mount: FaultMount, namespace: string) {
    this.#mount = mount;
    this.#namespace = namespace;
  }

  async check(digest: Digest, choice: number): Promise<void> {
    const [newest] = await withService(this.#mount.storeUrl, (service) => service.log(this.#namespace, { limit: 1 }));
    this.#known.push({ version: newest!.version, digest });
    if (this.#known.length > CHECKED_VERSIONS_MAX) this.#known.splice(choice % (CHECKED_VERSIONS_MAX - 1), 1);
    const client = new Client();
    try {
      for (const known of [this.#known.at(-1)!, this.#known[choice % this.#known.length]!]) {
        await client.open(this.#mount.path(`mydb@${known.version}`));
        assert.deepEqual(await client.digest(), known.digest, `mydb@${known.version}`);
        await client.close();
      }
    } finally {
      await client.kill();
    }
  }
}
