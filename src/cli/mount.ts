// mvfuse [mount]: mounts namespaces as files and serves them in the foreground until it is unmounted or told to stop.

import { Command, Option } from 'commander';
import type { Logger } from 'pino';
import { serveControl, socketPath } from '../admin/control-socket.js';
import { localService } from '../admin/store-service.js';
import {
  LOG_FORMATS,
  LOG_LEVELS,
  type LogFormat,
  type LogLevel,
  type NamespaceMapping,
  parseNamespaces,
  resolveMountpoint,
  spillDirectory,
} from '../config.js';
import { isMvfuseError, MvfuseError } from '../errors.js';
import type { Mount, MountEntry } from '../fuse/mount.js';
import { isShared, storeDirectory } from '../kv/open.js';
import { createLogger } from '../logger.js';
import type { MountStatus } from '../status.js';
import type { PageStore } from '../store/page-store.js';
import type { NamespaceInfo } from '../store/types.js';
import { type AccessOptions, accessOf, accessOptions } from './access-options.js';
import { tellStarter } from './background.js';
import { type LimitOptions, limitOptions } from './limit-options.js';
import { prepareMountpoint } from './mountpoint.js';
import { storeOption, switchOption } from './options.js';
import { ServiceManager } from './service-manager.js';
import { openStore } from './store-access.js';

interface Options extends LimitOptions, AccessOptions {
  readonly mountpoint: string;
  readonly namespaces: string;
  readonly store: string;
  readonly create: boolean;
  readonly readOnly?: boolean;
  readonly allowOther?: boolean;
  readonly kernelCache: boolean;
  readonly leaseReads: boolean;
  readonly source: string;
  readonly logLevel: LogLevel;
  readonly logFormat?: LogFormat;
}

export function mountCommand(): Command {
  const command = new Command('mount')
    .description('mount namespaces as files (the default command)')
    .addOption(
      new Option('--mountpoint <dir>', 'where to mount; made if it is missing')
        .env('MVFUSE_MOUNTPOINT')
        .makeOptionMandatory(),
    )
    .addOption(
      new Option('--namespaces <list>', 'file=namespace[@version],… : what to show, under which names')
        .env('MVFUSE_NAMESPACES')
        .makeOptionMandatory(),
    )
    .addOption(storeOption())
    .addOption(switchOption('--no-create', 'fail when a namespace does not exist yet', 'MVFUSE_NO_CREATE'))
    .addOption(switchOption('--read-only', 'refuse every write', 'MVFUSE_READ_ONLY'))
    .addOption(switchOption('--allow-other', 'let other users in, held to the file modes', 'MVFUSE_ALLOW_OTHER'))
    .addOption(
      switchOption(
        '--no-kernel-cache',
        'let the kernel keep no pages of live databases: slower reads, less memory',
        'MVFUSE_NO_KERNEL_CACHE',
      ),
    )
    .addOption(
      switchOption(
        '--no-lease-reads',
        'ask the cluster at each snapshot, even while this host holds the write lease: rests on no clock',
        'MVFUSE_NO_LEASE_READS',
      ),
    )
    .addOption(
      new Option('--log-level <level>', 'least level that is logged')
        .env('MVFUSE_LOG_LEVEL')
        .choices(LOG_LEVELS)
        .default('info'),
    )
    .addOption(
      new Option('--log-format <format>', 'of the log on standard error (default: pretty on a terminal)')
        .env('MVFUSE_LOG_FORMAT')
        .choices(LOG_FORMATS),
    )
    // What mount(8) was told, so that it knows the mount for that of its line in fstab.
    .addOption(new Option('--source <text>', 'shown as the source of the mount').default('mvfuse').hideHelp())
    .addHelpText(
      'after',
      '\nSizes are bytes, or end in K, M, G or T; times end in ms, s or m.\n\nExamples:\n  $ mvfuse --mountpoint ./dbs --namespaces mydb=test\n' +
        '  $ mvfuse --mountpoint ./dbs --namespaces mydb=test,old=test@<version> --read-only\n' +
        '  $ fusermount -u ./dbs',
    )
    .action(runMount);
  for (const option of [...accessOptions(), ...limitOptions()]) command.addOption(option);
  return command;
}

