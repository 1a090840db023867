// Which versions must stay readable although they are older than the watermark, and whether one may be read at all.
//
// A version is readable from the watermark on, and before it while a tag, a fork, a maintenance lock or an open snapshot
// holds it. Whoever reads pages asks here in the transaction that reads them, and whoever removes pages in the
// transaction that removes them: so nobody ever reads what is half removed, whatever clocks and signs of life say.

import { MvfuseError } from '../errors.js';
import type { ReadTransaction } from '../kv/engine.js';
import { VERSION_BYTES, type Version, ZERO_VERSION } from '../version.js';
import {
  childOfForkKey,
  daemonKey,
  daemonOfKey,
  forkRange,
  lockKey,
  metaKey,
  pinRange,
  tagOfKey,
  tagRange,
  watermarkKey,
} from './keys.js';
import { decodeBeat, decodeLock, decodeMeta, decodePin, decodeTag, decodeVersion } from './records.js';
import type { HeldVersion, NamespaceId } from './types.js';

/** The watermark of a namespace that was removed itself. */
export const EVERYTHING_GONE = 'f'.repeat(2 * VERSION_BYTES) as Version;

/** Older versions are gone, but for those that are held; ZERO_VERSION while none was removed. */
export async function readWatermark(transaction: ReadTransaction, namespace: NamespaceId): Promise<Version> {
  const bytes = await transaction.get(watermarkKey(namespace));
  return bytes === undefined ? ZERO_VERSION : decodeVersion(bytes);
}

/**
 * What is held in the store, in any order; `open` is what is open in this process, where it alone has the store.
 * A daemon that gives no sign of life any more holds nothing.
 */
export async function readHeld(
  transaction: ReadTransaction,
  namespace: NamespaceId,
  open: readonly Version[],
): Promise<HeldVersion[]> {
  const inRange = ({ begin, end }: ReturnType<typeof tagRange>) => transaction.getRange(begin, end);
  const [tags, forks, pins, lock] = await Promise.all([
    inRange(tagRange(namespace)),
    inRange(forkRange(namespace)),
    inRange(pinRange(namespace)),
    transaction.get(lockKey(namespace)),
  ]);
  const held: HeldVersion[] = tags.map(({ key, value }) => ({
    version: decodeTag(value).version,
    by: 'tag',
    name: tagOfKey(key),
  }));
  for (const { key, value } of forks) {
    const meta = await transaction.get(metaKey(childOfForkKey(key)));
    const name = meta === undefined ? String(childOfForkKey(key)) : decodeMeta(meta).name;
    held.push({ version: decodeVersion(value), by: 'fork', name });
  }
  if (lock !== undefined) {
    const { owner, version, base } = decodeLock(lock);
    for (const kept of new Set([version, base])) held.push({ version: kept, by: 'lock', name: owner });
  }
  for (const { key, value } of pins) {
    const beat = await transaction.get(daemonKey(daemonOfKey(key)));
    if (beat === undefined) continue;
    const { host } = decodeBeat(beat);
    for (const version of decodePin(value).versions) held.push({ version, by: 'reader', name: host });
  }
  for (const version of open) held.push({ version, by: 'reader', name: '' });
  return held;
}

/** Versions older than `watermark` that are held, each once, ascending; nothing need be kept for the empty file. */
export function heldBefore(held: readonly HeldVersion[], watermark: Version): Version[] {
  const versions = held.map(({ version }) => version);
  return [...new Set(versions.filter((version) => version < watermark && version !== ZERO_VERSION))].sort();
}

/**
 * Answers since when at the latest nothing was removed up to the version: of what lies further back, what is stored now
 * does not tell the truth any more.
 * @throws GONE when the version was removed, or may be at any moment; NOT_FOUND when the namespace was
 */
export async function requireReadable(
  transaction: ReadTransaction,
  namespace: NamespaceId,
  version: Version,
  open: readonly Version[],
): Promise<Version> {
  const watermark = await readWatermark(transaction, namespace);
  if (version >= watermark) return watermark;
  if (watermark === EVERYTHING_GONE) throw new MvfuseError('NOT_FOUND', `namespace ${namespace} was deleted`);
  const held = await readHeld(transaction, namespace, open);
  if (held.some((hold) => hold.version === version)) return version;
  throw new MvfuseError('GONE', `version ${version} was removed: the oldest that is kept is ${watermark}`);
}
