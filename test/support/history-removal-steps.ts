// The steps of a random history that remove versions: with readers beside them, with others that hold and release what is
// being removed, and in processes that die on the way.

import assert from 'node:assert/strict';
import { setImmediate as tick } from 'node:timers/promises';
import type { RetentionPolicy } from '../../src/store/types.js';
import { type Version, ZERO_VERSION } from '../../src/version.js';
import { type Copy, FileModel } from './file-model.js';
import { removeExpired } from './history-name-steps.js';
import { NamespaceOracle } from './history-oracle.js';
import { commitTo, forget, NAMESPACES_MAX, type Step, someCopy } from './history-steps.js';
import { type HistoryWalk, isRefusal } from './history-walk.js';
import { randomInteger } from './random.js';

export const setPolicy: Step = async (walk) => {
  const policy: RetentionPolicy = {
    ...(walk.chance(0.5) ? { keepMs: randomInteger(walk.random, 0, 300) } : {}),
    ...(walk.chance(0.5) ? { keepVersions: randomInteger(walk.random, 1, 12) } : {}),
  };
  if (walk.chance(0.3)) {
    walk.storePolicy = policy;
    await walk.service.setRetention(undefined, policy);
    return;
  }
  const namespace = walk.pick(walk.live);
  namespace.policy = walk.chance(0.3) ? undefined : policy;
  await walk.service.setRetention(namespace.name, namespace.policy);
};

export const truncate: Step = async (walk) => {
  const namespace = walk.pick(walk.live);
  // What only a hold keeps may be let go on the way.
  const kept = namespace.readable().filter(({ head }) => head.version >= namespace.floor);
  const { version } = walk.pick(kept).head;
  const dry = await walk.service.truncate(namespace.name, version, { dryRun: true });
  const done = await whileUsed(walk, namespace, () => walk.service.truncate(namespace.name, version));
  namespace.raiseFloor(version);
  assert.equal(done.truncatedBefore, namespace.floor);
  assert.equal(dry.truncatedBefore, namespace.floor);
};

export const collect: Step = async (walk) => {
  const floors = policyFloors(walk);
  const isOne = walk.chance(0.5);
  const namespace = walk.pick(walk.live);
  await whileUsed(walk, namespace, () => walk.service.collect(isOne ? namespace.name : undefined));
  for (const collected of isOne ? [namespace] : walk.live) await raiseFloors(walk, collected, floors);
  if (!isOne) await removeExpired(walk);
};

/** Commits to the same namespace while a policy is applied. */
export const collectDuringCommits: Step = async (walk) => {
  const before = policyFloors(walk);
  const namespace = walk.pick(walk.live);
  const committing = (async () => {
    for (let count = 0; count < 4; count++) await commitTo(walk, [namespace]);
  })();
  await Promise.all([committing, walk.service.collect(namespace.name)]);
  await raiseFloors(walk, namespace, before, policyFloors(walk));
};

/** Something is done in a process that dies on the way: afterwards it was done, or it was not. */
export const dieOnTheWay: Step = async (walk) => {
  const namespace = walk.pick(walk.live);
  const { version } = someCopy(walk, namespace).head;
  const floors = policyFloors(walk);
  const kind = walk.pick(['truncate', 'collect', 'delete', 'commit', 'fork'] as const);
  const name = walk.newName();
  if (kind === 'commit') {
    const count = namespace.copies.length;
    const isDone = await walk.inDyingProcess(() => commitTo(walk, [namespace]));
    return assert.equal(namespace.copies.length - count, isDone ? 1 : 0);
  }
  if (kind === 'fork') {
    if (!namespace.isReadable(version)) return;
    await walk.inDyingProcess(() => walk.service.fork(namespace.name, version, name));
    await dropIfThere(walk, name);
    return;
  }
  if (kind === 'delete') {
    // What was open ended with its process.
    if (namespace.lock !== undefined || namespace.forks.size > 0) return;
    await walk.inDyingProcess(() => walk.service.purgeNamespace(namespace.name));
    if (!(await isThere(walk, namespace.name))) forget(walk, namespace);
    return;
  }
  if (kind === 'collect') {
    const isDone = await walk.inDyingProcess(() => walk.service.collect(undefined));
    await removeExpired(walk, isDone);
    for (const each of walk.live) await raiseFloors(walk, each, new Map([[each, each.floor]]), floors);
    return;
  }
  await walk.inDyingProcess(() => walk.store.retention.truncate(namespace.file.id, version));
  await raiseFloors(walk, namespace, new Map([[namespace, namespace.floor]]), new Map([[namespace, version]]));
};

/** The unfinished copy that a fork which is too deep begins with stays under a name of its own. */
async function dropIfThere(walk: HistoryWalk, name: string): Promise<void> {
  const known = new Set(walk.live.map((namespace) => namespace.name));
  for (const found of await walk.service.listNamespaces()) {
    if (known.has(found.name)) continue;
    assert.ok(found.name === name || found.name.startsWith('.unfinished-fork-'), found.name);
    await walk.service.purgeNamespace(found.name, { id: found.id });
    walk.passing += 1;
  }
}

