// The name of a client's program, for people who want to know who holds a lock.

import { readFileSync } from 'node:fs';

/** The command of a process or thread, or undefined when it is gone or in a container that cannot be seen from here. */
export function commandOf(pid: number | undefined): string | undefined {
  if (pid === undefined || pid === 0) return undefined;
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
  } catch {
    return undefined;
  }
}
