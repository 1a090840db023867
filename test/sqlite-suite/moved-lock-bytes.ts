// SQLite's tests move the lock bytes from 1 GiB to 64 KiB into the file, to reach the page that holds them with small
// files. `node --import` of this module moves them in the daemon, too: src/sqlite/lock-bytes.ts is the only place that
// knows where they are.

import { type LoadHook, register } from 'node:module';
import { isMainThread } from 'node:worker_threads';

/** As in tester.tcl. */
const MOVED = '0x0001_0000';
const USUAL = '0x4000_0000';

export const load: LoadHook = async (url, context, nextLoad) => {
  const loaded = await nextLoad(url, context);
  if (!url.endsWith('/src/sqlite/lock-bytes.js')) return loaded;
  const source = String(loaded.source);
  if (!source.includes(USUAL)) throw new Error(`${url} has no ${USUAL} to move`);
  return { ...loaded, source: source.replace(USUAL, MOVED) };
};

if (isMainThread) register(import.meta.url);
