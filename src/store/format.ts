// The format of the store's keys and values, stated in the store itself. See docs/storage-format.md.

import { MvfuseError } from '../errors.js';
import type { Engine } from '../kv/engine.js';
import { formatKey } from './keys.js';
import { decodeNumber, encodeNumber } from './records.js';

/** Frozen: whatever comes, a store of this format is read. */
export const STORE_FORMAT = 1;

/** States the format in a new store. @throws STORE_FORMAT when the store states another one */
export async function requireFormat(engine: Engine): Promise<void> {
  await engine.transact(async (transaction) => {
    const stated = await transaction.get(formatKey);
    if (stated === undefined) return transaction.set(formatKey, encodeNumber(STORE_FORMAT));
    const format = decodeNumber(stated);
    if (format === STORE_FORMAT) return;
    throw new MvfuseError(
      'STORE_FORMAT',
      `the store has format ${format}; this release knows format ${STORE_FORMAT} only. Open it with a newer release.`,
    );
  });
}
