// When a daemon is ready, on a service and a state made up for it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createHealth, type DaemonState, type Readiness } from '../../../src/admin/api/health.js';
import type { StoreService } from '../../../src/admin/store-service.js';
import { MvfuseError } from '../../../src/errors.js';

const MOUNT = { mountpoint: '/m', problem: undefined, namespaces: [{ name: 'a', writable: true }] };

function serviceWith(stat: (name: string) => Promise<unknown>): StoreService {
  return { statNamespace: stat, defaultRetention: () => stat('') } as unknown as StoreService;
}

function problems({ checks }: Readiness): string[][] {
  return checks.filter(({ ready }) => !ready).map(({ kind, name, reason }) => [kind, name, reason!]);
}

async function check(stat: (name: string) => Promise<unknown>, state: Partial<DaemonState> = {}): Promise<Readiness> {
  return createHealth(serviceWith(stat), { mounts: () => [MOUNT], lease: () => undefined, ...state }).check();
}

const answered = async (): Promise<unknown> => ({});
const failed = async (): Promise<never> => {
  throw new MvfuseError('STORE_FAILED', 'the disk is gone');
};

test('ready where the store answers and all is mounted', async () => {
  assert.deepEqual(problems(await check(answered)), []);
});

test('a host whose sign of life does not reach the others for the time of a lease is not ready', async () => {
  assert.deepEqual(problems(await check(answered, { lease: () => ({ silentMs: 4_000, leaseMs: 5_000 }) })), []);
  const [[kind, , reason] = []] = problems(
    await check(answered, { lease: () => ({ silentMs: 5_400, leaseMs: 5_000 }) }),
  );
  assert.equal(kind, 'lease');
  assert.match(reason!, /for 5\.4 s; after 5 s \(--lease-time\)/);
});

test('the store is in the way where no namespace is answered for, or none is mounted', async () => {
  assert.deepEqual(problems(await check(failed)), [
    ['store', '', 'the disk is gone'],
    ['namespace', 'a', 'the disk is gone'],
  ]);
  assert.deepEqual(problems(await check(failed, { mounts: () => [] })), [['store', '', 'the disk is gone']]);
});

test('a namespace that was deleted is in its own way only', async () => {
  const deleted = async (): Promise<never> => {
    throw new MvfuseError('NOT_FOUND', 'no namespace "a"');
  };
  assert.deepEqual(problems(await check(deleted)), [['namespace', 'a', 'no namespace "a"']]);
});

test('a mount that is not there is named, and so are its namespaces', async () => {
  const gone = { ...MOUNT, problem: 'it was unmounted' };
  assert.deepEqual(problems(await check(answered, { mounts: () => [gone] })), [
    ['mount', '/m', 'it was unmounted'],
    ['namespace', 'a', 'its mount is not there'],
  ]);
  assert.deepEqual(problems(await check(answered, { mounts: () => [gone, { ...MOUNT, mountpoint: '/n' }] })), [
    ['mount', '/m', 'it was unmounted'],
  ]);
});

test('those who ask at the same time share one look at the store', async () => {
  let looks = 0;
  const health = createHealth(
    serviceWith(async () => {
      looks += 1;
    }),
    { mounts: () => [MOUNT], lease: () => undefined },
  );
  await Promise.all(Array.from({ length: 50 }, () => health.check()));
  assert.equal(looks, 1);
});
