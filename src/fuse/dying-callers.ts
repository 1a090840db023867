// Callers that are dying while their request is served.
//
// The kernel lets a killed process go only when its request is answered, and says once, with INTERRUPT, that somebody
// wants it to end; on its way out a process flushes its open files, and that is not even interrupted. A request that
// waits for a store that does not answer would keep such a process for ever. So after a while it is answered before it
// is served; what was asked for is still done, in its turn and under the locks that it was asked for with, because nobody
// may see half of it. No wrong outcome is told: a process that is dying never sees the answer.
//
// After a while, and not at once: whoever waits for the end of a process takes what it did for done or not done.
//
// A signal that its process survives is another matter: an fsync that is answered EINTR would be a failed transaction.
// The process itself tells which it is.

import { readFileSync } from 'node:fs';
import type { Request } from '../native/binding.js';

/** How often requests are looked at that were interrupted, or may be those of a process on its way out. */
const LOOK_MS = 500;
/** Looks that a request has to outlast before it is answered: it took at least 1 s. */
const LOOKS = 3;

/** PF_EXITING and PF_SIGNALED of <linux/sched.h>. */
const EXITING = 0x4;
const SIGNALED = 0x400;
/** SIGKILL as a bit of a set of signals; every fatal signal becomes this one. */
const KILLED = 1 << 8;
/** Fields of /proc/PID/stat behind the command's name, which may contain anything: see proc(5). */
const FLAGS_AT = 6;
const PENDING_SIGNALS_AT = 28;

/** Whether a thread is on its way out; undefined for one that cannot be seen from here. */
export function isDying(pid: number): boolean | undefined {
  const stat = statOf(pid);
  if (stat === undefined) return undefined;
  return (stat.flags & EXITING) !== 0 || (stat.pendingSignals & KILLED) !== 0;
}

/** Whether a signal is what ends a thread; false for one that cannot be seen from here. */
export function isKilled(pid: number): boolean {
  return ((statOf(pid)?.flags ?? 0) & SIGNALED) !== 0;
}

function statOf(pid: number): { flags: number; pendingSignals: number } | undefined {
  if (pid === 0) return undefined;
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return undefined;
  }
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return { flags: Number(fields[FLAGS_AT]), pendingSignals: Number(fields[PENDING_SIGNALS_AT]) };
}

interface Waiting {
  readonly request: Request;
  /** How often requests had been looked at when it came. */
  readonly look: number;
  interrupted: boolean;
}

export class DyingCallers {
  /** Requests that are not answered yet, the oldest first. */
  readonly #waiting = new Map<number, Waiting>();
  readonly #letGo: (request: Request) => void;
  readonly #timer: NodeJS.Timeout;
  #looks = 0;

  /** @param letGo answers a request whose caller is dying; it is not waited for any more */
  constructor(letGo: (request: Request) => void) {
    this.#letGo = letGo;
    this.#timer = setInterval(() => this.#look(), LOOK_MS);
    this.#timer.unref();
  }

  came(request: Request): void {
    this.#waiting.set(request.unique, { request, look: this.#looks, interrupted: false });
  }

  /** The request was served; whether somebody still waits for the answer. */
  served(request: Request): boolean {
    return this.#waiting.delete(request.unique);
  }

  interrupted(unique: number): void {
    const waiting = this.#waiting.get(unique);
    if (waiting !== undefined) waiting.interrupted = true;
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    this.#looks += 1;
    for (const { request, look, interrupted } of this.#waiting.values()) {
      if (this.#looks - look < LOOKS) break;
      if (!(interrupted || request.op === 'flush') || isDying(request.pid) !== true) continue;
      this.#waiting.delete(request.unique);
      this.#letGo(request);
    }
  }
}
