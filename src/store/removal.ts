// Deleting a namespace: its name goes at once, what is left of it step by step (Retention.purge).

import { MvfuseError } from '../errors.js';
import type { Engine } from '../kv/engine.js';
import type { Version } from '../version.js';
import { readHeld } from './held-versions.js';
import { forkKey, headKey, lockKey, nameKey, removedKey, tagRange, watermarkKey } from './keys.js';
import { lockedError } from './maintenance-lock.js';
import { readId, readMeta } from './namespaces.js';
import { decodeLock } from './records.js';
import { DELETED_WATERMARK } from './retention.js';
import type { NamespaceId } from './types.js';

export interface Removal {
  readonly name: string;
  /** Whether those who read it get errors from now on, instead of being in the way. */
  readonly force: boolean;
  /** What is open in this process, where it alone has the store. */
  readonly open: (namespace: NamespaceId) => readonly Version[];
}

/** @throws NOT_FOUND; CONFLICT while forks go on from it; BUSY while it is locked, or is read and not `force` */
export async function removeNamespace(engine: Engine, { name, force, open }: Removal): Promise<NamespaceId> {
  const { value } = await engine.transact(async (transaction) => {
    const id = await readId(transaction, name);
    const [meta, held, lock] = await Promise.all([
      readMeta(transaction, id),
      readHeld(transaction, id, open(id)),
      transaction.get(lockKey(id)),
    ]);
    if (lock !== undefined) throw lockedError(name, decodeLock(lock));
    const forks = held.filter(({ by }) => by === 'fork').map((fork) => `"${fork.name}"`);
    if (forks.length > 0)
      throw new MvfuseError(
        'CONFLICT',
        `namespace "${name}" has forks, which need its pages: ${forks.join(', ')}; delete them first`,
      );
    const readers = held.filter(({ by }) => by === 'reader').length;
    if (readers > 0 && !force)
      throw new MvfuseError(
        'BUSY',
        `namespace "${name}" is being read (${readers} open versions): close them, or force it`,
      );
    const { begin, end } = tagRange(id);
    transaction.clearRange(begin, end);
    transaction.clear(nameKey(name));
    transaction.clear(headKey(id));
    if (meta.parent !== undefined) transaction.clear(forkKey(meta.parent.namespace, id));
    transaction.set(watermarkKey(id), DELETED_WATERMARK);
    transaction.set(removedKey(id), Buffer.from(name));
    return id;
  });
  return value;
}
