// Several hosts on one store, in one process: who may write, who knows the newest head without asking.

import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { isMvfuseError } from '../../../src/errors.js';
import type { Engine, ReadTransaction } from '../../../src/kv/engine.js';
import { openEngine } from '../../../src/kv/open.js';
import { RETENTION_GRACE_MS } from '../../../src/limits.js';
import type { CommitLimits } from '../../../src/store/commit.js';
import { headKey } from '../../../src/store/keys.js';
import type { PageStore } from '../../../src/store/page-store.js';
import { listStages } from '../../../src/store/stage.js';
import type { Head, NamespaceId, Page } from '../../../src/store/types.js';
import { Wakeup } from '../../../src/wakeup.js';
import { filledPage, filledPages, openStore, pageNumber, request } from '../../support/stores.js';

const LEASE_MS = 1_000;
const WAIT_MS = 3_000;

interface TestHostOptions {
  readonly leaseReads?: boolean;
  readonly clock?: () => number;
  readonly limits?: Partial<CommitLimits>;
}

let identities = 0;
/** Processes that ended, as the others can see. */
const gone = new Set<string>();

/** A host whose engine can be stopped, as by SIGSTOP or a partition. */
class TestHost {
  readonly store: PageStore;
  /** How often the head was asked for. */
  readonly reads: { count: number };
  readonly stopped: { now: boolean };
  /** Whether answers of the engine are kept back. */
  readonly answers: { held: boolean };
  readonly writer = { pid: 1 };
  namespace!: NamespaceId;

  private constructor(store: PageStore, host: Pick<TestHost, 'reads' | 'stopped' | 'answers'>) {
    this.store = store;
    this.reads = host.reads;
    this.stopped = host.stopped;
    this.answers = host.answers;
  }

  static async start(engine: Engine, options: TestHostOptions = {}): Promise<TestHost> {
    const { leaseReads = true, limits, clock = Date.now } = options;
    const [reads, stopped, answers] = [{ count: 0 }, { now: false }, { held: false }];
    const pass = async <T>(work: () => Promise<T>): Promise<T> => {
      while (stopped.now) await sleep(5);
      return work();
    };
    const own: Engine = {
      transact: async (body, transactOptions) => {
        const result = await pass(() => engine.transact(body, transactOptions));
        while (answers.held) await sleep(5);
        return result;
      },
      read: (body, readOptions) => {
        const counted = (transaction: ReadTransaction): ReadTransaction => ({
          get: (key) => {
            if (headKey(1 as NamespaceId).equals(key)) reads.count += 1;
            return transaction.get(key);
          },
          getRange: (begin, end, options) => transaction.getRange(begin, end, options),
        });
        return pass(() => engine.read((transaction) => body(counted(transaction)), readOptions));
      },
      watch: (key, value, signal) => pass(() => engine.watch(key, value, signal)),
      close: async () => {},
    };
    const host = {
      name: 'test',
      pid: 1,
      identity: { place: 'here', pid: 1, started: String(identities++) },
      isGone: ({ started }: { started: string }) => gone.has(started),
      bootTimeMs: () => performance.now(),
      leaseMs: LEASE_MS,
      leaseReads,
    };
    return new TestHost(await openStore(own, { host, clock, ...(limits && { limits }) }), { reads, stopped, answers });
  }

  /** One transaction as a connection makes it: lock, lease, head, commit, unlock. */
  async write(fill: number, waitMsMax = WAIT_MS): Promise<Head> {
    const lock = this.store.writeLock(this.namespace);
    while (!lock.tryAcquire(this.writer)) await lock.released.wait(20);
    try {
      await this.store.acquireLease(this.namespace, waitMsMax);
      const { version } = await this.store.head(this.namespace);
      const [commit] = await this.store.commit([request(this.namespace, version, 1, filledPages({ 1: fill }))]);
      return commit!.head;
    } finally {
      lock.release(this.writer);
    }
  }

  async read(): Promise<number> {
    const head = await this.store.head(this.namespace);
    const [page] = await this.store.readPages(this.namespace, head, [pageNumber(1)]);
    return page![0]!;
  }
}

