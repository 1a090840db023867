// Removing a namespace for good: it is gone at once, what is left of it step by step (Retention.purge).

import { MvfuseError } from '../errors.js';
import type { Engine, ReadTransaction, Transaction } from '../kv/engine.js';
import { type Version, versionToBytes } from '../version.js';
import { readForks } from './fork.js';
import { EVERYTHING_GONE, readHeld } from './held-versions.js';
import { droppedKey, forkKey, headKey, lockKey, nameKey, removedKey, tagRange, watermarkKey } from './keys.js';
import { lockedError } from './maintenance-lock.js';
import { readMeta } from './namespaces.js';
import { findDropped, readDropped } from './naming.js';
import { decodeLock, decodeNamespaceId, type NamespaceMeta } from './records.js';
import type { NamespaceId } from './types.js';

/** What is open in this process, where it alone has the store. */
export type OpenHere = (namespace: NamespaceId) => readonly Version[];

export interface Removal {
  readonly name: string;
  /** Which of those that have or had the name; when it is left out the one that has it, or else the only one that was dropped. */
  readonly id: NamespaceId | undefined;
  /** Whether those who read it get errors from now on, instead of being in the way. */
  readonly force: boolean;
  readonly open: OpenHere;
}

/** @throws NOT_FOUND; CONFLICT while forks go on from it, or for a name of several; BUSY while it is locked, or is read and not `force` */
export async function removeNamespace(
  engine: Engine,
  { name, id: wanted, force, open }: Removal,
): Promise<NamespaceId> {
  const { value } = await engine.transact(async (transaction) => {
    const id = await findRemovable(transaction, name, wanted);
    const [meta, held, lock] = await readHolds(transaction, id, open);
    if (lock !== undefined) throw lockedError(name, decodeLock(lock));
    const forks = (await readForks(transaction, id)).map(
      ({ namespace, id: fork, dropped }) => `"${namespace}"${dropped === true ? ` (deleted, its id is ${fork})` : ''}`,
    );
    if (forks.length > 0)
      throw new MvfuseError(
        'CONFLICT',
        `namespace "${name}" has forks, which need its pages: ${forks.join(', ')}; remove them for good first`,
      );
    const readers = held.filter(({ by }) => by === 'reader').length;
    if (readers > 0 && !force)
      throw new MvfuseError(
        'BUSY',
        `namespace "${name}" is being read (${readers} open versions): close them, or force it`,
      );
    remove(transaction, id, meta);
    return id;
  });
  return value;
}

/** Removes a namespace that was dropped, unless somebody needs it; whether it did. Tags keep it no longer. */
export async function removeDropped(engine: Engine, id: NamespaceId, open: OpenHere): Promise<boolean> {
  const { value } = await engine.transact(async (transaction) => {
    // It may have been brought back meanwhile.
    if ((await transaction.get(droppedKey(id))) === undefined) return false;
    const [meta, held] = await readHolds(transaction, id, open);
    if (held.some(({ by }) => by !== 'tag')) return false;
    remove(transaction, id, meta);
    return true;
  });
  return value;
}

function readHolds(transaction: ReadTransaction, id: NamespaceId, open: OpenHere) {
  return Promise.all([
    readMeta(transaction, id),
    readHeld(transaction, id, open(id)),
    transaction.get(lockKey(id)),
  ] as const);
}

async function findRemovable(
  transaction: Transaction,
  name: string,
  wanted: NamespaceId | undefined,
): Promise<NamespaceId> {
  const named = await transaction.get(nameKey(name));
  const id = named && decodeNamespaceId(named);
  if (id !== undefined && (wanted === undefined || wanted === id)) return id;
  const dropped = (await readDropped(transaction.snapshot)).filter((entry) => entry.name === name);
  if (wanted === undefined && dropped.length > 1) {
    const ids = dropped.map((entry) => entry.id).join(', ');
    throw new MvfuseError(
      'CONFLICT',
      `several deleted namespaces were called "${name}": say which, by its id (${ids})`,
    );
  }
  return (await findDropped(transaction, name, wanted)).id;
}

function remove(transaction: Transaction, id: NamespaceId, { name, parent, droppedMs }: NamespaceMeta): void {
  const { begin, end } = tagRange(id);
  transaction.clearRange(begin, end);
  // The name of one that was dropped may be another's.
  transaction.clear(droppedMs === undefined ? nameKey(name) : droppedKey(id));
  transaction.clear(headKey(id));
  if (parent !== undefined) transaction.clear(forkKey(parent.namespace, id));
  transaction.set(watermarkKey(id), versionToBytes(EVERYTHING_GONE));
  transaction.set(removedKey(id), Buffer.from(name));
}
