// The npm package `foundationdb` as far as the engine uses it: loaded when it is needed, its errors given names.
//
// It needs FoundationDB's own client library (libfdb_c) and is an optional dependency, so its types are stated here
// too. It may be used from one thread only.

import { MvfuseError } from '../../errors.js';
import type { StoreLocation, TlsFiles } from './location.js';

/** Keys, values and versions are raw bytes; a read version has 8 of them, a versionstamp 10. */
export interface ClientReads {
  get(key: Buffer): Promise<Buffer | undefined>;
  getRangeAll(begin: Buffer, end: Buffer, options: { limit?: number; reverse?: boolean }): Promise<[Buffer, Buffer][]>;
}

export interface ClientTransaction extends ClientReads {
  snapshot(): ClientReads;
  set(key: Buffer, value: Buffer): void;
  clear(key: Buffer): void;
  clearRange(begin: Buffer, end: Buffer): void;
  /** The key, then the offset of the 10 bytes in it as 4 bytes, little-endian. */
  setVersionstampedKeyRaw(keyAndOffset: Buffer, value: Buffer): void;
  setVersionstampedValueRaw(key: Buffer, valueAndOffset: Buffer): void;
  addReadConflictKey(key: Buffer): void;
  setReadVersion(version: Buffer): void;
  getReadVersion(): Promise<Buffer>;
  /** To be called before the commit; settles with it. */
  getVersionstamp(): { readonly promise: Promise<Buffer> };
  watch(key: Buffer): { readonly promise: Promise<boolean>; cancel(): void };
  rawCommit(): Promise<void>;
}

export interface ClientDatabase {
  rawCreateTransaction(options: { timeout: number }): ClientTransaction;
  close(): void;
}

interface ClientModule {
  setAPIVersion(version: number): void;
  configNetwork(options: Record<string, string>): void;
  open(clusterFile: string): ClientDatabase;
}

/** The newest first: an older client library knows only the older ones. */
const API_VERSIONS = [720, 710] as const;

/** The client's error codes that mean more than "it failed" (FoundationDB, "Error Codes"). */
export const ClientError = {
  TIMED_OUT: 1004,
  TRANSACTION_TOO_OLD: 1007,
  FUTURE_VERSION: 1009,
  NOT_COMMITTED: 1020,
  COMMIT_UNKNOWN_RESULT: 1021,
  TRANSACTION_CANCELLED: 1025,
  TRANSACTION_TIMED_OUT: 1031,
  PROCESS_BEHIND: 1037,
  DATABASE_LOCKED: 1038,
  CLUSTER_VERSION_CHANGED: 1039,
  ACCESSED_UNREADABLE: 1036,
  PROXY_MEMORY_LIMIT_EXCEEDED: 1042,
  BATCH_TRANSACTION_THROTTLED: 1051,
  GRV_PROXY_MEMORY_LIMIT_EXCEEDED: 1078,
  TAG_THROTTLED: 1213,
  PROXY_TAG_THROTTLED: 1223,
  TRANSACTION_TOO_LARGE: 2101,
  API_VERSION_NOT_SUPPORTED: 2203,
} as const;

/** Errors after which the same transaction may succeed on a fresh state, and which surely committed nothing. */
const RETRYABLE: readonly number[] = [
  ClientError.TRANSACTION_TOO_OLD,
  ClientError.FUTURE_VERSION,
  ClientError.PROCESS_BEHIND,
  ClientError.DATABASE_LOCKED,
  ClientError.PROXY_MEMORY_LIMIT_EXCEEDED,
  ClientError.BATCH_TRANSACTION_THROTTLED,
  ClientError.GRV_PROXY_MEMORY_LIMIT_EXCEEDED,
  ClientError.TAG_THROTTLED,
  ClientError.PROXY_TAG_THROTTLED,
];

/** Answers to a commit that leave open whether it happened. */
const INDETERMINATE: readonly number[] = [
  ClientError.TIMED_OUT,
  ClientError.COMMIT_UNKNOWN_RESULT,
  ClientError.TRANSACTION_CANCELLED,
  ClientError.TRANSACTION_TIMED_OUT,
  ClientError.CLUSTER_VERSION_CHANGED,
];

/** The code of an error that the client threw; undefined for any other. */
export function clientErrorCode(error: unknown): number | undefined {
  const code = (error as { code?: unknown } | undefined)?.code;
  return error instanceof Error && typeof code === 'number' ? code : undefined;
}

export function isRetryable(code: number): boolean {
  return RETRYABLE.includes(code) || code === ClientError.CLUSTER_VERSION_CHANGED;
}

export function isIndeterminate(code: number): boolean {
  return INDETERMINATE.includes(code);
}

/** Transactions in use: one that JavaScript forgets is cancelled, whatever it is waiting for. */
const inUse = new Set<ClientTransaction>();

/** Runs `work` on a new transaction, which is kept until it has settled. */
export async function onTransaction<T>(
  database: ClientDatabase,
  timeoutMs: number,
  work: (transaction: ClientTransaction) => Promise<T>,
): Promise<T> {
  const transaction = database.rawCreateTransaction({ timeout: timeoutMs });
  inUse.add(transaction);
  try {
    return await work(transaction);
  } finally {
    inUse.delete(transaction);
  }
}

let loaded: { readonly client: ClientModule; readonly tls: string } | undefined;

/** @throws STORE_FAILED saying what is missing, and how to get it */
export async function openDatabase(location: StoreLocation): Promise<ClientDatabase> {
  const client = await loadClient(location.tls);
  try {
    return client.open(location.clusterFile);
  } catch (cause) {
    throw new MvfuseError(
      'STORE_FAILED',
      `the cluster file ${location.clusterFile} cannot be used: ${(cause as Error).message}`,
      { cause },
    );
  }
}

/** The network is one for the whole process, and so are the TLS files. */
async function loadClient(tls: TlsFiles): Promise<ClientModule> {
  const wanted = JSON.stringify(tls);
  if (loaded !== undefined) {
    if (loaded.tls === wanted) return loaded.client;
    throw new MvfuseError('INVALID_ARGUMENT', 'all FoundationDB stores of one process use the same TLS files');
  }
  const client = await importClient();
  selectApiVersion(client);
  const options = Object.entries(tls).filter(([, path]) => path !== undefined);
  if (options.length > 0) client.configNetwork(Object.fromEntries(options));
  loaded = { client, tls: wanted };
  return client;
}

async function importClient(): Promise<ClientModule> {
  // A name that the compiler does not resolve: the package may be absent.
  const name: string = 'foundationdb';
  const { error: report } = console;
  try {
    // The package tells of a missing library on the console; the message below says it once.
    console.error = () => {};
    const module = (await import(name)) as { default?: ClientModule } & ClientModule;
    return module.default ?? module;
  } catch (cause) {
    throw new MvfuseError(
      'STORE_FAILED',
      `an fdb: store needs FoundationDB's client library and the npm package "foundationdb": install the package ` +
        `foundationdb-clients (libfdb_c.so), then run "npm install foundationdb" (${(cause as Error).message})`,
      { cause },
    );
  } finally {
    console.error = report;
  }
}

function selectApiVersion(client: ClientModule): void {
  for (const version of API_VERSIONS) {
    try {
      client.setAPIVersion(version);
      return;
    } catch (error) {
      if (clientErrorCode(error) !== ClientError.API_VERSION_NOT_SUPPORTED) throw error;
    }
  }
  throw new MvfuseError(
    'STORE_FAILED',
    `FoundationDB's client library (libfdb_c) is older than API version ${API_VERSIONS.at(-1)}: install 7.1 or newer`,
  );
}