describe('hosts that share a store', () => {
  let engine: Engine;
  let [a, b]: TestHost[] = [];

  const start = async (options: TestHostOptions = {}): Promise<TestHost> => {
    const host = await TestHost.start(engine, options);
    host.namespace = (await host.store.listNamespaces())[0]!.id;
    return host;
  };

  beforeEach(async () => {
    engine = await openEngine('memory:', { clock: Date.now });
    const first = await openStore(engine);
    await first.createNamespace('main');
    a = await start();
    b = await start();
  });
  afterEach(async () => {
    for (const host of [a, b]) {
      host!.stopped.now = false;
      await host!.store.close();
    }
    await engine.close();
  });

  test('what one wrote, the other reads, and takes its turn at writing', async () => {
    for (let round = 1; round <= 5; round++) {
      await a!.write(round);
      assert.equal(await b!.read(), round);
      await b!.write(100 + round);
      assert.equal(await a!.read(), 100 + round);
    }
  });

  test('while the lease is held, a read asks nobody; otherwise it asks once', async () => {
    await a!.write(1);
    await b!.read();
    await a!.read();
    const before = [a!.reads.count, b!.reads.count];
    await a!.read();
    await a!.read();
    await b!.read();
    assert.deepEqual([a!.reads.count, b!.reads.count], [before[0], before[1]! + 1]);
  });

  test('pages in memory do not outlive commits whose entries were removed', async () => {
    let nowMs = Date.now();
    const writer = await start({ clock: () => nowMs });
    const commit = async (fills: Record<number, number>): Promise<void> => {
      const { version } = await writer.store.head(writer.namespace);
      await writer.store.commit([request(writer.namespace, version, 2, filledPages(fills))]);
    };
    assert.ok(writer.store.writeLock(writer.namespace).tryAcquire(writer.writer));
    await writer.store.acquireLease(writer.namespace, WAIT_MS);
    await commit({ 1: 1, 2: 1 });
    assert.equal(await b!.read(), 1);
    await commit({ 1: 2 });
    await commit({ 2: 2 });
    // Past the time in which retention leaves the newest versions alone.
    nowMs += 10 * RETENTION_GRACE_MS;
    await writer.store.setRetention(writer.namespace, { keepVersions: 1 });
    await writer.store.retention.apply(writer.namespace);
    assert.equal((await writer.store.log(writer.namespace)).length, 1);
    assert.equal(await b!.read(), 2);
    writer.store.writeLock(writer.namespace).release(writer.writer);
    await writer.store.close();
  });

  test('a maintenance lock is seen by every host, and keeps all but its owner from writing', async () => {
    const [shown, base] = [await a!.write(1), await a!.write(2)];
    const lock = a!.store.writeLock(a!.namespace);
    assert.ok(lock.tryAcquire(a!.writer));
    await a!.store.acquireLease(a!.namespace, WAIT_MS);
    await a!.store.lockNamespace(a!.namespace, 'me', shown.version);
    lock.release(a!.writer);
    assert.deepEqual(await a!.store.headFor(a!.namespace, undefined), shown);
    assert.deepEqual(await b!.store.headFor(b!.namespace, undefined), shown);
    assert.deepEqual(await b!.store.headFor(b!.namespace, 'me'), base);
    // The lease goes to the other host: it knows of the lock without asking again.
    assert.ok(b!.store.writeLock(b!.namespace).tryAcquire(b!.writer));
    await b!.store.acquireLease(b!.namespace, WAIT_MS);
    const before = b!.reads.count;
    assert.equal((await b!.store.maintenanceLock(b!.namespace))?.owner, 'me');
    assert.equal(b!.reads.count, before);
    await b!.store.unlockNamespace(b!.namespace, 'me');
    b!.store.writeLock(b!.namespace).release(b!.writer);
    assert.deepEqual(await a!.store.headFor(a!.namespace, undefined), base);
  });

  test('with reads by lease turned off, every read asks', async () => {
    const careful = await start({ leaseReads: false });
    await careful.write(1);
    const before = careful.reads.count;
    await careful.read();
    assert.equal(careful.reads.count, before + 1);
    await careful.store.close();
  });

  test('a lease is kept while a connection writes, and passed on afterwards', async () => {
    const lock = a!.store.writeLock(a!.namespace);
    assert.ok(lock.tryAcquire(a!.writer));
    await a!.store.acquireLease(a!.namespace, WAIT_MS);
    await assert.rejects(b!.write(1, 2 * LEASE_MS), (error) => isMvfuseError(error, 'BUSY'));
    const waiting = b!.write(2);
    await sleep(50);
    lock.release(a!.writer);
    const startMs = performance.now();
    await waiting;
    assert.ok(performance.now() - startMs < LEASE_MS, 'no takeover was needed');
    assert.equal(await a!.read(), 2);
  });

  test('a host that stopped loses its lease after a while, and cannot commit or read by it any more', async () => {
    await a!.write(1);
    const lock = a!.store.writeLock(a!.namespace);
    assert.ok(lock.tryAcquire(a!.writer));
    await a!.store.acquireLease(a!.namespace, WAIT_MS);
    const { version } = await a!.store.head(a!.namespace);
    a!.stopped.now = true;
    const startMs = performance.now();
    await b!.write(2);
    assert.ok(performance.now() - startMs >= LEASE_MS, 'the lease was waited for');
    a!.stopped.now = false;
    const late = a!.store.commit([request(a!.namespace, version, 1, filledPages({ 1: 3 }))]);
    await assert.rejects(late, (error) => isMvfuseError(error, 'CONFLICT'));
    lock.release(a!.writer);
    assert.equal(await a!.read(), 2);
    await a!.write(4);
    assert.equal(await b!.read(), 4);
  });

  test('a host that cannot renew its lease stops relying on it before another can have it', async () => {
    await a!.write(1);
    await a!.read();
    a!.stopped.now = true;
    assert.equal(await a!.read(), 1, 'by its lease');
    await sleep(LEASE_MS);
    let answered = false;
    const reading = a!.read().finally(() => {
      answered = true;
    });
    await sleep(20);
    assert.equal(answered, false);
    a!.stopped.now = false;
    assert.equal(await reading, 1);
  });

  test('a host that died is followed by another, without its help', async () => {
    await a!.write(1);
    a!.stopped.now = true;
    await b!.write(2);
    assert.equal(await b!.read(), 2);
  });

  test('wall clocks that are hours apart change neither order nor turns', async () => {
    const behind = await start({ clock: () => Date.now() - 7_200_000 });
    const ahead = await start({ clock: () => Date.now() + 7_200_000 });
    const heads: Head[] = [];
    for (let round = 0; round < 4; round++) for (const host of [ahead, behind]) heads.push(await host.write(round));
    const by = <T>(of: (head: Head) => T): T[] => heads.map(of);
    assert.deepEqual(
      by(({ version }) => version).sort(),
      by(({ version }) => version),
    );
    assert.deepEqual(
      by(({ timeMs }) => timeMs).sort(),
      by(({ timeMs }) => timeMs),
    );
    assert.equal(await a!.read(), 3);
    await behind.store.close();
    await ahead.store.close();
  });

  test('a process that ended on the same machine is followed at once', async () => {
    const doomed = await start();
    const identity = String(identities - 1);
    await doomed.write(1);
    doomed.stopped.now = true;
    gone.add(identity);
    const startMs = performance.now();
    await b!.write(2);
    assert.ok(performance.now() - startMs < LEASE_MS / 2);
    doomed.stopped.now = false;
    await doomed.store.close();
  });

  test('what another host has seen of a commit under way, its own host’s readers see, too', async () => {
    await a!.write(1);
    await a!.read();
    a!.answers.held = true;
    const writing = a!.write(2);
    while ((await b!.read()) === 1) await sleep(1);
    assert.equal(await a!.read(), 2);
    a!.answers.held = false;
    await writing;
    assert.equal(await a!.read(), 2);
    await a!.write(3);
    assert.equal(await b!.read(), 3);
  });

  test('a host that is closed passes its leases on at once', async () => {
    await a!.write(1);
    await a!.store.close();
    const startMs = performance.now();
    await b!.write(2);
    assert.ok(performance.now() - startMs < LEASE_MS / 2);
  });

  test('four busy hosts lose nothing and nobody starves', async () => {
    const hosts = [a!, b!, await start(), await start()];
    const written = await Promise.all(
      hosts.map(async (host) => {
        const versions: string[] = [];
        for (let round = 0; round < 25; round++) versions.push((await host.write(round, 10_000)).version);
        return versions;
      }),
    );
    const log = await a!.store.log(a!.namespace);
    assert.deepEqual(log.map(({ version }) => version as string).sort(), written.flat().sort());
    for (const host of hosts.slice(2)) await host.store.close();
  });

  test('a stage whose owner was followed by another is removed, one that is alive is left alone', async () => {
    const small = { commitBytesMax: 2_000, stageChunkBytesMax: 1_000 };
    const owner = await start({ limits: small });
    const { version } = await owner.write(1);
    const lock = owner.store.writeLock(owner.namespace);
    assert.ok(lock.tryAcquire(owner.writer));
    const staged = new Wakeup();
    const goOn = new Wakeup();
    async function* pages(): AsyncGenerator<Page> {
      for (let number = 1; number <= 20; number++) yield filledPage(number, 7);
      staged.wake();
      await goOn.wait(60_000);
      yield filledPage(21, 7);
    }
    const committing = owner.store.commit([request(owner.namespace, version, 21, pages())]);
    committing.catch(() => undefined);
    await staged.wait(WAIT_MS);
    const stages = (): Promise<unknown[]> => listStages(engine);
    assert.equal((await stages()).length, 1);
    owner.stopped.now = true;
    await b!.write(2);
    for (let tries = 0; tries < 200 && (await stages()).length > 0; tries++) await sleep(5);
    assert.deepEqual(await stages(), []);
    owner.stopped.now = false;
    goOn.wake();
    await assert.rejects(committing, (error) => isMvfuseError(error, 'CONFLICT'));
    lock.release(owner.writer);
    assert.equal(await owner.read(), 2);
    await owner.store.close();
  });
});
