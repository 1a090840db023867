// The steps of a random history that change what names mean: renaming, replacing, deleting, bringing back; and the days that
// pass until what was deleted is removed.

import assert from 'node:assert/strict';
import { type ErrorCode, isMvfuseError } from '../../src/errors.js';
import { UNDELETE_MS } from '../../src/limits.js';
import type { NamespaceOracle } from './history-oracle.js';
import { forget, type Step } from './history-steps.js';
import type { HistoryWalk } from './history-walk.js';
import { randomInteger } from './random.js';

/** So that the checks of every step, which look at all of them, stay short. */
const DROPPED_MAX = 6;

const refusedAs = (code: ErrorCode) => (error: unknown) => isMvfuseError(error, code);
const isLocked = (namespace: NamespaceOracle): boolean => namespace.lock !== undefined;

export const rename: Step = async (walk) => {
  const namespace = walk.pick(walk.live);
  const name = walk.newName();
  const run = () => walk.service.renameNamespace(namespace.name, name);
  if (isLocked(namespace)) return void (await assert.rejects(run, refusedAs('BUSY')));
  await run();
  namespace.name = name;
};

export const drop: Step = async (walk) => {
  if (walk.dropped.length >= DROPPED_MAX) return;
  const namespace = walk.pick(walk.live);
  const run = () => walk.service.deleteNamespace(namespace.name);
  if (isLocked(namespace)) return void (await assert.rejects(run, refusedAs('BUSY')));
  assert.equal((await run()).id, namespace.file.id);
  dropped(walk, namespace);
};

/** Renames one over another one, or over itself. */
export const replace: Step = async (walk) => {
  if (walk.dropped.length >= DROPPED_MAX) return;
  const [source, target] = [walk.pick(walk.live), walk.pick(walk.live)];
  const run = () => walk.store.renameNamespace(source.name, target.name, { replace: true });
  if (source !== target && (isLocked(source) || isLocked(target)))
    return void (await assert.rejects(run, refusedAs('BUSY')));
  const { replaced } = await run();
  assert.equal(replaced, source === target ? undefined : target.file.id);
  if (source === target) return;
  dropped(walk, target);
  source.name = target.name;
};

export const undelete: Step = async (walk) => {
  if (walk.dropped.length === 0) return;
  const namespace = walk.pick(walk.dropped);
  const as = walk.chance(0.5) ? undefined : walk.newName();
  const name = as ?? namespace.name;
  const run = () => walk.service.undeleteNamespace(namespace.name, { as, id: namespace.file.id });
  if (walk.live.some((other) => other.name === name))
    return void (await assert.rejects(run, refusedAs('ALREADY_EXISTS')));
  assert.deepEqual((await run()).head, namespace.newest.head);
  walk.dropped.splice(walk.dropped.indexOf(namespace), 1);
  walk.live.push(namespace);
  namespace.droppedMs = undefined;
  namespace.name = name;
};

/** At once and for good; also what was deleted before. */
export const purge: Step = async (walk) => {
  const namespace = walk.pick([...walk.live, ...walk.dropped]);
  const force = walk.chance(0.5);
  const run = () => walk.service.purgeNamespace(namespace.name, { force, id: namespace.file.id });
  const isBusy = isLocked(namespace) || (namespace.forks.size === 0 && namespace.opened.length > 0 && !force);
  if (isBusy || namespace.forks.size > 0)
    return void (await assert.rejects(run, refusedAs(isBusy ? 'BUSY' : 'CONFLICT')));
  await run();
  forget(walk, namespace);
};

/** Some hours, so that what is deleted is removed after several of these. */
export const passHours: Step = async (walk) => {
  walk.nowMs += randomInteger(walk.random, 0, UNDELETE_MS);
};

/** Something happens to names in a process that dies on the way: afterwards all of it was done, or nothing. */
export const dieOnTheWay: Step = async (walk) => {
  const [source, target] = [walk.pick(walk.live), walk.pick(walk.live)];
  if (isLocked(source) || isLocked(target) || source === target || walk.dropped.length >= DROPPED_MAX) return;
  if (walk.chance(0.5)) {
    await walk.inDyingProcess(() => walk.service.deleteNamespace(target.name));
    if (!(await names(walk)).has(target.name)) await droppedAsTold(walk, target);
    return;
  }
  await walk.inDyingProcess(() => walk.store.renameNamespace(source.name, target.name, { replace: true }));
  const found = await names(walk);
  const id = found.get(target.name);
  if (id === target.file.id) return assert.equal(found.get(source.name), source.file.id);
  assert.equal(id, source.file.id);
  assert.equal(found.has(source.name), false);
  await droppedAsTold(walk, target);
  source.name = target.name;
};

/** To be called when a round of retention may have removed what was deleted. @param isDone whether it got to its end */
export async function removeExpired(walk: HistoryWalk, isDone = true): Promise<void> {
  const left = new Set((await walk.store.listDropped()).map(({ id }) => id));
  // Forks before what they were forked from.
  for (const namespace of [...walk.dropped].sort((a, b) => b.file.id - a.file.id)) {
    const isExpired = namespace.droppedMs! + UNDELETE_MS <= walk.nowMs;
    const mayGo = isExpired && namespace.forks.size === 0 && namespace.opened.length === 0;
    const isGone = !left.has(namespace.file.id);
    if (isGone) assert.ok(mayGo, `${namespace.name} (${namespace.file.id}) was removed`);
    else assert.ok(!(mayGo && isDone), `${namespace.name} (${namespace.file.id}) was not removed`);
    if (isGone) forget(walk, namespace);
  }
}

async function names(walk: HistoryWalk): Promise<Map<string, number>> {
  return new Map((await walk.store.listNamespaces()).map(({ name, id }) => [name, id] as const));
}

function dropped(walk: HistoryWalk, namespace: NamespaceOracle): void {
  namespace.droppedMs = walk.nowMs;
  walk.live.splice(walk.live.indexOf(namespace), 1);
  walk.dropped.push(namespace);
}

async function droppedAsTold(walk: HistoryWalk, namespace: NamespaceOracle): Promise<void> {
  assert.equal((await walk.store.statDropped(namespace.file.id)).droppedMs, walk.nowMs);
  dropped(walk, namespace);
}
