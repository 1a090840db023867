// What the daemon tells the service manager that started it, as sd_notify(3) has it: that it is mounted, that it ends and,
// where a watchdog waits for it, that it is alive. Without NOTIFY_SOCKET nobody is told anything.
//
// The watchdog gets its sign while the event loop turns and the store answers; a store that is refused since a sync of
// its disk failed is put right only by a restart, which the missing sign brings about.

import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';

/** A service manager that is busy leaves its socket full for a moment. */
const TRIES_MAX = 50;
const RETRY_MS = 100;
/** Signs of life in the time that the watchdog waits for one, as sd_watchdog_enabled(3) advises. */
const SIGNS_PER_WAIT = 2;

/** Sends one datagram. @throws with the errno's name as `code` */
export type SendDatagram = (path: string, data: Uint8Array) => void;

export class ServiceManager {
  readonly #socket: string;
  readonly #watchdogMs: number | undefined;
  readonly #send: SendDatagram;
  readonly #log: Logger;
  #timer: NodeJS.Timeout | undefined;
  #asking = false;
  #stopping = false;

  /** The one that `environment` names, or undefined. */
  static of(environment: NodeJS.ProcessEnv, send: SendDatagram, log: Logger): ServiceManager | undefined {
    const socket = environment.NOTIFY_SOCKET;
    return socket === undefined || socket === ''
      ? undefined
      : new ServiceManager(socket, watchdogMs(environment), send, log);
  }

  private constructor(socket: string, watchdogWaitMs: number | undefined, send: SendDatagram, log: Logger) {
    this.#socket = socket;
    this.#watchdogMs = watchdogWaitMs;
    this.#send = send;
    this.#log = log;
  }

  /** The work can begin. @param status a short line for people */
  async ready(status: string): Promise<void> {
    await this.#tell(`READY=1\nSTATUS=${status}`);
  }

  /** Gives the watchdog, where there is one, its signs for as long as `storeAnswers` resolves in time. */
  watch(storeAnswers: () => Promise<unknown>): void {
    if (this.#watchdogMs === undefined) return;
    this.#timer = setInterval(() => void this.#sign(storeAnswers), this.#watchdogMs / SIGNS_PER_WAIT);
    this.#timer.unref();
  }

  /** The end has begun; only the first call says so. */
  async stopping(): Promise<void> {
    if (this.#stopping) return;
    this.#stopping = true;
    clearInterval(this.#timer);
    await this.#tell('STOPPING=1\nSTATUS=Unmounting');
  }

  async #sign(storeAnswers: () => Promise<unknown>): Promise<void> {
    // The last question is not answered yet: no sign, and no second question.
    if (this.#asking) return;
    this.#asking = true;
    try {
      await storeAnswers();
      if (!this.#stopping) this.#send(this.#socket, Buffer.from('WATCHDOG=1'));
    } catch (error) {
      this.#log.error({ err: error }, 'the watchdog gets no sign of life');
    } finally {
      this.#asking = false;
    }
  }

  async #tell(text: string): Promise<void> {
    for (let tries = 1; ; tries += 1) {
      try {
        return this.#send(this.#socket, Buffer.from(text));
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'EAGAIN' && tries < TRIES_MAX) {
          await sleep(RETRY_MS);
          continue;
        }
        this.#log.warn({ err: error, told: text }, 'the service manager could not be told');
        return;
      }
    }
  }
}

/** How long the watchdog waits for this process; undefined when it does not. */
function watchdogMs({ WATCHDOG_USEC: microseconds, WATCHDOG_PID: pid }: NodeJS.ProcessEnv): number | undefined {
  if (pid !== undefined && pid !== String(process.pid)) return undefined;
  const ms = /^\d+$/.test(microseconds ?? '') ? Number(microseconds) / 1000 : 0;
  return ms > 0 ? ms : undefined;
}
