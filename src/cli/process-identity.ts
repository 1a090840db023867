// Which process this is among those of its machine, and whether another of them is gone.

import { randomUUID } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import type { ProcessIdentity } from '../store/records.js';

export function ownIdentity(): ProcessIdentity {
  return { place: ownPlace(), pid: process.pid, started: readProcess(process.pid)?.started ?? UNKNOWN };
}

/** True only where that is certain: the process was one of this machine, and its id is free or another's now. */
export function isGone({ place, pid, started }: ProcessIdentity): boolean {
  if (place !== ownPlace() || started === UNKNOWN) return false;
  const found = readProcess(pid);
  return found === undefined ? !exists(pid) : found.zombie || found.started !== started;
}

const UNKNOWN = 'unknown';
/** Equal to no other. */
const NOWHERE = randomUUID();

/** The start of the machine, and the part of its processes that is seen from here (a container has one of its own). */
function ownPlace(): string {
  try {
    // Where /proc shows the processes of another namespace, nothing can be said of any.
    if (readlinkSync('/proc/self') !== String(process.pid)) return NOWHERE;
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    return `${boot} ${readlinkSync('/proc/self/ns/pid')}`;
  } catch {
    return NOWHERE;
  }
}

/** `started` in clock ticks since the machine was; undefined when the process cannot be seen. */
function readProcess(pid: number): { zombie: boolean; started: string } | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The second field, the program's name in parentheses, may hold anything; the state is the third, the start the 22nd.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return { zombie: fields[0] === 'Z', started: fields[19]! };
  } catch {
    return undefined;
  }
}

/** Also of a process that /proc hides from this user. */
function exists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}
