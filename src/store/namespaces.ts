// Creating and finding namespaces, and what is kept with their names. An id is never used twice.

import { MvfuseError } from '../errors.js';
import type { Engine, ReadTransaction, Transaction } from '../kv/engine.js';
import { NAMESPACE_ID_MAX, PAGE_BYTES_DEFAULT } from '../limits.js';
import { type Version, ZERO_VERSION } from '../version.js';
import { headKey, metaKey, nameKey, nameRange, nameRangeOf, namespaceSequenceKey, watermarkKey } from './keys.js';
import { proofInName, validateNamespaceName } from './namespace-name.js';
import {
  decodeHead,
  decodeMeta,
  decodeNamespaceId,
  decodeNumber,
  encodeHead,
  encodeMeta,
  encodeNumber,
  type NamespaceMeta,
} from './records.js';
import type { ForkPoint, Head, NamespaceId, NamespaceInfo } from './types.js';

/** The head before the first commit: an empty file. */
export function emptyHead(createdMs: number): Head {
  return { version: ZERO_VERSION, pageBytes: PAGE_BYTES_DEFAULT, sizeBytes: 0, timeMs: createdMs };
}

export interface Creation {
  readonly name: string;
  readonly createdMs: number;
  readonly mode: number | undefined;
  /** One that was reserved; a new one when it is left out. */
  readonly id: NamespaceId | undefined;
}

/** @throws INVALID_ARGUMENT for a name, and for an id that is not reserved; ALREADY_EXISTS, LIMIT */
export async function createNamespace(engine: Engine, creation: Creation): Promise<NamespaceInfo> {
  const { name, createdMs, mode, id: reserved } = creation;
  validateNamespaceName(name);
  const { value } = await engine.transact(async (transaction) => {
    await requireFreeName(transaction, name);
    const id = reserved ?? (await issueNamespaceId(transaction));
    if (reserved !== undefined) await requireReserved(transaction, reserved);
    const head = emptyHead(createdMs);
    const accessProof = proofInName(name);
    const meta: NamespaceMeta = {
      name,
      createdMs,
      ...(accessProof === undefined ? {} : { accessProof }),
      ...(mode === undefined ? {} : { mode }),
    };
    transaction.set(nameKey(name), encodeNumber(id));
    transaction.set(metaKey(id), encodeMeta(meta));
    transaction.set(headKey(id), encodeHead(head));
    return infoOf(id, meta, head, undefined);
  });
  return value;
}

/** An id that nothing else ever gets; no namespace has it until one is created. @throws LIMIT */
export async function reserveNamespaceId(engine: Engine): Promise<NamespaceId> {
  return (await engine.transact(issueNamespaceId)).value;
}

/** @throws ALREADY_EXISTS */
export async function requireFreeName(transaction: ReadTransaction, name: string): Promise<void> {
  if ((await transaction.get(nameKey(name))) !== undefined)
    throw new MvfuseError('ALREADY_EXISTS', `the namespace "${name}" exists already`);
}

/** @throws LIMIT */
export async function issueNamespaceId(transaction: Transaction): Promise<NamespaceId> {
  const id = (await issueId(transaction, namespaceSequenceKey)) as NamespaceId;
  if (id > NAMESPACE_ID_MAX) throw new MvfuseError('LIMIT', `a store holds at most ${NAMESPACE_ID_MAX} namespaces`);
  return id;
}

/** Was issued, and no namespace has or had it. @throws INVALID_ARGUMENT */
async function requireReserved(transaction: ReadTransaction, id: NamespaceId): Promise<void> {
  const [last, meta, watermark] = await Promise.all(
    [namespaceSequenceKey, metaKey(id), watermarkKey(id)].map((key) => transaction.get(key)),
  );
  // The watermark stays of those that were removed.
  const isReserved = last !== undefined && id >= 1 && id <= decodeNumber(last) && !meta && !watermark;
  if (!isReserved) throw new MvfuseError('INVALID_ARGUMENT', `the namespace id ${id} is not reserved`);
}

/**
 * Changes what is kept with a namespace's name.
 * @param also is done in the same transaction
 * @throws NOT_FOUND
 */
