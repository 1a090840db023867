// Maintenance locks: one owner writes a namespace, everybody else reads the version that it was locked at.
//
// It is set and taken away by who may write the namespace (the write lock here, the write lease among hosts), so whoever may
// write knows for sure whether there is one.

import { MvfuseError } from '../errors.js';
import type { Engine } from '../kv/engine.js';
import { LOCK_OWNER_BYTES_MAX } from '../limits.js';
import type { Version } from '../version.js';
import { readHeadAt } from './heads.js';
import { requireReadable } from './held-versions.js';
import { lockKey } from './keys.js';
import { readHead, readMeta } from './namespaces.js';
import { decodeLock, encodeLock } from './records.js';
import type { MaintenanceLock, NamespaceId } from './types.js';

/** Before the owner's name, in place of a moment: by this name the owner reaches a database while it is locked. */
export const LOCK_PREFIX = 'lock:';

export interface LockRequest {
  readonly namespace: NamespaceId;
  readonly owner: string;
  /** What the others read; the head when it is left out. */
  readonly version: Version | undefined;
  readonly nowMs: number;
  readonly open: readonly Version[];
}

/** An owner is part of file names, as a tag is. @throws INVALID_ARGUMENT */
export function validateOwner(owner: string): void {
  const isAllowed = /^[A-Za-z0-9_][A-Za-z0-9._+:-]*$/.test(owner) && owner.length <= LOCK_OWNER_BYTES_MAX;
  // What SQLite makes of a file's name must not be a name of another file.
  if (isAllowed && !/-(?:journal|wal|shm)$/.test(owner)) return;
  throw new MvfuseError(
    'INVALID_ARGUMENT',
    `"${owner}" cannot own a lock: up to ${LOCK_OWNER_BYTES_MAX} letters, digits and the characters . _ + : - are allowed`,
  );
}

/** The same owner may ask again: then nothing changes. @throws BUSY while another has it; INVALID_ARGUMENT, NOT_FOUND, GONE */
export async function setLock(engine: Engine, request: LockRequest): Promise<MaintenanceLock> {
  const { namespace, owner, nowMs, open } = request;
  validateOwner(owner);
  const { value } = await engine.transact(async (transaction) => {
    const [{ name, droppedMs }, head, bytes] = await Promise.all([
      readMeta(transaction, namespace),
      readHead(transaction, namespace),
      transaction.get(lockKey(namespace)),
    ]);
    if (droppedMs !== undefined) throw new MvfuseError('NOT_FOUND', `there is no namespace "${name}" any more`);
    const known = bytes && decodeLock(bytes);
    if (known?.owner === owner) return known;
    if (known !== undefined) throw lockedError(name, known);
    const { version = head.version } = request;
    if (version !== head.version && (await readHeadAt(transaction, namespace, version)) === undefined)
      throw new MvfuseError('NOT_FOUND', `namespace "${name}" has no version ${version}`);
    await requireReadable(transaction, namespace, version, open);
    const lock: MaintenanceLock = { owner, version, base: head.version, sinceMs: nowMs };
    transaction.set(lockKey(namespace), encodeLock(lock));
    return lock;
  });
  return value;
}

/** @throws CONFLICT when `owner` does not have it */
export async function clearLock(engine: Engine, namespace: NamespaceId, owner: string): Promise<void> {
  await engine.transact(async (transaction) => {
    const bytes = await transaction.get(lockKey(namespace));
    requireOwner((await readMeta(transaction, namespace)).name, bytes && decodeLock(bytes), owner);
    transaction.clear(lockKey(namespace));
  });
}

/** @throws CONFLICT when `owner` does not have the lock */
export function requireOwner(
  name: string,
  lock: MaintenanceLock | undefined,
  owner: string,
): asserts lock is MaintenanceLock {
  if (lock?.owner === owner) return;
  const found = lock === undefined ? 'it is not locked' : `it is locked by "${lock.owner}"`;
  throw new MvfuseError('CONFLICT', `"${owner}" has no maintenance lock on namespace "${name}": ${found}`);
}

export function lockedError(name: string, { owner, sinceMs }: MaintenanceLock): MvfuseError {
  const since = new Date(sinceMs).toISOString();
  return new MvfuseError('BUSY', `namespace "${name}" is locked for maintenance by "${owner}" since ${since}`);
}
