// Tags: names for versions. A version that has a tag is kept.

import { MvfuseError } from '../errors.js';
import type { Engine, ReadTransaction } from '../kv/engine.js';
import { TAGS_MAX } from '../limits.js';
import { validateTagName } from '../moment.js';
import type { Version } from '../version.js';
import { readHeadAt } from './heads.js';
import { requireReadable } from './held-versions.js';
import { tagKey, tagOfKey, tagRange } from './keys.js';
import { readMeta } from './namespaces.js';
import { decodeTag, encodeTag } from './records.js';
import type { NamespaceId, Tag } from './types.js';

export interface TagRequest {
  readonly namespace: NamespaceId;
  readonly name: string;
  readonly version: Version;
  readonly nowMs: number;
  /** Whether the name may be another version's already. */
  readonly move: boolean;
  /** What is open in this process, where it alone has the store. */
  readonly open: readonly Version[];
}

/** @throws INVALID_ARGUMENT for a name, NOT_FOUND, GONE, ALREADY_EXISTS, LIMIT */
export async function addTag(engine: Engine, request: TagRequest): Promise<Tag> {
  const { namespace, name, version, nowMs, move, open } = request;
  validateTagName(name);
  const tag: Tag = { name, version, createdMs: nowMs };
  await engine.transact(async (transaction) => {
    const [{ name: namespaceName }, existing, tags, head] = await Promise.all([
      readMeta(transaction, namespace),
      transaction.get(tagKey(namespace, name)),
      listTags(transaction.snapshot, namespace),
      readHeadAt(transaction, namespace, version),
      requireReadable(transaction, namespace, version, open),
    ]);
    if (head === undefined)
      throw new MvfuseError('NOT_FOUND', `namespace "${namespaceName}" has no version ${version}`);
    const known = existing && decodeTag(existing).version;
    if (known === version) return;
    if (known !== undefined && !move)
      throw new MvfuseError('ALREADY_EXISTS', `"${namespaceName}" has a tag "${name}" already, for version ${known}`);
    if (known === undefined && tags.length >= TAGS_MAX)
      throw new MvfuseError('LIMIT', `a namespace has at most ${TAGS_MAX} tags`);
    transaction.set(tagKey(namespace, name), encodeTag(tag));
  });
  return tag;
}

/** @throws NOT_FOUND */
export async function removeTag(engine: Engine, namespace: NamespaceId, name: string): Promise<void> {
  await engine.transact(async (transaction) => {
    if ((await transaction.get(tagKey(namespace, name))) === undefined) {
      const meta = await readMeta(transaction, namespace);
      throw new MvfuseError('NOT_FOUND', `namespace "${meta.name}" has no tag "${name}"`);
    }
    transaction.clear(tagKey(namespace, name));
  });
}

/** By name. */
export async function listTags(transaction: ReadTransaction, namespace: NamespaceId): Promise<Tag[]> {
  const { begin, end } = tagRange(namespace);
  const tags = await transaction.getRange(begin, end);
  return tags.map(({ key, value }) => ({ name: tagOfKey(key), ...decodeTag(value) }));
}
