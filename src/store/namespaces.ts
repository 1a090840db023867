// Creating and finding namespaces. An id is never used twice.

import { MvfuseError } from '../errors.js';
import type { Engine, ReadTransaction, Transaction } from '../kv/engine.js';
import { NAMESPACE_ID_MAX, PAGE_BYTES_DEFAULT } from '../limits.js';
import { ZERO_VERSION } from '../version.js';
import { headKey, metaKey, nameKey, nameOfKey, nameRange, namespaceSequenceKey } from './keys.js';
import { validateNamespaceName } from './namespace-name.js';
import {
  decodeHead,
  decodeMeta,
  decodeNamespaceId,
  decodeNumber,
  encodeHead,
  encodeMeta,
  encodeNumber,
} from './records.js';
import type { Head, NamespaceId, NamespaceInfo } from './types.js';

/** The head before the first commit: an empty file. */
export function emptyHead(createdMs: number): Head {
  return { version: ZERO_VERSION, pageBytes: PAGE_BYTES_DEFAULT, sizeBytes: 0, timeMs: createdMs };
}

/** @throws INVALID_ARGUMENT, ALREADY_EXISTS, LIMIT */
export async function createNamespace(engine: Engine, name: string, createdMs: number): Promise<NamespaceInfo> {
  validateNamespaceName(name);
  const { value } = await engine.transact(async (transaction) => {
    if (await transaction.get(nameKey(name)))
      throw new MvfuseError('ALREADY_EXISTS', `the namespace "${name}" exists already`);
    const id = (await issueId(transaction, namespaceSequenceKey)) as NamespaceId;
    if (id > NAMESPACE_ID_MAX) throw new MvfuseError('LIMIT', `a store holds at most ${NAMESPACE_ID_MAX} namespaces`);
    const head = emptyHead(createdMs);
    transaction.set(nameKey(name), encodeNumber(id));
    transaction.set(metaKey(id), encodeMeta({ name, createdMs }));
    transaction.set(headKey(id), encodeHead(head));
    return { id, name, createdMs, head };
  });
  return value;
}

/** @throws INVALID_ARGUMENT, NOT_FOUND */
export function statNamespace(engine: Engine, name: string): Promise<NamespaceInfo> {
  validateNamespaceName(name);
  return engine.read(async (transaction) => {
    const id = await transaction.get(nameKey(name));
    if (id === undefined) throw new MvfuseError('NOT_FOUND', `there is no namespace "${name}"`);
    return readInfo(transaction, name, decodeNamespaceId(id));
  });
}

/** All of them, in the order of their names' UTF-8 bytes. */
export function listNamespaces(engine: Engine): Promise<NamespaceInfo[]> {
  return engine.read(async (transaction) => {
    const names = await transaction.getRange(nameRange.begin, nameRange.end);
    return Promise.all(names.map(({ key, value }) => readInfo(transaction, nameOfKey(key), decodeNamespaceId(value))));
  });
}

/** @throws NOT_FOUND */
export async function readHead(transaction: ReadTransaction, namespace: NamespaceId): Promise<Head> {
  const bytes = await transaction.get(headKey(namespace));
  if (bytes === undefined) throw missing(namespace);
  return decodeHead(bytes);
}

/** @throws NOT_FOUND */
export async function readCreatedMs(transaction: ReadTransaction, namespace: NamespaceId): Promise<number> {
  const bytes = await transaction.get(metaKey(namespace));
  if (bytes === undefined) throw missing(namespace);
  return decodeMeta(bytes).createdMs;
}

/** The next id of a sequence; two transactions that issue at once conflict. */
export async function issueId(transaction: Transaction, sequenceKey: Buffer): Promise<number> {
  const last = await transaction.get(sequenceKey);
  const id = (last === undefined ? 0 : decodeNumber(last)) + 1;
  transaction.set(sequenceKey, encodeNumber(id));
  return id;
}

async function readInfo(transaction: ReadTransaction, name: string, id: NamespaceId): Promise<NamespaceInfo> {
  const [createdMs, head] = await Promise.all([readCreatedMs(transaction, id), readHead(transaction, id)]);
  return { id, name, createdMs, head };
}

function missing(namespace: NamespaceId): MvfuseError {
  return new MvfuseError('NOT_FOUND', `there is no namespace ${namespace}`);
}
