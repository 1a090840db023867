// Cutting a process off from servers on this machine: what a group of processes sends to their ports is dropped.

import { execFile, execFileSync } from 'node:child_process';
import { promisify } from 'node:util';

const execute = promisify(execFile);

/** Whether this user may do that here. */
export function canCutOff(): boolean {
  try {
    execFileSync('iptables', ['-S', 'OUTPUT'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** Runs `meanwhile` while nothing that processes of the group `gid` send reaches the ports of 127.0.0.1. */
export async function cutOff(gid: number, ports: readonly number[], meanwhile: () => Promise<void>): Promise<void> {
  const rule = ['OUTPUT', '-d', '127.0.0.1', '-p', 'tcp', '-m', 'multiport', '--dports', ports.join(',')];
  rule.push('-m', 'owner', '--gid-owner', String(gid), '-j', 'DROP');
  await execute('iptables', ['-I', ...rule]);
  try {
    await meanwhile();
  } finally {
    await execute('iptables', ['-D', ...rule]);
  }
}
