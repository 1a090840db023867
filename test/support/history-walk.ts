// A store beside its oracle: opened, reopened, killed in the middle of something; and the checks of what it shows.

import assert from 'node:assert/strict';
import { localService, type StoreService } from '../../src/admin/store-service.js';
import { isMvfuseError } from '../../src/errors.js';
import type { Engine } from '../../src/kv/engine.js';
import type { Moment } from '../../src/moment.js';
import type { PageStore } from '../../src/store/page-store.js';
import type { RetentionPolicy } from '../../src/store/types.js';
import { ZERO_VERSION } from '../../src/version.js';
import type { TestStore } from './engines.js';
import { type Copy, checkCopy } from './file-model.js';
import type { NamespaceOracle } from './history-oracle.js';
import { type Random, randomInteger, seededRandom } from './random.js';
import { dyingEngine, openStore } from './stores.js';

/** So small that nearly every commit of more than a few pages is a bulk one, and every collection takes many steps. */
const LIMITS = { commitBytesMax: 4_000, stageChunkBytesMax: 1_500, collectEntriesMax: 3, collectPagesMax: 4 };

export interface WalkOptions {
  readonly random: Random;
  readonly files: TestStore;
  /** Whether the store can be opened again. */
  readonly isPersistent: boolean;
  readonly cacheBytesMax: number;
}

/** What became of a read: the copy's bytes, or a refusal. */
export type Outcome = 'right' | 'refused';

export class HistoryWalk {
  readonly random: Random;
  readonly live: NamespaceOracle[] = [];
  /** Deleted, and not yet removed. */
  readonly dropped: NamespaceOracle[] = [];
  /** Removed for good. */
  readonly deleted: NamespaceOracle[] = [];
  storePolicy: RetentionPolicy = {};
  /** Checks that wait until the oracle knows what a step came to. */
  readonly afterwards: Array<() => Promise<void>> = [];
  /** Namespaces that were there for a while, and that the oracle never knew of. */
  passing = 0;
  nowMs = 1_000_000;
  store!: PageStore;
  service!: StoreService;
  engine!: Engine;
  readonly #options: WalkOptions;
  #names = 0;

  constructor(options: WalkOptions) {
    this.random = options.random;
    this.#options = options;
  }

  // --- processes

  /** @param deathAfter transactions that the new process lives for */
  async start(deathAfter?: number): Promise<void> {
    const { isPersistent, files, cacheBytesMax } = this.#options;
    if (isPersistent || this.engine === undefined) this.engine = await files.open();
    const lasting: Engine = isPersistent ? this.engine : notClosed(this.engine);
    const engine = deathAfter === undefined ? lasting : dyingEngine(lasting, deathAfter);
    try {
      this.store = await openStore(engine, { cacheBytesMax, limits: LIMITS, clock: () => this.nowMs });
    } catch (error) {
      await engine.close();
      throw error;
    }
    this.service = localService(this.store, undefined);
  }

  /** What is open ends with its process. */
  async restart(deathAfter?: number): Promise<void> {
    await this.store.close();
    for (const namespace of [...this.live, ...this.dropped, ...this.deleted]) namespace.opened = [];
    await this.start(deathAfter);
  }

  /** Runs `work` in a process that dies on the way, or just after; true when it got to its end. */
  async inDyingProcess(work: () => Promise<unknown>): Promise<boolean> {
    let isDone = false;
    try {
      await this.restart(randomInteger(this.random, 0, 14));
      await work();
      isDone = true;
    } catch (error) {
      if (!String(error).includes('the process died')) throw error;
    }
    await this.store.close();
    await this.start();
    return isDone;
  }

  // --- chance

  chance(probability: number): boolean {
    return this.random() < probability;
  }

  pick<T>(items: readonly T[]): T {
    return items[randomInteger(this.random, 0, items.length - 1)]!;
  }

  /** For what runs beside something else: its numbers must not depend on the order of the two. */
  fork(): Random {
    return seededRandom(randomInteger(this.random, 0, 2 ** 31 - 1));
  }

  newName(): string {
    return `n${++this.#names}`;
  }

  // --- checks

  /** Never other bytes. */
  async read(namespace: NamespaceOracle, copy: Copy, random: Random): Promise<Outcome> {
    try {
      await checkCopy(this.store, namespace.file.id, copy, random);
      return 'right';
    } catch (error) {
      if (isRefusal(error)) return 'refused';
      throw error;
    }
  }

  async check(namespace: NamespaceOracle, copy: Copy, random: Random = this.random): Promise<void> {
    const { head } = copy;
    const where = `${head.version} of ${namespace.name} (${namespace.file.id})`;
    const resolving = this.store.resolve(namespace.file.id, { kind: 'version', version: head.version });
    if (!namespace.isReadable(head.version)) {
      await assert.rejects(resolving, isRefusal, `${where} must not be readable any more`);
      await this.read(namespace, copy, random);
      return;
    }
    assert.deepEqual(await resolving, head);
    assert.equal(await this.read(namespace, copy, random), 'right', `${where} must be readable`);
  }

