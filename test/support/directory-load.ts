// Processes at work on databases of a mounted directory (directory_load.py), alone or beside what a test is about. They find
// out by themselves what is wrong, and then end.

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CLIENT_ENVIRONMENT, run } from './client.js';
import type { TestMount } from './mounted.js';

// The script is no TypeScript, so it stays in the source tree: dist/test/support → test/support.
const SCRIPT = fileURLToPath(new URL('../../../test/support/directory_load.py', import.meta.url));
/** Beside what a test is about, the others leave it some time. */
const PAUSE_SECONDS = 0.02;

/** One process that works until it is killed, or finds something wrong. */
export class DirectoryWorker {
  readonly #child: ChildProcess;
  readonly #ready: Promise<unknown>;
  #said = '';

  constructor(args: readonly string[]) {
    this.#child = spawn('python3', [SCRIPT, ...args], { env: CLIENT_ENVIRONMENT, stdio: ['ignore', 'pipe', 'pipe'] });
    this.#child.stderr!.on('data', (chunk: Buffer) => {
      this.#said += chunk.toString();
    });
    this.#ready = Promise.race([once(this.#child.stdout!, 'data'), once(this.#child, 'exit')]);
  }

  async ready(): Promise<void> {
    await this.#ready;
    this.check();
  }

  /** @throws what it found to be wrong */
  check(): void {
    assert.equal(this.#child.exitCode, null, this.#said);
  }

  async kill(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exit = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await exit;
  }
}

/** Several of them on one directory, and what they wrote down, over all the daemons that it has. */
export class DirectoryLoad {
  readonly logs: string[] = [];
  workers: DirectoryWorker[] = [];
  readonly #base: string;
  readonly #directory: string;
  readonly #seed: number;
  readonly #pauseSeconds: number;

  constructor({ base, directory }: TestMount, seed: number, pauseSeconds = PAUSE_SECONDS) {
    this.#base = base;
    this.#directory = directory;
    this.#seed = seed;
    this.#pauseSeconds = pauseSeconds;
  }

  /** The first one creates the databases that stay. */
  async start(count: number): Promise<void> {
    this.workers = [this.#worker()];
    await this.workers[0]!.ready();
    while (this.workers.length < count) this.workers.push(this.#worker());
    await Promise.all(this.workers.map((worker) => worker.ready()));
  }

  /** One more, which goes on reading a database. */
  async read(path: string): Promise<void> {
    const reader = new DirectoryWorker(['read', path, String(this.#pauseSeconds)]);
    this.workers.push(reader);
    await reader.ready();
  }

  /** Kills the one that was started last. */
  async endLast(): Promise<void> {
    await this.workers.pop()?.kill();
  }

  /** Kills one, and starts another in its place. */
  async replace(index: number): Promise<void> {
    await this.workers[index]!.kill();
    this.workers[index] = this.#worker();
    await this.workers[index]!.ready();
  }

  /** @throws what one of them found to be wrong */
  check(): void {
    for (const worker of this.workers) worker.check();
  }

  /** To be awaited before a dead mount is taken away: they would go on below it. */
  async kill(): Promise<void> {
    await Promise.all(this.workers.map((worker) => worker.kill()));
  }

  /** What all of them left, once they are killed. @throws when something is lost, in half, or not sound */
  async verify(): Promise<string> {
    const { status, stdout, stderr } = await run('python3', [SCRIPT, 'check', this.#directory, ...this.logs]);
    assert.equal(status, 0, stderr);
    return stdout.trim();
  }

  /** Its number names it in the databases, and is never used again. */
  #worker(): DirectoryWorker {
    const number = this.logs.length;
    const log = join(this.#base, `worker-${number}.log`);
    this.logs.push(log);
    const numbers = [number, this.#seed + number, this.#pauseSeconds].map(String);
    return new DirectoryWorker(['work', this.#directory, log, ...numbers]);
  }
}
