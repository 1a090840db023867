// mvfuse [mount]: mounts namespaces as files and serves them in the foreground until it is unmounted or told to stop.

import { Command, Option } from 'commander';
import type { AccessSecrets } from '../access-proof.js';
import { forkNamespace } from '../admin/fork.js';
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
import { isMvfuseError } from '../errors.js';
import type { MountDirectory, MountEntry } from '../fuse/mount.js';
import { isShared, storeDirectory } from '../kv/open.js';
import { createLogger } from '../logger.js';
import { proofInName } from '../store/namespace-name.js';
import type { PageStore } from '../store/page-store.js';
import type { NamespaceInfo } from '../store/types.js';
import { type AccessOptions, accessOf, accessOptions } from './access-options.js';
import { presentSecrets, secretFileOption } from './access-secrets.js';
import { tellStarter } from './background.js';
import { type ApiOptions, apiOptions, apiToken, loadMetrics, type Served, startApi } from './daemon-api.js';
import { type LimitOptions, limitOptions } from './limit-options.js';
import { prepareMountpoint } from './mountpoint.js';
import { storeOption, switchOption } from './options.js';
import { ServiceManager } from './service-manager.js';
import { openStore } from './store-access.js';

interface Options extends LimitOptions, ApiOptions, AccessOptions {
  readonly mountpoint: string;
  readonly namespaces: string;
  readonly store: string;
  readonly create: boolean;
  readonly accessSecretFile?: readonly string[];
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
      new Option(
        '--namespaces <list>',
        'file=namespace[@version],… : what to show, under which names; * is a directory of all namespaces, in which files can be made, renamed and removed, *=prefix* one of those whose names begin so',
      )
        .env('MVFUSE_NAMESPACES')
        .makeOptionMandatory(),
    )
    .addOption(storeOption())
    .addOption(switchOption('--no-create', 'fail when a namespace does not exist yet', 'MVFUSE_NO_CREATE'))
    .addOption(secretFileOption())
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
        "  $ mvfuse --mountpoint ./dbs --namespaces '*'\n" +
        "  $ mvfuse --mountpoint ./dbs --namespaces '*=app/*'\n" +
        '  $ mvfuse --mountpoint ./dbs --namespaces mydb=test,old=test@<version> --read-only\n' +
        '  $ fusermount -u ./dbs',
    )
    .action(runMount);
  for (const option of [...accessOptions(), ...apiOptions(), ...limitOptions()]) command.addOption(option);
  return command;
}

async function runMount(options: Options): Promise<void> {
  const log = createLogger(options.logLevel, options.logFormat);
  const { files: mappings, prefix } = parseNamespaces(options.namespaces);
  const secrets = await presentSecrets(options.accessSecretFile, (message) => log.warn(message));
  const token = apiToken(options);
  const directory = storeDirectory(options.store);
  const mountpoint = resolveMountpoint(options.mountpoint, directory);
  await prepareMountpoint(mountpoint, log);
  const metrics = await loadMetrics();
  const store = await openStore(options.store, {
    cacheBytesMax: options.cacheSize,
    leaseMs: options.leaseTime,
    leaseReads: options.leaseReads,
    observer: metrics.storeObserver,
  });
  try {
    const served: Served = { log, store, mountpoint, mappings, prefix, directory, mounts: [], metrics };
    const api = await startApi(options, token, served);
    try {
      await serve(options, secrets, served);
    } finally {
      await api.close();
    }
  } finally {
    await store.close();
  }
}

