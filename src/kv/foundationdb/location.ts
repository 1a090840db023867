// Where a FoundationDB store is: fdb:<cluster file>?prefix=<name>, and the files that TLS needs.

import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { MvfuseError } from '../../errors.js';

/** The client's own names for them. */
export interface TlsFiles {
  readonly TLS_cert_path?: string;
  readonly TLS_key_path?: string;
  readonly TLS_ca_path?: string;
}

export interface StoreLocation {
  /** Absolute. */
  readonly clusterFile: string;
  /** Keeps this store's keys apart from all others in the cluster. */
  readonly prefix: string;
  readonly tls: TlsFiles;
}

export const FDB_URL_PREFIX = 'fdb:';

const DEFAULT_CLUSTER_FILE = '/etc/foundationdb/fdb.cluster';
const DEFAULT_PREFIX = 'mvfuse';
/** It is part of every key, three times in each commit of a page (limits.ts, COMMIT_PAGE_BYTES). */
const PREFIX_BYTES_MAX = 60;
const PARAMETERS = ['prefix', 'tls-certificate', 'tls-key', 'tls-ca'];

/**
 * `fdb:[<cluster file>][?prefix=<name>&tls-certificate=<file>&tls-key=<file>&tls-ca=<file>]`; without a file
 * FDB_CLUSTER_FILE, and without that the one that FoundationDB's packages install.
 * @throws INVALID_ARGUMENT
 */
export function parseLocation(url: string, environment: NodeJS.ProcessEnv = process.env): StoreLocation {
  const [path, ...queries] = url.slice(FDB_URL_PREFIX.length).split('?');
  const parameters = new URLSearchParams(queries.join('?'));
  for (const name of parameters.keys()) {
    if (!PARAMETERS.includes(name))
      throw new MvfuseError('INVALID_ARGUMENT', `"${name}" is no parameter of a fdb: URL: ${PARAMETERS.join(', ')}`);
  }
  const clusterFile = resolve(path || environment.FDB_CLUSTER_FILE || DEFAULT_CLUSTER_FILE);
  if (!existsSync(clusterFile)) {
    throw new MvfuseError(
      'INVALID_ARGUMENT',
      `there is no cluster file ${clusterFile}: name it as fdb:<path of fdb.cluster>, copied from a host of the cluster`,
    );
  }
  const prefix = parameters.get('prefix') ?? DEFAULT_PREFIX;
  const bytes = Buffer.byteLength(prefix);
  if (bytes < 1 || bytes > PREFIX_BYTES_MAX)
    throw new MvfuseError(
      'INVALID_ARGUMENT',
      `the prefix of a fdb: URL has 1 to ${PREFIX_BYTES_MAX} bytes, not ${bytes}`,
    );
  return { clusterFile, prefix, tls: tlsFiles(parameters) };
}

/** The cluster, whichever of its files names it and whoever its coordinators are, and the prefix in it. */
export function identityOf({ clusterFile, prefix }: StoreLocation): string {
  const lines = readFileSync(clusterFile, 'utf8').split('\n');
  const connection = lines.map((line) => line.trim()).find((line) => line !== '' && !line.startsWith('#'));
  return `fdb:${connection?.split('@')[0] ?? clusterFile}?prefix=${prefix}`;
}

function tlsFiles(parameters: URLSearchParams): TlsFiles {
  const file = (name: string): string | undefined => {
    const path = parameters.get(name);
    if (path === null) return undefined;
    if (!existsSync(path)) throw new MvfuseError('INVALID_ARGUMENT', `${name}: there is no file ${path}`);
    return resolve(path);
  };
  return {
    ...{ TLS_cert_path: file('tls-certificate') },
    ...{ TLS_key_path: file('tls-key') },
    ...{ TLS_ca_path: file('tls-ca') },
  } as TlsFiles;
}
