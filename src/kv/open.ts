// From a store's URL to its engine: the only place that names engines.

import { resolve } from 'node:path';
import { MvfuseError } from '../errors.js';
import { EmbeddedEngine, type EngineOptions } from './embedded-engine.js';
import type { Engine } from './engine.js';
import { FDB_URL_PREFIX, identityOf, parseLocation } from './foundationdb/location.js';

const SQLITE_PREFIX = 'sqlite:';

/**
 * `sqlite:<directory>` is kept on disk, `memory:` until it is closed, `fdb:<cluster file>` in a FoundationDB cluster.
 * @throws INVALID_ARGUMENT for another URL; what the engine throws at opening (STORE_OWNED, STORE_FORMAT, …)
 */
export async function openEngine(url: string, options: EngineOptions): Promise<Engine> {
  const directory = storeDirectory(url);
  if (directory !== undefined) {
    const { SqliteBackend } = await import('./sqlite/sqlite-backend.js');
    return new EmbeddedEngine(await SqliteBackend.open(directory), options);
  }
  if (url === 'memory:') {
    const { MemoryBackend } = await import('./memory/memory-backend.js');
    return new EmbeddedEngine(new MemoryBackend(), options);
  }
  if (isShared(url)) {
    const { FoundationdbEngine } = await import('./foundationdb/foundationdb-engine.js');
    return FoundationdbEngine.open(url, options);
  }
  throw new MvfuseError(
    'INVALID_ARGUMENT',
    `"${url}" is not the URL of a store: use sqlite:<directory>, fdb:<cluster file> or memory:`,
  );
}

/** The same for all URLs of one store that several processes have open. @throws INVALID_ARGUMENT */
export function storeIdentity(url: string): string {
  return isShared(url) ? identityOf(parseLocation(url)) : (storeDirectory(url) ?? url);
}

/** Whether several processes have the store open at once. */
export function isShared(url: string): boolean {
  return url.startsWith(FDB_URL_PREFIX);
}

/**
 * The absolute path of a store that is a directory, undefined for one that is not.
 * @throws INVALID_ARGUMENT when a sqlite: URL names no path
 */
export function storeDirectory(url: string): string | undefined {
  if (!url.startsWith(SQLITE_PREFIX)) return undefined;
  const path = url.slice(SQLITE_PREFIX.length);
  if (path === '') throw new MvfuseError('INVALID_ARGUMENT', 'a sqlite: URL needs a path: sqlite:<directory>');
  return resolve(path);
}
