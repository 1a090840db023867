// SQLite's tests move the lock bytes from 1 GiB to 64 KiB into the file, to reach the page that holds them with small
// files. `node --import` of this module moves them in the daemon, too: src/sqlite/lock-bytes.ts is the only place that
// knows where they are.

import { type LoadHook, register } from 'node:module';
import { isMainThread } from 'node:worker_threads';
import { LOCK_BYTES_USUAL, LOCK_BYTES_VARIABLE } from './lock-bytes-of-tests.js';

const MOVED = Number(process.env[LOCK_BYTES_VARIABLE] ?? LOCK_BYTES_USUAL);
const USUAL = '0x4000_0000';

export const load: LoadHook = async (url, context, nextLoad) => {
  const loaded = await nextLoad(url, context);
  if (!url.endsWith('/src/sqlite/lock-bytes.js')) return loaded;
  const source = String(loaded.source);
  if (!source.includes(USUAL)) throw new Error(`${url} has no ${USUAL} to move`);
  return { ...loaded, source: source.replace(USUAL, String(MOVED)) };
};

if (isMainThread) register(import.meta.url);
