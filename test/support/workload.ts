// Processes of a concurrency test (workload.py): started, watched for their commits, stopped or killed.

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

// Not TypeScript, so it stays in the source tree: dist/test/support → test/support.
const SCRIPT = fileURLToPath(new URL('../../../test/support/workload.py', import.meta.url));

export interface Job {
  readonly path: string;
  readonly kind: 'immediate' | 'autocommit' | 'deferred' | 'transfer' | 'read';
  readonly threads: number;
  /** Rounds of each thread; 0: until stopped. */
  readonly count: number;
  /** Seconds that SQLite waits for a lock. */
  readonly timeout: number;
  readonly seed?: number;
  readonly pragmas?: readonly string[];
}

export interface Totals {
  /** Rounds done by all threads. */
  readonly done: number;
  /** Refusals that a deferred transaction tried again after. */
  readonly busy: number;
  /** Different states that readers saw, summed over the threads. */
  readonly versions: number;
}

export class Workload {
  readonly child: ChildProcess;
  commits = 0;
  readonly #exit: Promise<unknown>;
  #totals: Totals | undefined;
  #stderr = '';
  #watchers: Array<{ readonly at: number; readonly reached: () => void }> = [];

  constructor(job: Job) {
    this.child = spawn('python3', [SCRIPT, JSON.stringify(job)], { stdio: ['pipe', 'pipe', 'pipe'] });
    this.child.stdin!.on('error', () => undefined);
    this.child.stderr!.on('data', (chunk: Buffer) => {
      this.#stderr += chunk.toString();
    });
    createInterface({ input: this.child.stdout! }).on('line', (line) => this.#line(line));
    this.#exit = once(this.child, 'close');
  }

  /** Resolves after that many commits, or when the process has ended. */
  async committed(count: number): Promise<void> {
    if (this.commits >= count) return;
    const reached = new Promise<void>((resolve) => this.#watchers.push({ at: count, reached: resolve }));
    await Promise.race([reached, this.#exit]);
  }

  /** Its result when it has done all rounds. @throws when something went wrong in it */
  async finished(): Promise<Totals> {
    await this.#exit;
    assert.equal(this.child.exitCode, 0, this.#stderr);
    return this.#totals!;
  }

  stop(): Promise<Totals> {
    this.child.stdin!.end();
    return this.finished();
  }

  async kill(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.#exit;
  }

  #line(line: string): void {
    if (line !== 'commit') {
      this.#totals = JSON.parse(line) as Totals;
      return;
    }
    this.commits += 1;
    for (const { at, reached } of this.#watchers) if (this.commits >= at) reached();
  }
}

/** Runs several to their ends; on any failure the others are killed. */
export async function runAll(jobs: readonly Job[]): Promise<Totals[]> {
  const workloads = jobs.map((job) => new Workload(job));
  try {
    return await Promise.all(workloads.map((workload) => workload.finished()));
  } finally {
    for (const workload of workloads) await workload.kill();
  }
}
