// mvfuse status: what the daemon, its mounts and the store are doing.

import { Command } from 'commander';
import type { ClusterStatus } from '../kv/engine.js';
import type {
  ConnectionStatus,
  FileStatus,
  KeptStatus,
  LimitsStatus,
  ProcessName,
  RetentionStatus,
  Status,
  Usage,
} from '../status.js';
import type { HostStatus } from '../store/hosts.js';
import { ZERO_VERSION } from '../version.js';
import { addServiceOptions, jsonOption, type ServiceOptions } from './options.js';
import { isoTime, print, printJson } from './output.js';
import { connectDaemons, withService } from './store-access.js';

/** A store that several processes share has any number of daemons, those of this machine and user among them. */
interface MachineStatus extends Status {
  readonly daemons: readonly DaemonStatus[];
}

type DaemonStatus = Pick<Status, 'daemon' | 'mounts' | 'cache'>;

export function statusCommand(): Command {
  return addServiceOptions(new Command('status'))
    .description('show mounts, connections, who holds write locks, and the size of store and cache')
    .addOption(jsonOption())
    .addHelpText('after', '\nExamples:\n  $ mvfuse status\n  $ mvfuse status --json')
    .action(async (options: ServiceOptions & { json?: boolean }) => {
      const status = await withService(options, (service) => service.status());
      const all: MachineStatus = { ...status, daemons: await daemonsStatus(options, status) };
      if (options.json) printJson(all);
      else print(describe(options.api ?? options.store, all).join('\n'));
    });
}

async function daemonsStatus(options: ServiceOptions, { daemon, mounts, cache }: Status): Promise<DaemonStatus[]> {
  if (daemon !== undefined) return [{ daemon, mounts, cache }];
  const daemons = await connectDaemons(options);
  const asked = await Promise.allSettled(daemons.map((service) => service.status().finally(() => service.close())));
  // One that ends meanwhile has nothing mounted.
  return asked.flatMap((answer) => {
    if (answer.status === 'rejected') return [];
    const { daemon, mounts, cache } = answer.value;
    return [{ daemon, mounts, cache }];
  });
}

function describe(url: string, status: MachineStatus): string[] {
  const { daemon, daemons, storeBytes, namespaces, hosts, cluster, retention } = status;
  const size = storeBytes === undefined ? '' : `, ${megabytes(storeBytes)}`;
  const lines = [`store    ${url}: ${namespaces} namespaces${size}`];
  if (cluster !== undefined) lines.push(...describeCluster(cluster));
  if (hosts !== undefined) lines.push(...hosts.filter(({ self }) => !self || daemon !== undefined).map(describeHost));
  else if (daemons.length === 0) lines.push('daemon   none runs');
  if (daemon !== undefined) lines.push(describeRemoval(retention));
  const kept = retention.namespaces.filter(({ truncatedBefore }) => truncatedBefore !== ZERO_VERSION);
  return [...lines, ...kept.map(describeKept), ...daemons.flatMap(describeDaemon)];
}

function describeDaemon({ daemon, mounts, cache }: DaemonStatus): string[] {
  const { pid, uptimeMs, residentBytes } = daemon!;
  const lines = [
    `daemon   process ${pid}, up ${Math.round(uptimeMs / 1000)} s, ${megabytes(residentBytes)} resident`,
    `cache    ${cache.pages} pages, ${megabytes(cache.bytes)} of ${megabytes(cache.bytesMax)} (--cache-size)`,
  ];
  for (const mount of mounts) {
    lines.push(`mount    ${mount.mountpoint}`, ...describeLimits(mount.limits), ...mount.files.flatMap(describeFile));
  }
  return lines;
}

function describeCluster(cluster: ClusterStatus): string[] {
  const { available, healthy, redundancy, processes, lossesTolerated, dataBytes, coordinators, messages } = cluster;
  const state = available ? (healthy ? 'available' : 'available, copies of data are missing') : 'NOT AVAILABLE';
  return [
    `cluster  ${state}: ${processes} processes, redundancy ${redundancy}, ${lossesTolerated} may be lost, ` +
      `${coordinators.reachable} of ${coordinators.count} coordinators, ${megabytes(dataBytes)}`,
    ...messages.map((message) => `  ${message}`),
  ];
}

function describeHost({ host, pid, leases, snapshots }: HostStatus): string {
  const writes = leases.length === 0 ? 'no write lease' : `write lease of ${leases.join(', ')}`;
  const reads = snapshots.map(({ namespace, version }) => `${namespace}@${version}`).join(', ');
  return `host     ${host} (process ${pid}): ${writes}${reads === '' ? '' : `; has open ${reads}`}`;
}

/** What is in use of each limit, and the option that sets it. */
function describeLimits(limits: LimitsStatus): string[] {
  const of = ({ now, max }: Usage, show: (value: number) => string = String): string => `${show(now)} of ${show(max)}`;
  return [
    `  ${of(limits.connections)} connections (--max-connections), ${of(limits.requests)} requests (--queue-length)`,
    `  ${of(limits.dirtyBytes, megabytes)} not committed (--dirty-limit), ` +
      `${of(limits.dirtyMemoryBytes, megabytes)} of it in memory (--dirty-memory)`,
    `  ${of(limits.waitingWriters)} writers waiting, each up to ${limits.writerWaitMs / 1000} s (--writer-wait)`,
  ];
}

/** What the daemon has removed so far. */
function describeRemoval({ lastRunMs, versions, bytes, failures, lastFailure }: RetentionStatus): string {
  const last = lastRunMs === undefined ? 'not run yet' : `last run ${isoTime(lastRunMs)}`;
  const failed = failures === 0 ? '' : `; FAILED ${failures} times: ${lastFailure}`;
  return `removal  ${last}, ${versions} versions removed (${megabytes(bytes)})${failed}`;
}

function describeKept({ name, truncatedBefore, keptFromMs, heldVersions }: KeptStatus): string {
  const from = keptFromMs === undefined ? truncatedBefore : `${truncatedBefore} of ${isoTime(keptFromMs)}`;
  const held = heldVersions === 0 ? '' : `, and ${heldVersions} older that something needs`;
  return `  ${name} is kept from ${from} on${held}`;
}

function describeFile({ name, namespace, head, connections, writer, lock }: FileStatus): string[] {
  const held = writer === undefined ? 'write lock free' : `write lock: ${processName(writer)} for ${writer.heldMs} ms`;
  const locked = lock === undefined ? '' : `, locked for maintenance by "${lock.owner}" since ${isoTime(lock.sinceMs)}`;
  const line = `  ${name} = ${namespace}@${head.version}, ${head.sizeBytes} bytes, ${held}${locked}`;
  return [line, ...connections.map(describeConnection)];
}

function describeConnection({ openers, phase, version, dirtyBytes }: ConnectionStatus): string {
  const at = version === undefined ? '' : ` at ${version}`;
  const dirty = dirtyBytes === 0 ? '' : `, ${dirtyBytes} bytes not committed`;
  return `    ${openers.map(processName).join(', ')}: ${phase}${at}${dirty}`;
}

function processName({ pid, command }: ProcessName): string {
  return pid === undefined ? 'mvfuse itself' : `${command ?? 'process'} (${pid})`;
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