async function runMount(options: Options): Promise<void> {
  const log = createLogger(options.logLevel, options.logFormat);
  const mappings = parseNamespaces(options.namespaces);
  const directory = storeDirectory(options.store);
  const mountpoint = resolveMountpoint(options.mountpoint, directory);
  await prepareMountpoint(mountpoint, log);
  const store = await openStore(options.store, {
    cacheBytesMax: options.cacheSize,
    leaseMs: options.leaseTime,
    leaseReads: options.leaseReads,
  });
  try {
    const mounts: Mount[] = [];
    const status = (): Promise<MountStatus[]> => Promise.all(mounts.map((mount) => mount.status()));
    const service = localService(store, directory, { mounts: status, writerWaitMs: options.writerWait });
    const control = directory === undefined ? undefined : await serveControl(socketPath(directory), service);
    try {
      await serve(options, { log, store, mountpoint, mappings, directory, mounts });
    } finally {
      await control?.close();
    }
  } finally {
    await store.close();
  }
}

interface Served {
  readonly log: Logger;
  readonly store: PageStore;
  readonly mountpoint: string;
  readonly mappings: readonly NamespaceMapping[];
  readonly directory: string | undefined;
  /** The mount is put here when it is there. */
  readonly mounts: Mount[];
}

async function serve(options: Options, { log, store, mountpoint, mappings, directory, mounts }: Served): Promise<void> {
  // Everything else a command does works without the addon, so it is loaded here.
  const { mountFiles } = await import('../fuse/mount.js');
  const { sendDatagram } = await import('../native/binding.js');
  const manager = ServiceManager.of(process.env, sendDatagram, log);
  const entries: MountEntry[] = [];
  const access = accessOf(options);
  for (const mapping of mappings) entries.push(await entryOf(store, mapping, options.create && !options.readOnly));
  const mount = await mountFiles({
    mountpoint,
    source: options.source,
    entries,
    store,
    log,
    limits: {
      connectionsMax: options.maxConnections,
      queueLengthMax: options.queueLength,
      dirty: { memoryBytesMax: options.dirtyMemory, bytesMax: options.dirtyLimit, directory: spillDirectory() },
      writerWaitMs: options.writerWait,
    },
    readOnly: options.readOnly === true,
    allowOther: options.allowOther === true,
    ...(access === undefined ? {} : { access }),
    kernelCache: options.kernelCache,
    spaceDirectory: directory,
  });
  mounts.push(mount);
  const stop = (signal: NodeJS.Signals): void => {
    log.info({ signal }, 'stopping');
    void manager?.stopping();
    mount.close().catch((error: unknown) => log.error({ err: error }, 'the mount could not be taken away'));
  };
  process.once('SIGINT', stop);
  process.once('SIGTERM', stop);
  log.info({ mountpoint, store: options.store, files: mappings.map((mapping) => mapping.fileName) }, 'mounted');
  await tellStarter({ kind: 'mounted' });
  await manager?.ready(`Mounted on ${mountpoint}`);
  manager?.watch(() => storeAnswers(options.store, store, mappings[0]!.namespace));
  try {
    await mount.ended;
  } finally {
    await manager?.stopping();
  }
  log.info({ mountpoint }, 'unmounted');
}

/** Of a cluster nothing is asked: while it is away, a restart of this process would only add to the trouble. */
async function storeAnswers(url: string, store: PageStore, namespace: string): Promise<void> {
  if (isShared(url)) return;
  try {
    await store.statNamespace(namespace);
  } catch (error) {
    // That is an answer.
    if (!isMvfuseError(error, 'NOT_FOUND')) throw error;
  }
}

async function entryOf(store: PageStore, mapping: NamespaceMapping, create: boolean): Promise<MountEntry> {
  const namespace = await findNamespace(store, mapping, create);
  const entry = { name: mapping.fileName, namespace: namespace.id, namespaceName: namespace.name };
  if (mapping.version === undefined) return entry;
  const pinned = await store.headAt(namespace.id, mapping.version);
  if (pinned === undefined) {
    throw new MvfuseError('NOT_FOUND', `namespace "${namespace.name}" has no version ${mapping.version}`);
  }
  return { ...entry, pinned };
}

async function findNamespace(store: PageStore, mapping: NamespaceMapping, create: boolean): Promise<NamespaceInfo> {
  try {
    return await store.statNamespace(mapping.namespace);
  } catch (error) {
    if (!create || mapping.version !== undefined || !isMvfuseError(error, 'NOT_FOUND')) throw error;
    return createNamespace(store, mapping.namespace);
  }
}

/** Another host may create it in the same moment. */
async function createNamespace(store: PageStore, name: string): Promise<NamespaceInfo> {
  try {
    return await store.createNamespace(name);
  } catch (error) {
    if (!isMvfuseError(error, 'ALREADY_EXISTS')) throw error;
    return store.statNamespace(name);
  }
}
