// Eight processes at work on the databases of a mounted directory, which they create, replace, rename, copy and remove
// under each other (directory_load.py). One after the other is killed, and the daemon under them all. No acknowledged
// commit is lost, none is there in half, every snapshot adds up, and every database is wholly the old or the new one.

import { readFileSync } from 'node:fs';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { DirectoryLoad } from '../support/directory-load.js';
import { LONG } from '../support/injection-run.js';
import { TestMount } from '../support/mounted.js';
import { chooseSeed, randomInteger, seededRandom } from '../support/random.js';

const PROCESSES = 8;
/** In every other one the daemon is killed at the end. */
const ROUNDS = LONG ? 80 : 2;
/** Processes killed in a round, and the time in which each of those moments lies. */
const KILLS = 4;
const KILL_MS_MAX = 1_000;
const OPTIONS = { namespaces: '*' };
const FLAGS = ['--writer-wait', '300ms'];

let load: DirectoryLoad | undefined;
let mount: TestMount | undefined;

after(async () => {
  // Processes in a request of the daemon end only after it.
  await mount?.kill();
  await load?.kill();
  await mount?.remove();
});

test(`databases created, replaced and removed under eight processes that are killed, ${ROUNDS} rounds`, async (t) => {
  const seed = chooseSeed('directory-load');
  const random = seededRandom(seed);
  let current = await TestMount.start(OPTIONS, FLAGS);
  mount = current;
  const others = new DirectoryLoad(current, seed, 0);
  load = others;

  for (let round = 0; round < ROUNDS; round += 1) {
    await others.start(PROCESSES);
    for (let kill = 0; kill < KILLS; kill += 1) {
      // Not to wait for anything: the moment of the kill is what varies.
      await sleep(random() * KILL_MS_MAX);
      others.check();
      await others.replace(randomInteger(random, 0, PROCESSES - 1));
    }
    await sleep(random() * KILL_MS_MAX);
    const killsDaemon = round % 2 === 0;
    if (killsDaemon) {
      current.child.kill('SIGKILL');
      await current.exited();
    }
    others.check();
    await others.kill();
    if (killsDaemon) {
      await current.kill();
      current = await TestMount.start({ ...OPTIONS, base: current.base }, FLAGS);
      mount = current;
    }
    t.diagnostic(`round ${round}: ${await others.verify()}`);
  }
  t.diagnostic(countsOf(others.logs));
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
