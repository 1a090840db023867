// What is special about the engine on FoundationDB: lost answers, clusters that are away, stores beside each other.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { isMvfuseError } from '../../src/errors.js';
import type { Engine } from '../../src/kv/engine.js';
import {
  type ClientDatabase,
  ClientError,
  type ClientTransaction,
  openDatabase,
} from '../../src/kv/foundationdb/client.js';
import { FoundationdbEngine } from '../../src/kv/foundationdb/foundationdb-engine.js';
import { KeySpace } from '../../src/kv/foundationdb/key-space.js';
import { parseLocation } from '../../src/kv/foundationdb/location.js';
import { openEngine } from '../../src/kv/open.js';
import { foundationdbMissing, foundationdbUrl, TEST_CLUSTER_FILE } from '../support/foundationdb.js';

const OPTIONS = { clock: Date.now };
const key = (text: string): Buffer => Buffer.from(text);

/** What happens to a commit whose answer gets lost. */
type Loss = 'committed' | 'not committed' | 'committed later';

/** A database whose next commit is answered with "unknown result". */
class LossyDatabase implements ClientDatabase {
  readonly #database: ClientDatabase;
  readonly #straggling: Promise<unknown>[] = [];
  loss: Loss | undefined;
  /** How the straggling commits ended. */
  readonly stragglers: string[] = [];

  constructor(database: ClientDatabase) {
    this.#database = database;
  }

  rawCreateTransaction(options: { timeout: number }): ClientTransaction {
    const native = this.#database.rawCreateTransaction(options);
    const commit = native.rawCommit.bind(native);
    native.rawCommit = async () => {
      const { loss } = this;
      this.loss = undefined;
      if (loss === undefined) return commit();
      if (loss === 'committed') await commit();
      if (loss === 'committed later') {
        const late = sleep(300).then(commit);
        this.#straggling.push(
          late.then(
            () => this.stragglers.push('committed'),
            () => this.stragglers.push('refused'),
          ),
        );
      }
      throw Object.assign(new Error('the answer was lost'), { code: ClientError.COMMIT_UNKNOWN_RESULT });
    };
    return native;
  }

  async straggled(): Promise<void> {
    await Promise.all(this.#straggling);
  }

  close(): void {
    this.#database.close();
  }
}

