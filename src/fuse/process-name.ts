// What can be seen of a client's process: its name, for people who want to know who holds a lock, and whether it lives.

import { existsSync, readFileSync } from 'node:fs';

/** The command of a process or thread, or undefined when it is gone or in a container that cannot be seen from here. */
export function commandOf(pid: number | undefined): string | undefined {
  if (pid === undefined || pid === 0) return undefined;
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
  } catch {
    return undefined;
  }
}

/** The process that a thread belongs to; the thread's own number when it is gone or cannot be seen from here. */
export function processOf(pid: number): number {
  try {
    const [, tgid] = /^Tgid:\s*(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1')) ?? [];
    return tgid === undefined ? pid : Number(tgid);
  } catch {
    return pid;
  }
}

/** PF_SIGNALED of the kernel's flags of a thread: a signal ends it. */
const SIGNALED = 0x400;

/** Whether a thread is ending because of a signal; false for one that cannot be seen from here. */
export function isKilled(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // After the command, which may hold anything: state, five ids, then the flags.
    const flags = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[6];
    return (Number(flags) & SIGNALED) !== 0;
  } catch {
    return false;
  }
}

/** Whether a process or thread has ended; false for one that cannot be seen from here. */
export function isGone(pid: number): boolean {
  return pid !== 0 && !existsSync(`/proc/${pid}`);
}