export async function changeMeta(
  engine: Engine,
  namespace: NamespaceId,
  change: (meta: NamespaceMeta) => NamespaceMeta,
  also?: (transaction: Transaction, namespace: NamespaceId) => Promise<void>,
): Promise<void> {
  await engine.transact(async (transaction) => {
    transaction.set(metaKey(namespace), encodeMeta(change(await readMeta(transaction, namespace))));
    await also?.(transaction, namespace);
  });
}

/** @throws INVALID_ARGUMENT, NOT_FOUND */
export function statNamespace(engine: Engine, name: string): Promise<NamespaceInfo> {
  validateNamespaceName(name);
  return engine.read(async (transaction) => {
    return readInfo(transaction, await readId(transaction, name));
  });
}

/** All of them, or those whose names begin with `prefix`, in the order of their names' UTF-8 bytes. */
export function listNamespaces(engine: Engine, prefix = ''): Promise<NamespaceInfo[]> {
  return engine.read(async (transaction) => {
    const { begin, end } = nameRangeOf(prefix);
    const names = await transaction.getRange(begin, end);
    return Promise.all(names.map(({ value }) => readInfo(transaction, decodeNamespaceId(value))));
  });
}

/** Whether there is a namespace whose name begins with `prefix`. */
export function hasNamespaces(engine: Engine, prefix: string): Promise<boolean> {
  return engine.read(async (transaction) => {
    const { begin, end } = nameRangeOf(prefix);
    return (await transaction.getRange(begin, end, { limit: 1 })).length > 0;
  });
}

/** Of all that have a name. */
export function listNamespaceIds(engine: Engine): Promise<NamespaceId[]> {
  return engine.read(async (transaction) => {
    const names = await transaction.getRange(nameRange.begin, nameRange.end);
    return names.map(({ value }) => decodeNamespaceId(value));
  });
}

/** @throws NOT_FOUND */
export async function readId(transaction: ReadTransaction, name: string): Promise<NamespaceId> {
  const id = await transaction.get(nameKey(name));
  if (id === undefined) throw new MvfuseError('NOT_FOUND', `there is no namespace "${name}"`);
  return decodeNamespaceId(id);
}

/** @throws NOT_FOUND */
export async function readHead(transaction: ReadTransaction, namespace: NamespaceId): Promise<Head> {
  const bytes = await transaction.get(headKey(namespace));
  if (bytes === undefined) throw missing(namespace);
  return decodeHead(bytes);
}

/** @throws NOT_FOUND */
export async function readMeta(transaction: ReadTransaction, namespace: NamespaceId): Promise<NamespaceMeta> {
  const bytes = await transaction.get(metaKey(namespace));
  if (bytes === undefined) throw missing(namespace);
  return decodeMeta(bytes);
}

/** The next id of a sequence; two transactions that issue at once conflict. */
export async function issueId(transaction: Transaction, sequenceKey: Buffer): Promise<number> {
  const last = await transaction.get(sequenceKey);
  const id = (last === undefined ? 0 : decodeNumber(last)) + 1;
  transaction.set(sequenceKey, encodeNumber(id));
  return id;
}

/** @throws NOT_FOUND */
export async function readInfo(transaction: ReadTransaction, id: NamespaceId): Promise<NamespaceInfo> {
  const [meta, head] = await Promise.all([readMeta(transaction, id), readHead(transaction, id)]);
  if (meta.parent === undefined) return infoOf(id, meta, head, undefined);
  const { namespace, version } = meta.parent;
  return infoOf(id, meta, head, forkPoint(namespace, version, await readMeta(transaction, namespace)));
}

export function forkPoint(id: NamespaceId, version: Version, { name, droppedMs }: NamespaceMeta): ForkPoint {
  return { id, namespace: name, version, ...(droppedMs === undefined ? {} : { dropped: true }) };
}

export function infoOf(
  id: NamespaceId,
  { name, createdMs, accessProof, mode, droppedMs }: NamespaceMeta,
  head: Head,
  parent: ForkPoint | undefined,
): NamespaceInfo {
  return {
    id,
    name,
    createdMs,
    head,
    ...(parent === undefined ? {} : { parent }),
    isProtected: accessProof !== undefined,
    ...(mode === undefined ? {} : { mode }),
    ...(droppedMs === undefined ? {} : { droppedMs }),
  };
}

function missing(namespace: NamespaceId): MvfuseError {
  return new MvfuseError('NOT_FOUND', `there is no namespace ${namespace}`);
}
