// Eight processes at work on the databases of a mounted directory, which they create, replace, rename, copy and remove
// under each other (directory_load.py). One after the other is killed, and the daemon under them all. No acknowledged
// commit is lost, none is there in half, every snapshot adds up, and every database is wholly the old or the new one.

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { CLIENT_ENVIRONMENT, run } from '../support/client.js';
import { LONG } from '../support/injection-run.js';
import { TestMount } from '../support/mounted.js';
import { chooseSeed, randomInteger, seededRandom } from '../support/random.js';

// The script is no TypeScript, so it stays in the source tree: dist/test/crash → test/support.
const SCRIPT = fileURLToPath(new URL('../../../test/support/directory_load.py', import.meta.url));
const PROCESSES = 8;
/** In every other one the daemon is killed at the end. */
const ROUNDS = LONG ? 80 : 2;
/** Processes killed in a round, and the time in which each of those moments lies. */
const KILLS = 4;
const KILL_MS_MAX = 1_000;
const OPTIONS = { namespaces: '*' };
const FLAGS = ['--writer-wait', '300ms'];

let mount: TestMount | undefined;
let workers: Worker[] = [];

after(async () => {
  // Processes in a request of the daemon end only after it.
  await mount?.kill();
  await Promise.all(workers.map((worker) => worker.kill()));
  await mount?.remove();
});

class Worker {
  readonly log: string;
  readonly #child: ChildProcess;
  readonly #ready: Promise<unknown>;
  #said = '';

  /** @param number names it in the databases, and is never used again */
  constructor({ base, directory }: TestMount, number: number, seed: number) {
    this.log = join(base, `worker-${number}.log`);
    const args = [SCRIPT, 'work', directory, this.log, String(number), String(seed)];
    this.#child = spawn('python3', args, { env: CLIENT_ENVIRONMENT, stdio: ['ignore', 'pipe', 'pipe'] });
    this.#child.stderr!.on('data', (chunk: Buffer) => {
      this.#said += chunk.toString();
    });
    this.#ready = Promise.race([once(this.#child.stdout!, 'data'), once(this.#child, 'exit')]);
  }

  async ready(): Promise<void> {
    await this.#ready;
    this.check();
  }

  /** It works until it is killed, or finds something wrong. */
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

test(`databases created, replaced and removed under eight processes that are killed, ${ROUNDS} rounds`, async (t) => {
  const seed = chooseSeed('directory-load');
  const random = seededRandom(seed);
  const logs: string[] = [];
  let current = await TestMount.start(OPTIONS, FLAGS);
  mount = current;
  const start = (): Worker => {
    const worker = new Worker(current, logs.length, seed + logs.length);
    logs.push(worker.log);
    return worker;
  };

  for (let round = 0; round < ROUNDS; round += 1) {
    // The first one creates the databases that stay.
    workers = [start()];
    await workers[0]!.ready();
    while (workers.length < PROCESSES) workers.push(start());
    await Promise.all(workers.map((worker) => worker.ready()));
    for (let kill = 0; kill < KILLS; kill += 1) {
      // Not to wait for anything: the moment of the kill is what varies.
      await sleep(random() * KILL_MS_MAX);
      for (const worker of workers) worker.check();
      const index = randomInteger(random, 0, PROCESSES - 1);
      await workers[index]!.kill();
      workers[index] = start();
      await workers[index]!.ready();
    }
    await sleep(random() * KILL_MS_MAX);
    const killsDaemon = round % 2 === 0;
    if (killsDaemon) {
      current.child.kill('SIGKILL');
      await current.exited();
    }
    for (const worker of workers) worker.check();
    await Promise.all(workers.map((worker) => worker.kill()));
    if (killsDaemon) {
      await current.kill();
      current = await TestMount.start({ ...OPTIONS, base: current.base }, FLAGS);
      mount = current;
    }
    const { status, stdout, stderr } = await run('python3', [SCRIPT, 'check', current.directory, ...logs]);
    assert.equal(status, 0, `round ${round}: ${stderr}`);
    t.diagnostic(stdout.trim());
  }
  t.diagnostic(countsOf(logs));
});

/** What came of everything that was done, the errors that clients got among it. */
function countsOf(logs: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const line of logs.flatMap((log) => readFileSync(log, 'utf8').split('\n'))) {
    const [kind, what] = line.split(' ');
    const key = kind === 'sql' || kind === 'os' ? `${kind} ${what}` : kind!;
    if (key !== '') counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return [...counts].map(([key, count]) => `${key}: ${count}`).join(', ');
}
