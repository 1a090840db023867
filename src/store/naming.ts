// What a name means: the transactions that rename, drop and bring back a namespace.
//
// A namespace that is dropped loses its name and nothing else: who has it open goes on, and its forks do. It is removed
// UNDELETE_MS later (removal.ts); until then it can be brought back, with what was committed to it meanwhile.
// Who may write a namespace need not ask what it is called, so each of these asks for the write lease: its holder
// passes it on, and looks again.

import { MvfuseError } from '../errors.js';
import type { Engine, ReadTransaction, Transaction } from '../kv/engine.js';
import { DROPPED_NAMED_MAX, UNDELETE_MS } from '../limits.js';
import { droppedKey, droppedRange, lockKey, metaKey, nameKey, namespaceOfDroppedKey } from './keys.js';
import { lockedError } from './maintenance-lock.js';
import { proofInName, validateNamespaceName } from './namespace-name.js';
import { readHead, readId, readInfo, readMeta, requireFreeName } from './namespaces.js';
import {
  type DroppedRecord,
  decodeDropped,
  decodeLock,
  decodeNamespaceId,
  encodeDropped,
  encodeMeta,
  encodeNumber,
  type NamespaceMeta,
} from './records.js';
import type { DroppedNamespace, NamespaceId, NamespaceInfo, RenamedNamespace } from './types.js';

export interface NamingContext {
  readonly engine: Engine;
  readonly nowMs: number;
  /** Asks another process that may write the namespace to pass that on. */
  readonly askLease: (transaction: Transaction, namespace: NamespaceId) => Promise<void>;
}

export interface DropOptions {
  /** What the name must mean. */
  readonly expected?: NamespaceId | undefined;
}

export interface RenameOptions extends DropOptions {
  /** Whether a namespace that has the new name is dropped. */
  readonly replace?: boolean;
}

export interface UndeleteOptions {
  /** Another name than it had. */
  readonly as?: string | undefined;
  /** Which of those that were dropped by the name; the last one when it is left out. */
  readonly id?: NamespaceId | undefined;
}

type DroppedEntry = DroppedRecord & { readonly id: NamespaceId };

/** @throws NOT_FOUND; CONFLICT when the name means another than expected; BUSY while it is locked */
export async function dropNamespace(
  context: NamingContext,
  name: string,
  { expected }: DropOptions = {},
): Promise<NamespaceId> {
  const { value } = await context.engine.transact(async (transaction) => {
    const id = await readExpected(transaction, name, expected);
    const meta = await readUnlocked(transaction, id);
    transaction.clear(nameKey(name));
    await drop(transaction, context, id, meta);
    return id;
  });
  return value;
}

/**
 * A name that carries an access proof brings it along; otherwise it stays what it was.
 * @throws INVALID_ARGUMENT; NOT_FOUND; CONFLICT when the name means another than expected; ALREADY_EXISTS unless `replace`;
 *   BUSY while it, or the one to be replaced, is locked
 */
export async function renameNamespace(
  context: NamingContext,
  name: string,
  newName: string,
  { replace = false, expected }: RenameOptions = {},
): Promise<RenamedNamespace> {
  validateNamespaceName(newName);
  const { value } = await context.engine.transact(async (transaction): Promise<RenamedNamespace> => {
    const id = await readExpected(transaction, name, expected);
    if (newName === name) return readInfo(transaction, id);
    const [meta, taken] = await Promise.all([readUnlocked(transaction, id), transaction.get(nameKey(newName))]);
    if (taken !== undefined && !replace) await requireFreeName(transaction, newName);
    const replaced = taken && decodeNamespaceId(taken);
    if (replaced !== undefined) await drop(transaction, context, replaced, await readUnlocked(transaction, replaced));
    transaction.clear(nameKey(name));
    setName(transaction, id, newName, meta);
    await context.askLease(transaction, id);
    return { ...(await readInfo(transaction, id)), ...(replaced === undefined ? {} : { replaced }) };
  });
  return value;
}

/** @throws INVALID_ARGUMENT for another name; NOT_FOUND; ALREADY_EXISTS when the name was given again */
export async function undeleteNamespace(
  context: NamingContext,
  name: string,
  { as, id: wanted }: UndeleteOptions = {},
): Promise<NamespaceInfo> {
  const newName = as ?? name;
  validateNamespaceName(newName);
  const { value } = await context.engine.transact(async (transaction) => {
    const { id } = await findDropped(transaction, name, wanted);
    const [meta, taken] = await Promise.all([readMeta(transaction, id), transaction.get(nameKey(newName))]);
    if (taken !== undefined)
      throw new MvfuseError(
        'ALREADY_EXISTS',
        `the namespace "${newName}" exists already: give the deleted one another name (--as)`,
      );
    const { droppedMs: _, ...kept } = meta;
    transaction.clear(droppedKey(id));
    setName(transaction, id, newName, kept);
    await context.askLease(transaction, id);
    return readInfo(transaction, id);
  });
  return value;
}

