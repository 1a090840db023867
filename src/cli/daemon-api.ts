// The options of `mvfuse mount` that say where the daemon serves its API, and the serving.

import { Option } from 'commander';
import type { Logger } from 'pino';
import { parseTcpAddress, type TcpAddress } from '../admin/api/listener.js';
import type { ApiServer, ApiOptions as ServerOptions } from '../admin/api/server.js';
import { readToken } from '../admin/api/token.js';
import { daemonSocketPath, embeddedSocketPath, sweepSockets } from '../admin/socket-path.js';
import { isMvfuseError, MvfuseError } from '../errors.js';
import { storeDirectory, storeIdentity } from '../kv/open.js';
import { formatDuration, parseSpan } from '../moment.js';
import { checked, parsedOption } from './options.js';

export interface ApiOptions {
  readonly store: string;
  readonly admin?: TcpAddress;
  readonly adminTokenFile?: string;
  readonly adminSocket?: string;
  readonly truncateMinAge: number;
}

export function apiOptions(): Option[] {
  return [
    new Option('--admin <host:port>', 'serve the API on TCP, too; needs --admin-token-file')
      .env('MVFUSE_ADMIN')
      .argParser(checked(parseTcpAddress)),
    new Option('--admin-token-file <file>', 'holds the token that callers over TCP must present; mode 0600').env(
      'MVFUSE_ADMIN_TOKEN_FILE',
    ),
    new Option(
      '--admin-socket <path>',
      'the unix socket of the API (default: beside the store, or in $XDG_RUNTIME_DIR)',
    ).env('MVFUSE_ADMIN_SOCKET'),
    parsedOption(
      '--truncate-min-age <time>',
      'the API removes no versions that are younger, whoever asks; retention is not held to it',
      'MVFUSE_TRUNCATE_MIN_AGE',
      { parse: (text) => (text === '0' ? 0 : parseSpan(text)), default: 0, shown: formatDuration(0) },
    ),
  ];
}

/** The token for TCP; undefined where only the unix socket is served. @throws INVALID_ARGUMENT, NOT_FOUND */
export function apiToken({ admin, adminTokenFile }: ApiOptions): string | undefined {
  if (admin === undefined) return undefined;
  if (adminTokenFile !== undefined) return readToken(adminTokenFile);
  const message = '--admin needs --admin-token-file: what is served on TCP must not be open to everybody';
  throw new MvfuseError('INVALID_ARGUMENT', message);
}

/**
 * Serves until closed. A daemon whose store is elsewhere does without the unix socket where it cannot be made.
 * @throws what serveApi does
 */
export async function startApi(
  options: ApiOptions,
  token: string | undefined,
  server: ServerOptions,
): Promise<ApiServer> {
  const { serveApi } = await import('../admin/api/server.js');
  const { log } = server;
  const tcp = token === undefined ? undefined : { address: options.admin!, token };
  const api = await serveApi(server, { socket: await socketOf(options, log), tcp });
  log.info({ addresses: api.listeners.map(({ address }) => address) }, 'the API is served');
  return api;
}

async function socketOf(
  { store, adminSocket }: ApiOptions,
  log: Logger,
): Promise<{ path: string; alias?: string } | undefined> {
  const directory = storeDirectory(store);
  const beside = directory === undefined ? undefined : embeddedSocketPath(directory);
  // Commands on the store look for it there.
  if (adminSocket !== undefined) return { path: adminSocket, ...(beside === undefined ? {} : { alias: beside }) };
  if (beside !== undefined) return { path: beside };
  try {
    const path = daemonSocketPath(storeIdentity(store));
    await sweepSockets(path);
    return { path };
  } catch (error) {
    if (!isMvfuseError(error)) throw error;
    log.warn({ reason: error.message }, 'the API has no unix socket');
    return undefined;
  }
}
