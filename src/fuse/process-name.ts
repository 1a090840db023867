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

/** Whether a process or thread has ended; false for one that cannot be seen from here. */
export function isGone(pid: number): boolean {
  return pid !== 0 && !existsSync(`/proc/${pid}`);
}
