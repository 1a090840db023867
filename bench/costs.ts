// What a transaction costs besides time, counted and not measured: requests of the kernel, pages and bytes of its
// commit, bytes by which the store has grown. Every request is one call into JavaScript while one client is at work.

import { rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { withService } from '../src/cli/store-access.js';
import { DATA_FILE } from '../src/kv/sqlite/data-file.js';
import { Client } from '../test/support/client.js';
import { FaultMount } from '../test/support/mounted.js';

const TRANSACTIONS = 200;
const LOG_ENTRIES_MAX = 10_000;

export interface Cost {
  readonly what: string;
  readonly requests: number;
  /** Undefined for what commits nothing. */
  readonly commit: { readonly pages: number; readonly bytes: number; readonly storeBytes: number } | undefined;
}

const INSERT = "INSERT INTO t(b) VALUES('x')";
const SETUP = ['CREATE TABLE IF NOT EXISTS t(a INTEGER PRIMARY KEY, b TEXT)', INSERT];
const MODES = ['DELETE', 'TRUNCATE', 'PERSIST', 'MEMORY', 'OFF', 'WAL'];

/** Each for one transaction, as the mean of TRANSACTIONS on a warm connection. */
export async function countCosts(): Promise<Cost[]> {
  const costs: Cost[] = [];
  for (const mode of MODES) costs.push(await countCost(`autocommit INSERT, ${mode}, FULL`, mode, [INSERT]));
  const hundred = ['BEGIN', ...Array.from({ length: 100 }, () => INSERT), 'COMMIT'];
  costs.push(await countCost('transaction of 100 INSERTs, DELETE, FULL', 'DELETE', hundred));
  costs.push(await countCost('SELECT of one row', 'DELETE', ['SELECT b FROM t WHERE a = 1']));
  return costs;
}

async function countCost(what: string, mode: string, statements: readonly string[]): Promise<Cost> {
  const warmUp = [`PRAGMA journal_mode=${mode}`, 'PRAGMA synchronous=FULL', ...SETUP, ...statements];
  const before = await FaultMount.startFaulty();
  const { base } = before;
  try {
    await runOn(before, warmUp, []);
    // The store's file is whole once the daemon has ended.
    const storeBefore = storeBytes(base);
    const mount = await FaultMount.startFaulty({ base });
    const { requests, commits } = await runOn(mount, warmUp, statements);
    if (commits.length === 0) return { what, requests, commit: undefined };
    const pages = commits.reduce((sum, entry) => sum + entry.pageCount, 0) / commits.length;
    const bytes = commits.reduce((sum, entry) => sum + entry.bytes, 0) / commits.length;
    return {
      what,
      requests,
      commit: { pages, bytes, storeBytes: (storeBytes(base) - storeBefore) / commits.length },
    };
  } finally {
    rmSync(base, { recursive: true, force: true });
  }
}

/** Requests of one transaction, and the commits of all. */
async function runOn(mount: FaultMount, warmUp: readonly string[], statements: readonly string[]) {
  const client = new Client();
  const log = () => withService(mount.storeUrl, (service) => service.log('test', { limit: LOG_ENTRIES_MAX }));
  try {
    await client.open(mount.path());
    for (const sql of warmUp) await client.exec(sql);
    const known = (await log()).length;
    await mount.startTrace();
    for (let done = 0; done < TRANSACTIONS; done += 1) for (const sql of statements) await client.exec(sql);
    const requests = (await mount.stopTrace()).length / TRANSACTIONS;
    const entries = await log();
    return { requests, commits: entries.slice(0, entries.length - known) };
  } finally {
    await client.kill();
    await mount.remove({ keepFiles: true });
  }
}

function storeBytes(base: string): number {
  return statSync(join(base, 'store', DATA_FILE)).size;
}