async function isThere(walk: HistoryWalk, name: string): Promise<boolean> {
  return (await walk.service.listNamespaces()).some((namespace) => namespace.name === name);
}

// --- floors

type Floors = ReadonlyMap<NamespaceOracle, Version>;

function policyFloors(walk: HistoryWalk): Floors {
  return new Map(
    walk.live.map((namespace) => [namespace, namespace.floorByPolicy(walk.nowMs, walk.storePolicy)] as const),
  );
}

/** To one of those that may be; where there are several, the store says which. */
async function raiseFloors(walk: HistoryWalk, namespace: NamespaceOracle, ...all: Floors[]): Promise<void> {
  const { floor: old } = namespace;
  const wanted = all.map((floors) => floors.get(namespace) ?? ZERO_VERSION);
  const newest = namespace.newest.head.version;
  const allowed = wanted.map((version) => [old, version < newest ? version : newest].sort().at(-1)!);
  const { truncatedBefore } = await walk.store.details(namespace.file.id);
  assert.ok(allowed.includes(truncatedBefore), `${truncatedBefore} of ${namespace.name}: ${allowed} allowed`);
  namespace.raiseFloor(truncatedBefore);
}

// --- beside a removal

/** What was tried beside a removal, and whether it was refused. */
interface Tried {
  readonly namespace: NamespaceOracle;
  readonly version: Version;
  readonly isRefused: boolean;
}

/**
 * Runs `removal` while its namespace is read, and versions of it are opened, tagged, forked and released. What got
 * hold of a version must find it whole, and only what cannot be read afterwards may have been refused.
 */
async function whileUsed<T>(walk: HistoryWalk, namespace: NamespaceOracle, removal: () => Promise<T>): Promise<T> {
  const tried: Tried[] = [];
  const uses = Array.from({ length: randomInteger(walk.random, 0, 5) }, () => useOf(walk, namespace, tried));
  let [result, isDone] = [undefined as T | undefined, false];
  const removing = removal().then((value) => {
    [result, isDone] = [value, true];
  });
  const random = walk.fork();
  const reading = (async () => {
    do {
      const copy = namespace.copies[randomInteger(random, 0, namespace.copies.length - 1)]!;
      const outcome = await walk.read(namespace, copy, random);
      tried.push({ namespace, version: copy.head.version, isRefused: outcome === 'refused' });
      await tick();
    } while (!isDone);
  })();
  await Promise.all([removing, reading, ...uses.map((use) => use())]);
  walk.afterwards.push(async () => {
    for (const { version, isRefused } of tried)
      assert.ok(!isRefused || !namespace.isReadable(version), `${version} of ${namespace.name} was refused`);
  });
  return result!;
}

/** Something that holds a version, or releases one, after a few turns. */
function useOf(walk: HistoryWalk, namespace: NamespaceOracle, tried: Tried[]): () => Promise<void> {
  const copy = someCopy(walk, namespace);
  const { version } = copy.head;
  const turns = randomInteger(walk.random, 0, 12);
  const kind = walk.pick(['open', 'tag', 'fork', 'close', 'close', 'untag'] as const);
  const name = walk.newName();
  const hold: Record<typeof kind, () => Promise<unknown>> = {
    open: async () => {
      const { close } = await walk.store.openVersion(namespace.file.id, version);
      namespace.opened.push({ version, close });
    },
    tag: async () => {
      await walk.store.addTag(namespace.file.id, name, version);
      namespace.tags.set(name, version);
    },
    fork: () => forkBeside(walk, namespace, copy, name),
    close: async () => namespace.opened.shift()?.close(),
    untag: async () => {
      const [tag] = [...namespace.tags.keys()];
      if (tag === undefined) return;
      namespace.tags.delete(tag);
      await walk.store.removeTag(namespace.file.id, tag);
    },
  };
  return async () => {
    for (let turn = 0; turn < turns; turn++) await tick();
    try {
      await hold[kind]();
    } catch (error) {
      if (!isRefusal(error)) throw error;
      tried.push({ namespace, version, isRefused: true });
    }
  };
}

async function forkBeside(walk: HistoryWalk, source: NamespaceOracle, { head, content }: Copy, name: string) {
  const { version } = head;
  if (walk.live.length >= NAMESPACES_MAX || (await walk.store.isForkedOut(source.file.id))) return;
  const info = await walk.store.forkNamespace(source.file.id, version, name);
  const parent = version === ZERO_VERSION ? undefined : source;
  const fork = new NamespaceOracle(name, new FileModel(info.id, info.head, content), parent);
  if (parent !== undefined) source.forks.set(fork, version);
  walk.live.push(fork);
}
