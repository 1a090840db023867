// The steps of a random history: each does something to the store, and says to the oracle what should have come of it.

import assert from 'node:assert/strict';
import { restoreVersion } from '../../src/admin/restore.js';
import { isMvfuseError } from '../../src/errors.js';
import { FORK_LEVELS_MAX } from '../../src/limits.js';
import { type Version, ZERO_VERSION } from '../../src/version.js';
import { type Copy, FileModel } from './file-model.js';
import { NamespaceOracle } from './history-oracle.js';
import { type HistoryWalk, isRefusal } from './history-walk.js';
import { randomInteger } from './random.js';

export const NAMESPACES_MAX = 12;

export type Step = (walk: HistoryWalk) => Promise<void>;

/** Mostly one that can be read. */
export function someCopy(walk: HistoryWalk, namespace: NamespaceOracle): Copy {
  return walk.chance(0.85) ? walk.pick(namespace.readable()) : walk.pick(namespace.copies);
}

/** Whether `work`, which needs a version to be readable, was rightly done or rightly refused. */
async function ifReadable(
  namespace: NamespaceOracle,
  version: Version,
  work: () => Promise<unknown>,
): Promise<boolean> {
  if (namespace.isReadable(version)) {
    await work();
    return true;
  }
  await assert.rejects(work, isRefusal, `${version} of ${namespace.name} is gone`);
  return false;
}

export const createNamespace: Step = async (walk) => {
  if (walk.live.length >= NAMESPACES_MAX) return;
  const name = walk.newName();
  const { id, head } = await walk.service.createNamespace(name);
  walk.live.push(new NamespaceOracle(name, new FileModel(id, head)));
};

export const commit: Step = async (walk) => {
  const members = [...walk.live, ...walk.dropped].filter(() => walk.chance(0.35));
  await commitTo(walk, members.length === 0 ? [walk.pick(walk.live)] : members);
};

export async function commitTo(walk: HistoryWalk, members: readonly NamespaceOracle[]): Promise<void> {
  const changes = members.map(({ file }) => {
    if (!walk.chance(0.08)) return file.change(walk.random);
    const { head, content } = file.newest;
    const { version: base, pageBytes, sizeBytes } = head;
    return { request: { namespace: file.id, base, pageBytes, sizeBytes, pages: [] }, content };
  });
  const commits = await walk.store.commit(changes.map(({ request }) => request));
  for (const [index, { file }] of members.entries()) {
    file.copies.push({ head: commits[index]!.head, content: changes[index]!.content });
  }
}

/** Time goes on, stands still, or is set back. */
export const passTime: Step = async (walk) => {
  walk.nowMs += walk.chance(0.15) ? -randomInteger(walk.random, 0, 40) : randomInteger(walk.random, 0, 60);
};

export const addTag: Step = async (walk) => {
  const namespace = walk.pick(walk.live);
  const { version } = someCopy(walk, namespace).head;
  const name = `tag${randomInteger(walk.random, 1, 4)}`;
  const add = (move: boolean) => () => walk.store.addTag(namespace.file.id, name, version, { move });
  const known = namespace.tags.get(name);
  if (known !== undefined && known !== version && namespace.isReadable(version)) {
    await assert.rejects(add(false), (error) => isMvfuseError(error, 'ALREADY_EXISTS'));
  }
  if (await ifReadable(namespace, version, add(known !== undefined))) namespace.tags.set(name, version);
};

export const removeTag: Step = async (walk) => {
  const namespace = walk.pick(walk.live);
  const [name] = [...namespace.tags.keys()];
  if (name === undefined) return;
  await walk.service.removeTag(namespace.name, name);
  namespace.tags.delete(name);
};

export const open: Step = async (walk) => {
  const namespace = walk.pick(walk.live);
  const { version } = someCopy(walk, namespace).head;
  await ifReadable(namespace, version, async () => {
    const { close } = await walk.store.openVersion(namespace.file.id, version);
    namespace.opened.push({ version, close });
  });
};

export const close: Step = async (walk) => {
  const opened = [...walk.live, ...walk.dropped, ...walk.deleted].filter((namespace) => namespace.opened.length > 0);
  if (opened.length > 0) walk.pick(opened).opened.shift()!.close();
};