async function serve(options: Options, secrets: AccessSecrets, served: Served): Promise<void> {
  const { log, store, mountpoint, mappings, prefix, directory, mounts, metrics } = served;
  // Everything else a command does works without the addon, so it is loaded here.
  const { mountFiles } = await import('../fuse/mount.js');
  const { sendDatagram } = await import('../native/binding.js');
  const manager = ServiceManager.of(process.env, sendDatagram, log);
  const access = accessOf(options);
  // Nothing is created before all of them may be mounted.
  for (const mapping of mappings) await findNamespace(store, mapping, secrets);
  const entries: MountEntry[] = [];
  const create = options.create && !options.readOnly;
  for (const mapping of mappings) entries.push(await entryOf(store, mapping, secrets, create));
  const mount = await mountFiles({
    mountpoint,
    source: options.source,
    entries,
    ...(prefix === undefined ? {} : { directory: directoryOf(prefix, store, secrets) }),
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
    observer: metrics.mountObserver,
    named: (id, name) => metrics.nameNamespace(id, name),
  });
  mounts.push(mount);
  const stop = (signal: NodeJS.Signals): void => {
    log.info({ signal }, 'stopping');
    void manager?.stopping();
    mount.close().catch((error: unknown) => log.error({ err: error }, 'the mount could not be taken away'));
  };
  process.once('SIGINT', stop);
  process.once('SIGTERM', stop);
  if (options.readOnly !== true) {
    const failed = (error: unknown): void =>
      log.warn({ err: error }, 'versions that are not kept could not be removed');
    store.retention.start(options.retentionPeriod, failed);
  }
  const files = mappings.map((mapping) => mapping.fileName);
  log.info({ mountpoint, store: options.store, files, ...(prefix === undefined ? {} : { prefix }) }, 'mounted');
  await tellStarter({ kind: 'mounted' });
  await manager?.ready(`Mounted on ${mountpoint}`);
  manager?.watch(() => storeAnswers(options.store, store, mappings[0]?.namespace ?? 'any'));
  try {
    await mount.ended;
  } finally {
    mounts.splice(mounts.indexOf(mount), 1);
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

async function entryOf(
  store: PageStore,
  mapping: NamespaceMapping,
  secrets: AccessSecrets,
  create: boolean,
): Promise<MountEntry> {
  const namespace =
    (await findNamespace(store, mapping, secrets)) ?? (await createNamespace(store, mapping, secrets, create));
  const entry = { name: mapping.fileName, namespace: namespace.id, namespaceName: namespace.name };
  if (mapping.owner !== undefined) return { ...entry, owner: mapping.owner };
  if (mapping.moment === undefined) return entry;
  const { version } = await store.resolve(namespace.id, mapping.moment);
  // Kept as long as the store is open here.
  return { ...entry, pinned: (await store.openVersion(namespace.id, version)).head };
}

function directoryOf(prefix: string, store: PageStore, secrets: AccessSecrets): MountDirectory {
  return {
    prefix,
    admits: (info) => admits(store, info, secrets),
    fork: (source, version, name) => forkNamespace(store, { source, version, name }),
  };
}

/** Whether a secret that was presented lets the namespace be shown, where one is needed. */
async function admits(store: PageStore, info: NamespaceInfo, secrets: AccessSecrets): Promise<boolean> {
  if (!info.isProtected) return true;
  try {
    secrets.require(info.name, await store.accessProof(info.id));
    return true;
  } catch (error) {
    if (!isMvfuseError(error, 'ACCESS_DENIED')) throw error;
    return false;
  }
}

/**
 * Undefined when there is none. Without the secret nobody learns whether there is one of a name that carries a proof.
 * @throws ACCESS_DENIED
 */
async function findNamespace(
  store: PageStore,
  { namespace: name }: NamespaceMapping,
  secrets: AccessSecrets,
): Promise<NamespaceInfo | undefined> {
  try {
    const namespace = await store.statNamespace(name);
    secrets.require(name, await store.accessProof(namespace.id));
    return namespace;
  } catch (error) {
    if (!isMvfuseError(error, 'NOT_FOUND')) throw error;
    secrets.require(name, proofInName(name));
    return undefined;
  }
}

/** Another host may create it in the same moment. @throws NOT_FOUND where it may not be created */
async function createNamespace(
  store: PageStore,
  mapping: NamespaceMapping,
  secrets: AccessSecrets,
  create: boolean,
): Promise<NamespaceInfo> {
  if (!create || mapping.moment !== undefined) return store.statNamespace(mapping.namespace);
  try {
    return await store.createNamespace(mapping.namespace);
  } catch (error) {
    if (!isMvfuseError(error, 'ALREADY_EXISTS')) throw error;
    const namespace = await findNamespace(store, mapping, secrets);
    if (namespace === undefined) throw error;
    return namespace;
  }
}
