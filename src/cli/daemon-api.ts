// The options of `mvfuse mount` that say where the daemon serves its API, and the serving.

import { Option } from 'commander';
import type { Logger } from 'pino';
import type { Figures } from '../admin/api/figures.js';
import { createHealth, type MountState } from '../admin/api/health.js';
import { parseTcpAddress, type TcpAddress } from '../admin/api/listener.js';
import type { Metrics } from '../admin/api/metrics.js';
import type { ApiServer } from '../admin/api/server.js';
import { readToken } from '../admin/api/token.js';
import { daemonSocketPath, embeddedSocketPath, sweepSockets } from '../admin/socket-path.js';
import { localService } from '../admin/store-service.js';
import type { NamespaceMapping } from '../config.js';
import { isMvfuseError, MvfuseError } from '../errors.js';
import type { Mount } from '../fuse/mount.js';
import { storeDirectory, storeIdentity } from '../kv/open.js';
import { formatDuration, parseSpan } from '../moment.js';
import type { MountStatus } from '../status.js';
import type { PageStore } from '../store/page-store.js';
import { isMountedOn } from './mountpoint.js';
import { checked, parsedOption } from './options.js';
import { packageVersion } from './package-version.js';

export interface ApiOptions {
  readonly store: string;
  readonly admin?: TcpAddress;
  readonly adminTokenFile?: string;
  readonly adminSocket?: string;
  readonly truncateMinAge: number;
}

/** What matters to the API of the other options of a mount. */
interface MountOptions extends ApiOptions {
  readonly readOnly?: boolean;
  readonly writerWait: number;
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

/** What a daemon serves, and what its API tells of. */
export interface Served {
  readonly log: Logger;
  readonly store: PageStore;
  /** Of an embedded store. */
  readonly directory: string | undefined;
  readonly mountpoint: string;
  readonly mappings: readonly NamespaceMapping[];
  /** Where all namespaces are mounted whose names begin with it. */
  readonly prefix: string | undefined;
  /** The mount is put here when it is there. */
  readonly mounts: Mount[];
  readonly metrics: Metrics;
}

/** Only a daemon loads what counts, and what serves. */
export async function loadMetrics(): Promise<Metrics> {
  const { createMetrics } = await import('../admin/api/metrics.js');
  return createMetrics(packageVersion());
}

/**
 * Serves until closed. A daemon whose store is elsewhere does without the unix socket where it cannot be made.
 * @throws what serveApi does
 */
export async function startApi(options: MountOptions, token: string | undefined, served: Served): Promise<ApiServer> {
  const { serveApi } = await import('../admin/api/server.js');
  const { log, store, directory, mounts, metrics } = served;
  const status = (): Promise<MountStatus[]> => Promise.all(mounts.map((mount) => mount.status()));
  const service = localService(store, directory, { mounts: status, writerWaitMs: options.writerWait });
  const state = { mounts: () => [mountState(options, served)], lease: () => store.signOfLife };
  metrics.addFigures(figuresOf(served));
  metrics.addKept(service, () => mountState(options, served).namespaces.map(({ name }) => name));
  const tcp = token === undefined ? undefined : { address: options.admin!, token };
  const api = await serveApi(
    {
      service,
      health: createHealth(service, state),
      metrics,
      log,
      release: packageVersion(),
      truncateMinAgeMs: options.truncateMinAge,
    },
    { socket: await socketOf(options, log), tcp },
  );
  log.info({ addresses: api.listeners.map(({ address }) => address) }, 'the API is served');
  return api;
}

/** What is mounted is read here of the kernel's list: this process must not touch it. */
function mountState({ readOnly = false }: MountOptions, { mountpoint, mappings, prefix, mounts }: Served): MountState {
  const problem = (): string | undefined => {
    if (mounts.length === 0) return 'it is not mounted yet, or not any more';
    return isMountedOn(mountpoint) ? undefined : 'it was unmounted; programs that have files open still use it';
  };
  const live = mappings.filter(({ moment }) => moment === undefined);
  const namespaces = live.map(({ namespace: name }) => ({ name, writable: !readOnly }));
  const state = { mountpoint, problem: problem(), namespaces };
  return prefix === undefined ? state : { ...state, prefix: { text: prefix, writable: !readOnly } };
}

function figuresOf({ store, mounts }: Served): Figures {
  return {
    cache: () => store.cacheUsage,
    pages: () => store.pageCounts,
    roundTrips: () => store.roundTrips && { ...store.roundTrips },
    leases: () => store.leaseCount,
    lease: () => store.signOfLife,
    limits: () => mounts.map((mount) => mount.usage()),
    retention: () => store.retention.figures,
  };
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