/** Often of the youngest one, so that forks of forks of forks come about. */
export const fork: Step = async (walk) => {
  if (walk.live.length >= NAMESPACES_MAX) return;
  const source = walk.chance(0.7) ? walk.live.reduce((a, b) => (b.depth > a.depth ? b : a)) : walk.pick(walk.live);
  await forkOf(walk, source, someCopy(walk, source));
};

export async function forkOf(walk: HistoryWalk, source: NamespaceOracle, { head, content }: Copy): Promise<void> {
  const name = walk.newName();
  const { version } = head;
  await ifReadable(source, version, async () => {
    const info = await walk.service.fork(source.name, version, name);
    // What is too deep is a copy, and nothing but the empty file has no parent.
    const isFork = source.depth < FORK_LEVELS_MAX && version !== ZERO_VERSION;
    assert.equal(info.parent?.namespace, isFork ? source.name : undefined);
    const { pageBytes, sizeBytes } = head;
    assert.deepEqual({ ...info.head, version, timeMs: 0 }, { version, pageBytes, sizeBytes, timeMs: 0 });
    const model = new NamespaceOracle(name, new FileModel(info.id, info.head, content), isFork ? source : undefined);
    if (isFork) source.forks.set(model, version);
    walk.live.push(model);
  });
}

export const rollback: Step = async (walk) => {
  const namespace = walk.pick(walk.live);
  const target = someCopy(walk, namespace);
  const { version } = target.head;
  const run = () => walk.service.rollback(namespace.name, version);
  if (namespace.lock !== undefined && namespace.isReadable(version)) {
    await assert.rejects(run, (error) => isMvfuseError(error, 'BUSY'));
    return;
  }
  await ifReadable(namespace, version, async () => restored(namespace, target, (await run()).head));
};

/** A version that was brought back is a new one, unless nothing was to be done. */
function restored(namespace: NamespaceOracle, target: Copy, head: Copy['head']): void {
  const { newest } = namespace;
  if (head.version === newest.head.version) {
    assert.ok(newest.content.equals(target.content), 'nothing was restored, and something was to be');
    return;
  }
  assert.deepEqual([head.sizeBytes, head.pageBytes], [target.head.sizeBytes, target.head.pageBytes]);
  namespace.file.copies.push({ head, content: target.content });
}

export function forget(walk: HistoryWalk, namespace: NamespaceOracle): void {
  namespace.isDeleted = true;
  namespace.parent?.forks.delete(namespace);
  const known = namespace.droppedMs === undefined ? walk.live : walk.dropped;
  known.splice(known.indexOf(namespace), 1);
  walk.deleted.push(namespace);
}

export const lock: Step = async (walk) => {
  const namespace = walk.pick(walk.live);
  const owner = walk.pick(['vacuum', 'upgrade']);
  const shown = walk.chance(0.5) ? undefined : someCopy(walk, namespace).head.version;
  const run = () => walk.service.lock(namespace.name, owner, shown ?? 'latest');
  if (shown !== undefined && !namespace.isReadable(shown)) return void (await assert.rejects(run, isRefusal));
  if (namespace.lock !== undefined && namespace.lock.owner !== owner)
    return void (await assert.rejects(run, (error) => isMvfuseError(error, 'BUSY')));
  const { sinceMs: _, ...taken } = await run();
  const base = namespace.newest.head.version;
  namespace.lock ??= { owner, version: shown ?? base, base };
  assert.deepEqual(taken, namespace.lock);
};

export const unlock: Step = async (walk) => {
  const namespace = walk.live.find((candidate) => candidate.lock !== undefined);
  if (namespace === undefined) return;
  const { owner, base } = namespace.lock!;
  await assert.rejects(walk.service.unlock(namespace.name, 'another', 'commit'), (error) =>
    isMvfuseError(error, 'CONFLICT'),
  );
  const how = walk.pick(['commit', 'rollback'] as const);
  const head = await walk.service.unlock(namespace.name, owner, how);
  if (how === 'rollback') restored(namespace, namespace.copyOf(base), head);
  else assert.deepEqual(head, namespace.newest.head);
  namespace.lock = undefined;
};

/** By the version itself, without asking what it is named. */
export const restore: Step = async (walk) => {
  const namespace = walk.pick(walk.live);
  if (namespace.lock !== undefined) return;
  const target = walk.pick(namespace.readable());
  const { head } = await restoreVersion(walk.store, namespace.file.id, target.head.version);
  restored(namespace, target, head);
};
