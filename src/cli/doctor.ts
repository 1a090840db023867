// mvfuse doctor: whether this machine, this user and this store can do what a mount needs, each finding with the way out.

import { accessSync, constants, existsSync, readFileSync } from 'node:fs';
import { release } from 'node:os';
import { Command } from 'commander';
import { MvfuseError } from '../errors.js';
import type { ClusterStatus } from '../kv/engine.js';
import { addServiceOptions, jsonOption, type ServiceOptions } from './options.js';
import { print, printJson, table } from './output.js';
import { withService } from './store-access.js';

interface Finding {
  readonly subject: string;
  readonly ok: boolean;
  readonly detail: string;
  /** What to do about it. */
  readonly remedy?: string;
}

/** FUSE protocol 7.28 came with it: the least that the addon speaks. */
const LINUX_MIN = [4, 20] as const;

export function doctorCommand(): Command {
  const command = new Command('doctor').description(
    'check kernel, /dev/fuse, fusermount3, permissions, addon and store',
  );
  return addServiceOptions(command)
    .addOption(jsonOption())
    .addHelpText('after', '\nEnds with status 10 when a mount cannot work here.')
    .action(async (options: ServiceOptions & { json?: boolean }) => {
      const findings = [kernel(), device(), helper(), allowOther(), await addon(), ...(await store(options))];
      if (options.json) printJson(findings);
      else print(describe(findings));
      const failed = findings.filter((finding) => !finding.ok);
      if (failed.length > 0) {
        throw new MvfuseError('MOUNT_FAILED', `not in order: ${failed.map(({ subject }) => subject).join(', ')}`);
      }
    });
}

function describe(findings: readonly Finding[]): string {
  const rows = findings.map(({ subject, ok, detail, remedy }) => [
    ok ? 'ok' : 'FAILED',
    subject,
    remedy === undefined ? detail : `${detail}: ${remedy}`,
  ]);
  return table(['', 'SUBJECT', 'FINDING'], rows, []);
}

function kernel(): Finding {
  const [major = 0, minor = 0] = release().split('.').map(Number);
  const [least, leastMinor] = LINUX_MIN;
  const ok = major > least || (major === least && minor >= leastMinor);
  const remedy = `Linux ${least}.${leastMinor} or later is needed`;
  return { subject: 'kernel', ok, detail: `Linux ${release()}`, ...(ok ? {} : { remedy }) };
}

function device(): Finding {
  const subject = '/dev/fuse';
  if (!existsSync(subject)) {
    const remedy = 'modprobe fuse, or give the container the device (--device /dev/fuse --cap-add SYS_ADMIN)';
    return { subject, ok: false, detail: 'is missing', remedy };
  }
  try {
    accessSync(subject, constants.R_OK | constants.W_OK);
    return { subject, ok: true, detail: 'can be opened' };
  } catch {
    return {
      subject,
      ok: false,
      detail: 'may not be opened by this user',
      remedy: 'chmod 666 /dev/fuse, or run as root',
    };
  }
}

/** Root mounts by itself. */
function helper(): Finding {
  const subject = 'fusermount3';
  const found = (process.env.PATH ?? '').split(':').some((directory) => existsSync(`${directory}/${subject}`));
  if (found) return { subject, ok: true, detail: 'is installed' };
  if (process.getuid?.() === 0) return { subject, ok: true, detail: 'is missing; root does without it' };
  return { subject, ok: false, detail: 'is missing', remedy: 'apt-get install fuse3' };
}

function allowOther(): Finding {
  const subject = '--allow-other';
  if (process.getuid?.() === 0) return { subject, ok: true, detail: 'is allowed: root' };
  const allowed =
    existsSync('/etc/fuse.conf') && /^\s*user_allow_other\s*(#.*)?$/m.test(readFileSync('/etc/fuse.conf', 'utf8'));
  const detail = allowed ? 'is allowed by /etc/fuse.conf' : 'is not for this user (user_allow_other in /etc/fuse.conf)';
  return { subject, ok: true, detail };
}

async function addon(): Promise<Finding> {
  try {
    await import('../native/binding.js');
    return { subject: 'native addon', ok: true, detail: 'is built' };
  } catch (error) {
    return { subject: 'native addon', ok: false, detail: (error as Error).message, remedy: 'npm run setup' };
  }
}

async function store(options: ServiceOptions): Promise<Finding[]> {
  const url = options.api ?? options.store;
  try {
    const { namespaces, daemon, hosts, cluster } = await withService(options, (service) => service.status());
    const others = hosts?.filter(({ self }) => !self).length;
    const by = daemon === undefined ? 'no daemon runs' : `served by process ${daemon.pid}`;
    const shared = others === undefined ? by : `${others} other processes have it open`;
    const found = { subject: 'store', ok: true, detail: `${url}: ${namespaces} namespaces, ${shared}` };
    return cluster === undefined ? [found] : [found, clusterFinding(cluster)];
  } catch (error) {
    return [
      {
        subject: 'store',
        ok: false,
        detail: (error as Error).message,
        remedy: `see ${options.api === undefined ? '--store' : '--api'} (${url})`,
      },
    ];
  }
}

function clusterFinding(cluster: ClusterStatus): Finding {
  const { available, healthy, processes, lossesTolerated, messages } = cluster;
  const detail = `${processes} processes, ${lossesTolerated} of them may be lost${messages.map((text) => `; ${text}`).join('')}`;
  return available && healthy
    ? { subject: 'cluster', ok: true, detail }
    : { subject: 'cluster', ok: available, detail, remedy: 'look at fdbcli --exec "status details"' };
}
