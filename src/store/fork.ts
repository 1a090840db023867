// Forks: a namespace that begins with a version of another one, and shares its pages until it writes its own.
//
// A fork is one small transaction: a name, a parent, and a first version of its own that changes nothing. The parent keeps
// the version for as long as the fork is there, so it cannot be removed before.

import { MvfuseError } from '../errors.js';
import type { Engine, ReadTransaction } from '../kv/engine.js';
import { FORK_LEVELS_MAX } from '../limits.js';
import { type Version, versionToBytes, ZERO_VERSION } from '../version.js';
import { readHeadAt } from './heads.js';
import { requireReadable } from './held-versions.js';
import { childOfForkKey, forkKey, forkRange, headKey, logKeyPrefix, metaKey, nameKey, timeKey } from './keys.js';
import { proofInName, validateNamespaceName } from './namespace-name.js';
import { forkPoint, infoOf, issueNamespaceId, readMeta, requireFreeName } from './namespaces.js';
import {
  decodeVersion,
  encodeChange,
  encodeHeadState,
  encodeMeta,
  encodeNumber,
  type NamespaceMeta,
} from './records.js';
import type { ForkPoint, NamespaceId, NamespaceInfo } from './types.js';

export interface ForkRequest {
  readonly source: NamespaceId;
  /** ZERO_VERSION forks nothing: the new namespace is empty. */
  readonly version: Version;
  readonly name: string;
  readonly nowMs: number;
  /** What is open in this process, where it alone has the store. */
  readonly open: readonly Version[];
}

const NONE = Buffer.alloc(0);

/** Whether a fork of it would be too deep, so that it has to be a copy. @throws NOT_FOUND */
export function isForkedOut(engine: Engine, namespace: NamespaceId): Promise<boolean> {
  return engine.read(async (transaction) => {
    const { depth = 0 } = await readMeta(transaction, namespace);
    return depth >= FORK_LEVELS_MAX;
  });
}

/**
 * Takes no time, however large the database is. The fork has the access proof that its name carries, or else its parent's, its parent's mode, and a history that begins now.
 * @throws INVALID_ARGUMENT, NOT_FOUND, GONE, ALREADY_EXISTS; LIMIT for what is forked out
 */
export async function forkNamespace(engine: Engine, request: ForkRequest): Promise<NamespaceInfo> {
  const { source, version, name, nowMs, open } = request;
  validateNamespaceName(name);
  const { value, version: created } = await engine.transact(async (transaction) => {
    const [parent, base] = await Promise.all([
      readMeta(transaction, source),
      readHeadAt(transaction, source, version),
      requireReadable(transaction, source, version, open),
    ]);
    if (base === undefined) throw new MvfuseError('NOT_FOUND', `namespace "${parent.name}" has no version ${version}`);
    const depth = (parent.depth ?? 0) + 1;
    if (depth > FORK_LEVELS_MAX)
      throw new MvfuseError('LIMIT', `"${parent.name}" is ${FORK_LEVELS_MAX} forks deep already`);
    await requireFreeName(transaction, name);
    const id = await issueNamespaceId(transaction);
    const isEmpty = version === ZERO_VERSION;
    const accessProof = proofInName(name) ?? parent.accessProof;
    const meta: NamespaceMeta = {
      name,
      createdMs: nowMs,
      ...(isEmpty ? {} : { parent: { namespace: source, version }, depth }),
      ...(accessProof === undefined ? {} : { accessProof }),
      ...(parent.mode === undefined ? {} : { mode: parent.mode }),
    };
    const { version: _, ...state } = { ...base, timeMs: Math.max(base.timeMs, nowMs) };
    transaction.set(nameKey(name), encodeNumber(id));
    transaction.set(metaKey(id), encodeMeta(meta));
    transaction.setVersionstampedValue(headKey(id), NONE, encodeHeadState(state));
    const change = encodeChange({ ...state, pageCount: 0, bytes: 0, pages: [] });
    transaction.setVersionstampedKey(logKeyPrefix(id), NONE, change);
    transaction.setVersionstampedValue(timeKey(id, state.timeMs), NONE, NONE);
    if (!isEmpty) transaction.set(forkKey(source, id), versionToBytes(version));
    return { id, meta, state, parent: isEmpty ? undefined : forkPoint(source, version, parent) };
  });
  const { id, meta, state, parent } = value;
  return infoOf(id, meta, { version: created!, ...state }, parent);
}

/** The forks that go on from a namespace, each with its version there. */
export async function readForks(transaction: ReadTransaction, namespace: NamespaceId): Promise<ForkPoint[]> {
  const { begin, end } = forkRange(namespace);
  const forks = await transaction.getRange(begin, end);
  return Promise.all(
    forks.map(async ({ key, value }) => {
      const child = childOfForkKey(key);
      return forkPoint(child, decodeVersion(value), await readMeta(transaction, child));
    }),
  );
}
