// Writing a namespace from a command: alone, in this process and among all hosts that share the store.

import { MvfuseError } from '../errors.js';
import { lockedError } from '../store/maintenance-lock.js';
import type { PageStore } from '../store/page-store.js';
import type { NamespaceId } from '../store/types.js';

/** Runs `work` while nobody else can write the namespace. @throws BUSY when somebody does for `waitMsMax` */
export async function asOnlyWriter<T>(
  store: PageStore,
  namespace: NamespaceId,
  waitMsMax: number,
  work: () => Promise<T>,
): Promise<T> {
  const lock = store.writeLock(namespace);
  const holder = { pid: undefined };
  const deadlineMs = performance.now() + waitMsMax;
  while (!lock.tryAcquire(holder)) {
    if (performance.now() >= deadlineMs)
      throw new MvfuseError('BUSY', `a connection holds the write lock, after ${waitMsMax} ms (--writer-wait)`);
    await lock.released.wait(20);
  }
  try {
    await store.acquireLease(namespace, Math.max(0, deadlineMs - performance.now()));
    return await work();
  } finally {
    lock.release(holder);
  }
}

/** As asOnlyWriter; refused while the namespace is locked for maintenance. @throws BUSY */
export function asWriter<T>(
  store: PageStore,
  namespace: NamespaceId,
  waitMsMax: number,
  work: () => Promise<T>,
): Promise<T> {
  return asOnlyWriter(store, namespace, waitMsMax, async () => {
    const lock = await store.maintenanceLock(namespace);
    if (lock !== undefined) throw lockedError((await store.details(namespace)).name, lock);
    return work();
  });
}