describe('engine on FoundationDB', { skip: foundationdbMissing() }, () => {
  let lossy: LossyDatabase;
  let engine: Engine;

  before(async () => {
    const location = parseLocation(foundationdbUrl(TEST_CLUSTER_FILE!, randomUUID()));
    lossy = new LossyDatabase(await openDatabase(location));
    engine = await FoundationdbEngine.on(lossy, location, OPTIONS);
  });
  after(() => engine.close());

  const add = (name: string) =>
    engine.transact(async (t) => {
      const before = await t.get(key(name));
      t.set(key(name), key(String(Number(before ?? 0) + 1)));
      t.setVersionstampedKey(key(`log/${name}/`), Buffer.alloc(0), key('x'));
    });
  const read = async (name: string) => (await engine.read((t) => t.get(key(name))))?.toString();
  const logged = (name: string) => engine.read((t) => t.getRange(key(`log/${name}/`), key(`log/${name}0`)));

  for (const loss of ['committed', 'not committed', 'committed later'] as const) {
    test(`a lost answer, ${loss}: the transaction happens once, and its version is right`, async () => {
      const name = loss.replaceAll(' ', '-');
      await add(name);
      lossy.loss = loss;
      const { version } = await add(name);
      await lossy.straggled();
      assert.equal(await read(name), '2');
      const entries = await logged(name);
      assert.equal(entries.length, 2);
      assert.ok(entries.at(-1)!.key.toString('hex').endsWith(version!));
    });
  }

  test('a commit that was given up cannot land any more', () => {
    assert.deepEqual(lossy.stragglers, ['refused']);
  });

  test('ids of commits do not pile up', async () => {
    const location = parseLocation(foundationdbUrl(TEST_CLUSTER_FILE!, randomUUID()));
    const busy = await FoundationdbEngine.on(await openDatabase(location), location, OPTIONS);
    const commit = (index: number) => busy.transact(async (t) => t.set(key(`k${index}`), key('1')));
    for (let round = 0; round < 50; round++) await Promise.all(Array.from({ length: 8 }, (_, index) => commit(index)));
    const native = (await openDatabase(location)).rawCreateTransaction({ timeout: 5_000 });
    const keys = new KeySpace(location.prefix);
    const ids = await native.getRangeAll(keys.commitId(Buffer.alloc(0)), keys.commitId(Buffer.alloc(17, 0xff)), {});
    assert.ok(ids.length > 0 && ids.length < 50, `${ids.length} ids`);
    await busy.close();
  });

  test('as of its own commit, a transaction needs no read; a change since then is noticed', async () => {
    const { version } = await engine.transact(async (t) => t.set(key('head'), key('1')));
    const before = engine.roundTrips!;
    const attempts: boolean[] = [];
    const body = async (t: Parameters<Parameters<Engine['transact']>[0]>[0]): Promise<void> => {
      attempts.push(t.isAsOf);
      if (t.isAsOf) t.expectUnchanged(key('head'));
      else await t.get(key('head'));
      t.set(key('head'), key('2'));
    };
    await engine.transact(body, { asOf: version! });
    const after = engine.roundTrips!;
    assert.deepEqual(
      [after.readVersions - before.readVersions, after.reads - before.reads, after.commits - before.commits],
      [0, 0, 1],
    );
    await engine.transact(body, { asOf: version! });
    assert.deepEqual(attempts, [true, true, false]);
  });

  test('reads of an older state share a read version', async () => {
    const { version } = await engine.transact(async (t) => t.set(key('shared'), key('1')));
    const before = engine.roundTrips!;
    await engine.read((t) => t.get(key('shared')), { atLeast: version! });
    await engine.read((t) => t.get(key('shared')), { atLeast: version! });
    const after = engine.roundTrips!;
    assert.deepEqual([after.readVersions - before.readVersions, after.reads - before.reads], [0, 2]);
    assert.equal(await read('shared'), '1');
    assert.equal(engine.roundTrips!.readVersions, after.readVersions + 1);
  });

  test('stores with different prefixes do not see each other', async () => {
    const names: string[] = [randomUUID(), randomUUID()];
    names.push(`${names[0]}0`);
    const engines = await Promise.all(
      names.map((name) => openEngine(foundationdbUrl(TEST_CLUSTER_FILE!, name), OPTIONS)),
    );
    for (const [index, other] of engines.entries()) {
      await other.transact(async (t) => t.set(key('a'), key(String(index))));
    }
    for (const [index, other] of engines.entries()) {
      const pairs = await other.read((t) => t.getRange(Buffer.alloc(0), Buffer.of(255)));
      assert.deepEqual(
        pairs.map((pair) => pair.value.toString()),
        [String(index)],
      );
      await other.close();
    }
  });

  test('the cluster describes itself', async () => {
    const cluster = await engine.cluster!();
    assert.equal(cluster.available, true);
    assert.ok(cluster.processes >= 1);
    assert.equal(cluster.coordinators.reachable, cluster.coordinators.count);
  });

  test('a cluster that cannot be reached is an error after a bounded wait, not a process that hangs', async () => {
    const child = fileURLToPath(new URL('../support/unreachable-cluster.js', import.meta.url));
    const { stdout } = await promisify(execFile)(process.execPath, [child], { timeout: 60_000 });
    const { code, message, ms } = JSON.parse(stdout) as { code: string; message: string; ms: number };
    assert.equal(code, 'STORE_FAILED');
    assert.match(message, /did not answer within/);
    assert.ok(ms < 40_000, `${ms} ms`);
  });

  test('a watch neither holds the process nor its end', async () => {
    const other = await openEngine(foundationdbUrl(TEST_CLUSTER_FILE!, randomUUID()), OPTIONS);
    const watching = other.watch(key('never'), undefined);
    watching.catch(() => undefined);
    await sleep(50);
    await other.close();
    await assert.rejects(watching, (error) => isMvfuseError(error, 'CLOSED'));
  });
});