  async checkSome(): Promise<void> {
    for (const check of this.afterwards.splice(0)) await check();
    for (const namespace of [...this.live, ...this.dropped, ...this.deleted.slice(-2)]) {
      await this.check(namespace, this.chance(0.4) ? namespace.newest : this.pick(namespace.copies));
      await this.#checkTime(namespace, this.pick(namespace.copies));
    }
  }

  async checkEverything(): Promise<void> {
    for (const namespace of [...this.live, ...this.dropped, ...this.deleted]) {
      for (const copy of namespace.copies) {
        await this.check(namespace, copy, () => 0);
        await this.#checkTime(namespace, copy);
      }
    }
    for (const namespace of [...this.live, ...this.dropped]) await this.#checkNames(namespace);
    const names = (await this.store.listNamespaces()).map(({ name }) => name);
    assert.deepEqual(names, this.live.map(({ name }) => name).sort(), 'the names of all namespaces');
    const found = (await this.store.listDropped()).map(({ id, name, droppedMs }) => ({ id, name, droppedMs }));
    const dropped = this.dropped.map(({ file: { id }, name, droppedMs }) => ({ id, name, droppedMs }));
    assert.deepEqual(found.sort(byId), dropped.sort(byId), 'those that can be brought back');
  }

  /** Before, at and after the moment of a copy, and as long ago. */
  async #checkTime(namespace: NamespaceOracle, { head }: Copy): Promise<void> {
    for (const timeMs of [head.timeMs - 1, head.timeMs, head.timeMs + 1]) {
      const expected = namespace.isDeleted ? 'NOT_FOUND' : namespace.atTime(timeMs);
      const moments: Moment[] = [
        { kind: 'time', timeMs },
        { kind: 'ago', agoMs: this.nowMs - timeMs },
      ];
      for (const moment of moments) {
        const resolving = this.store.resolve(namespace.file.id, moment);
        if (typeof expected === 'string') {
          await assert.rejects(resolving, (error) => isMvfuseError(error, expected), `${expected} at ${timeMs}`);
        } else assert.deepEqual(await resolving, expected.head, `${namespace.name} at ${timeMs}`);
      }
    }
  }

  async #checkNames(namespace: NamespaceOracle): Promise<void> {
    const { id } = namespace.file;
    const details = await this.store.details(id);
    const { name, floor, tags, forks, lock, newest, droppedMs } = namespace;
    assert.equal(details.name, name);
    assert.equal(details.droppedMs, droppedMs);
    const state = await this.store.state(id);
    assert.deepEqual([state.name, state.dropped], [name, droppedMs !== undefined]);
    assert.deepEqual(details.head, newest.head);
    assert.equal(details.truncatedBefore, floor, `the oldest version of ${name}`);
    assert.deepEqual(new Map(details.tags.map((tag) => [tag.name, tag.version])), tags);
    const forkNames = [...forks].map(([{ file, name: namespace, droppedMs: isDropped }, version]) => ({
      ...{ id: file.id, namespace, version },
      ...(isDropped === undefined ? {} : { dropped: true as const }),
    }));
    assert.deepEqual([...details.forks].sort(byId), forkNames.sort(byId));
    assert.deepEqual(details.lock && { ...details.lock, sinceMs: 0 }, lock && { ...lock, sinceMs: 0 });
    assert.deepEqual((await this.store.maintenanceLock(id))?.owner, lock?.owner, `the lock of ${name}`);
    const latest = namespace.latest().head;
    assert.deepEqual(await this.store.resolve(id, { kind: 'latest' }), latest);
    assert.deepEqual(await this.store.headFor(id, undefined), latest);
    if (lock !== undefined) assert.deepEqual(await this.store.headFor(id, lock.owner), newest.head);
    for (const [tag, version] of tags) {
      const head = await this.store.resolve(id, { kind: 'tag', name: tag });
      assert.equal(head.version, version, `tag ${tag} of ${name}`);
    }
    const logged = namespace.readable().map(({ head }) => head.version as string);
    const log = (await this.store.log(id)).map(({ version }) => version as string);
    assert.deepEqual(log.reverse(), logged.filter((version) => version !== ZERO_VERSION).sort(), `the log of ${name}`);
  }
}

export function isRefusal(error: unknown): boolean {
  return isMvfuseError(error, 'GONE') || isMvfuseError(error, 'NOT_FOUND');
}

function byId(a: { id: number }, b: { id: number }): number {
  return a.id - b.id;
}

/** An engine that outlives the stores that are opened on it. */
function notClosed(engine: Engine): Engine {
  return {
    transact: engine.transact.bind(engine),
    read: engine.read.bind(engine),
    watch: engine.watch.bind(engine),
    close: async () => {},
  };
}
