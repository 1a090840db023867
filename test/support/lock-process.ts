// A process that sets, waits for and asks about byte-range locks of one file (locks.py).

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { CLIENT_ENVIRONMENT } from './client.js';

const SCRIPT = fileURLToPath(new URL('../../../test/support/locks.py', import.meta.url));

export type LockKind = 'read' | 'write' | 'unlock';

export interface HeldLock {
  readonly kind: LockKind;
  readonly start: number;
  readonly length: number;
  readonly pid: number;
}

export class LockProcess {
  readonly child: ChildProcess;
  readonly #waiting: Array<(answer: { value?: unknown; error?: string }) => void> = [];

  private constructor() {
    this.child = spawn('python3', [SCRIPT], { env: CLIENT_ENVIRONMENT, stdio: ['pipe', 'pipe', 'inherit'] });
    createInterface({ input: this.child.stdout! }).on('line', (line) => this.#waiting.shift()?.(JSON.parse(line)));
    this.child.stdin!.on('error', () => undefined);
    this.child.once('exit', () => {
      for (const resolve of this.#waiting.splice(0)) resolve({ error: 'ended' });
    });
  }

  static async open(path: string): Promise<LockProcess> {
    const process = new LockProcess();
    await process.#call({ op: 'open', path });
    return process;
  }

  /** F_SETLK. @returns 'ok', or the name of the errno */
  async set(kind: LockKind, start: number, length: number): Promise<string> {
    return (await this.#ask({ op: 'set', kind, start, length })).error ?? 'ok';
  }

  /** F_SETLKW, given up by a signal after `seconds` when that is set: 'locked', 'interrupted' or an errno. */
  async wait(kind: LockKind, start: number, length: number, seconds = 0): Promise<string> {
    const { value, error } = await this.#ask({ op: 'wait', kind, start, length, seconds });
    return error ?? String(value);
  }

  /** F_GETLK: the lock in the way. */
  async get(kind: LockKind, start: number, length: number): Promise<HeldLock | null> {
    return (await this.#call({ op: 'get', kind, start, length })) as HeldLock | null;
  }

  /** A child closes its copy of the descriptor and ends. */
  async forkAndClose(): Promise<void> {
    await this.#call({ op: 'fork' });
  }

  /** Opens the file once more and closes that descriptor. */
  async reopen(path: string): Promise<void> {
    await this.#call({ op: 'reopen', path });
  }

  async kill(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const exit = once(this.child, 'exit');
    this.child.kill('SIGKILL');
    await exit;
  }

  #ask(command: object): Promise<{ value?: unknown; error?: string }> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.child.stdin!.write(`${JSON.stringify(command)}\n`);
    });
  }

  async #call(command: object): Promise<unknown> {
    const { value, error } = await this.#ask(command);
    if (error !== undefined) throw new Error(`${JSON.stringify(command)}: ${error}`);
    return value;
  }
}