/** The last one first; all of them, or those whose names begin with `prefix`. */
export function listDropped(engine: Engine, prefix = ''): Promise<DroppedNamespace[]> {
  return engine.read(async (transaction) => {
    const entries = await readDropped(transaction);
    const wanted = entries.filter(({ name }) => name.startsWith(prefix));
    return Promise.all(wanted.map((entry) => describe(transaction, entry)));
  });
}

/** @throws NOT_FOUND */
export function statDropped(engine: Engine, id: NamespaceId): Promise<DroppedNamespace> {
  return engine.read(async (transaction) => {
    const bytes = await transaction.get(droppedKey(id));
    if (bytes === undefined) throw new MvfuseError('NOT_FOUND', `there is no deleted namespace with the id ${id}`);
    return describe(transaction, { id, ...decodeDropped(bytes) });
  });
}

async function describe(transaction: ReadTransaction, entry: DroppedEntry): Promise<DroppedNamespace> {
  const head = await readHead(transaction, entry.id);
  return { ...entry, removedAfterMs: entry.droppedMs + UNDELETE_MS, head };
}

/**
 * The one that was dropped last by that name, or the one with that id.
 * @throws NOT_FOUND saying which there are
 */
export async function findDropped(
  transaction: Transaction,
  name: string,
  id: NamespaceId | undefined,
): Promise<DroppedEntry> {
  // Of the others nothing matters, but for what a message says.
  const entries = await readDropped(transaction.snapshot);
  const found = entries.find((entry) => entry.name === name && (id === undefined || entry.id === id));
  if (found !== undefined && (await transaction.get(droppedKey(found.id))) !== undefined) return found;
  const what = id === undefined ? `"${name}"` : `"${name}" with the id ${id}`;
  throw new MvfuseError('NOT_FOUND', `there is no deleted namespace ${what}: ${describeDropped(entries)}`);
}

/** The last one first. */
export async function readDropped(transaction: ReadTransaction): Promise<DroppedEntry[]> {
  const pairs = await transaction.getRange(droppedRange.begin, droppedRange.end);
  return pairs
    .map(({ key, value }) => ({ id: namespaceOfDroppedKey(key), ...decodeDropped(value) }))
    .sort((a, b) => b.droppedMs - a.droppedMs || b.id - a.id);
}

function describeDropped(entries: readonly DroppedEntry[]): string {
  if (entries.length === 0) return 'none can be brought back';
  const named = entries.slice(0, DROPPED_NAMED_MAX).map(({ name, id }) => `"${name}" (id ${id})`);
  const more = entries.length - named.length;
  return `those that can be brought back are ${named.join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}

async function readExpected(
  transaction: ReadTransaction,
  name: string,
  expected: NamespaceId | undefined,
): Promise<NamespaceId> {
  const id = await readId(transaction, name);
  if (expected === undefined || id === expected) return id;
  throw new MvfuseError('CONFLICT', `"${name}" is another namespace now: its id is ${id}, not ${expected}`);
}

/** @throws BUSY */
async function readUnlocked(transaction: ReadTransaction, id: NamespaceId): Promise<NamespaceMeta> {
  const [meta, lock] = await Promise.all([readMeta(transaction, id), transaction.get(lockKey(id))]);
  if (lock !== undefined) throw lockedError(meta.name, decodeLock(lock));
  return meta;
}

async function drop(
  transaction: Transaction,
  { nowMs, askLease }: NamingContext,
  id: NamespaceId,
  meta: NamespaceMeta,
): Promise<void> {
  transaction.set(metaKey(id), encodeMeta({ ...meta, droppedMs: nowMs }));
  transaction.set(droppedKey(id), encodeDropped({ name: meta.name, droppedMs: nowMs }));
  await askLease(transaction, id);
}

function setName(transaction: Transaction, id: NamespaceId, name: string, meta: NamespaceMeta): void {
  const accessProof = proofInName(name) ?? meta.accessProof;
  transaction.set(nameKey(name), encodeNumber(id));
  transaction.set(metaKey(id), encodeMeta({ ...meta, name, ...(accessProof === undefined ? {} : { accessProof }) }));
}
