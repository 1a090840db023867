// Which process this is among those of its machine, and whether another of them is gone.

import { readFileSync, readlinkSync } from 'node:fs';
import type { ProcessIdentity } from '../store/records.js';

export function ownIdentity(): ProcessIdentity {
  return { place: ownPlace(), pid: process.pid, started: startOf(process.pid) ?? 'unknown' };
}

/** True only where that is certain: the process was one of this machine, and its id is free or another's now. */
export function isGone({ place, pid, started }: ProcessIdentity): boolean {
  return place === ownPlace() && started !== 'unknown' && startOf(pid) !== started;
}

/** The start of the machine, and the part of its processes that is seen from here (a container has one of its own). */
function ownPlace(): string {
  const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  return `${boot} ${readlinkSync('/proc/self/ns/pid')}`;
}

/** In clock ticks since the machine was started; undefined when there is no such process. */
function startOf(pid: number): string | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return undefined;
  }
  // The second field, the program's name in parentheses, may hold anything; the state is the third, the start the 22nd.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields[0] === 'Z' ? undefined : fields[19];
}
