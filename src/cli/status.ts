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
import { jsonOption, storeOption } from './options.js';
import { isoTime, print, printJson } from './output.js';
import { withService } from './store-access.js';

export function statusCommand(): Command {
  return new Command('status')
    .description('show mounts, connections, who holds write locks, and the size of store and cache')
    .addOption(storeOption())
    .addOption(jsonOption())
    .addHelpText('after', '\nExamples:\n  $ mvfuse status\n  $ mvfuse status --json')
    .action(async (options: { store: string; json?: boolean }) => {
      const status = await withService(options.store, (service) => service.status());
      if (options.json) printJson(status);
      else print(describe(options.store, status).join('\n'));
    });
}

function describe(url: string, status: Status): string[] {
  const { daemon, mounts, storeBytes, namespaces, retention, cache, hosts, cluster } = status;
  const size = storeBytes === undefined ? '' : `, ${megabytes(storeBytes)}`;
  const lines = [`store    ${url}: ${namespaces} namespaces${size}`];
  if (cluster !== undefined) lines.push(...describeCluster(cluster));
  const kept = retention.namespaces.filter(({ truncatedBefore }) => truncatedBefore !== ZERO_VERSION).map(describeKept);
  // Daemons on a shared store are told by their leases; their mounts are their own affair.
  if (hosts !== undefined) return [...lines, ...kept, ...hosts.filter(({ self }) => !self).map(describeHost)];
  if (daemon === undefined) return [...lines, ...kept, 'daemon   none runs'];
  const { pid, uptimeMs, residentBytes } = daemon;
  lines.push(`daemon   process ${pid}, up ${Math.round(uptimeMs / 1000)} s, ${megabytes(residentBytes)} resident`);
  lines.push(`cache    ${cache.pages} pages, ${megabytes(cache.bytes)} of ${megabytes(cache.bytesMax)} (--cache-size)`);
  lines.push(describeRemoval(retention), ...kept);
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
