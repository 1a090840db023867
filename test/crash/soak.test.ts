// A daemon under a mixed load whose clients are killed all the time: what it takes does not grow with time.
//
// The long version runs 20 minutes and allows a growth of 1 % in its last three quarters; MVFUSE_TEST_SOAK_SECONDS sets
// another duration. The short one shows that the load and the measurement work. Judged is the least value of each
// stretch of time, since what a daemon takes goes up and down with garbage collections and with who is connected.
//
// Versions are kept for ever, so the store grows with every commit. What must not grow is the space that it takes for
// each byte of the pages that commits wrote.

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { connectSocket } from '../../src/admin/api/client.js';
import { embeddedSocketPath } from '../../src/admin/socket-path.js';
import { storeDirectory } from '../../src/kv/open.js';
import { CLIENT_ENVIRONMENT, sqlite3 } from '../support/client.js';
import { LONG } from '../support/injection-run.js';
import { TestMount } from '../support/mounted.js';
import { chooseSeed, randomInteger, seededRandom } from '../support/random.js';
import { floors, growth, type Sample } from '../support/trend.js';

const SOAK = fileURLToPath(new URL('../../../test/support/soak.py', import.meta.url));
const SECONDS = Number(process.env.MVFUSE_TEST_SOAK_SECONDS ?? (LONG ? 1_200 : 20));
/** In a short time caches still fill up. */
const GROWTH_MAX = SECONDS >= 1_200 ? 0.01 : 1;
/** The first part, in which caches fill. */
const WARM_UP = 0.25;
/** The part of it in which there are more clients. */
const MANY = 0.1;
const STRETCHES = 30;
const SAMPLE_MS = SECONDS >= 300 ? 2_000 : 250;
const KILL_MS = 1_000;

const NAMES = ['a', 'b'];
const CLIENTS = 6;
/** At first: connections are kept for as many as were ever there at once, so the most come while nothing is judged. */
const CLIENTS_AT_FIRST = 24;
const FIGURES = ['residentBytes', 'descriptors', 'inodes', 'storeBytesPerByte'] as const;
type Figure = (typeof FIGURES)[number];

let mount: TestMount | undefined;
const clients: SoakClient[] = [];

after(async () => {
  await Promise.all(clients.map((client) => client.kill()));
  await mount?.remove();
});

class SoakClient {
  readonly #child: ChildProcess;
  readonly #exit: Promise<unknown>;
  #errors = '';

  constructor(path: string, seed: number) {
    this.#child = spawn('python3', [SOAK, path, String(seed)], {
      env: CLIENT_ENVIRONMENT,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    this.#child.stderr!.on('data', (chunk: Buffer) => {
      this.#errors += chunk.toString();
    });
    this.#exit = once(this.#child, 'close');
  }

  /** SIGKILL. @throws when it had ended before: it goes on for ever unless something is wrong */
  async kill(): Promise<void> {
    const ended = this.#child.exitCode;
    this.#child.kill('SIGKILL');
    await this.#exit;
    assert.equal(ended, null, this.#errors);
  }
}

/** Sums what the daemon says of its commits as it logs them. */
class CommitLog {
  commits = 0;
  bytes = 0;
  #read = 0;

  take(log: string): void {
    const end = log.lastIndexOf('\n') + 1;
    for (const line of log.slice(this.#read, end).split('\n')) {
      if (!line.includes('"msg":"commit"')) continue;
      this.commits += 1;
      this.bytes += (JSON.parse(line) as { bytes: number }).bytes;
    }
    this.#read = end;
  }
}

async function measure(mount: TestMount, log: CommitLog): Promise<Record<Figure, number>> {
  const { pid } = mount.child;
  const service = (await connectSocket(embeddedSocketPath(storeDirectory(mount.storeUrl)!)))!;
  const { storeBytes, mounts } = await service.status();
  log.take(mount.log);
  const [, kibibytes] = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))!;
  return {
    residentBytes: Number(kibibytes) * 1024,
    descriptors: readdirSync(`/proc/${pid}/fd`).length,
    inodes: mounts[0]!.inodes,
    storeBytesPerByte: storeBytes! / log.bytes,
  };
}

/** Kills a client after the other, and puts another in its place. */
async function replaceClients(mount: TestMount, seed: number, manyUntilMs: number, untilMs: number): Promise<number> {
  const random = seededRandom(seed);
  const start = (): SoakClient => {
    const name = NAMES[randomInteger(random, 0, NAMES.length - 1)]!;
    return new SoakClient(mount.path(name), Math.floor(random() * 2 ** 31));
  };
  for (let count = 0; count < CLIENTS_AT_FIRST; count += 1) clients.push(start());
  let killed = 0;
  for (; performance.now() < untilMs; killed += 1) {
    await sleep(KILL_MS);
    const [client] = clients.splice(randomInteger(random, 0, clients.length - 1), 1);
    await client!.kill();
    if (clients.length < (performance.now() < manyUntilMs ? CLIENTS_AT_FIRST : CLIENTS)) clients.push(start());
  }
  return killed;
}

test(`${SECONDS} seconds of load with clients killed every second`, async (t) => {
  const seed = chooseSeed('soak');
  mount = await TestMount.start({ namespaces: NAMES.map((name) => `${name}=${name}`).join(',') });
  for (const name of NAMES) {
    const schema = ['one', 'two'].map((table) => `CREATE TABLE ${table}(id INTEGER PRIMARY KEY, a);`);
    await sqlite3(mount.path(name), schema.join(''));
  }
  const log = new CommitLog();
  const startMs = performance.now();
  const endMs = startMs + SECONDS * 1_000;
  const samples: Array<Record<Figure, Sample>> = [];
  const replaced = replaceClients(mount, seed, startMs + MANY * SECONDS * 1_000, endMs);
  // Awaited below, once the time is over; a failure must not go unseen until then.
  let failure: unknown;
  replaced.catch((error: unknown) => {
    failure = error;
  });
  while (performance.now() < endMs && failure === undefined) {
    await sleep(SAMPLE_MS);
    const atMs = performance.now() - startMs;
    const figures = await measure(mount, log);
    if (log.bytes === 0) continue;
    samples.push(
      Object.fromEntries(FIGURES.map((figure) => [figure, { atMs, value: figures[figure] }])) as Record<Figure, Sample>,
    );
  }
  const killed = await replaced;
  for (const client of clients.splice(0)) await client.kill();
  t.diagnostic(`${log.commits} commits of ${Math.round(log.bytes / 1e6)} MB, ${killed} clients killed`);
  for (const name of NAMES) {
    const differing = 'SELECT count(*) FROM one LEFT JOIN two USING(id) WHERE one.a IS NOT two.a';
    assert.equal(await sqlite3(mount.path(name), `${differing}; PRAGMA integrity_check`), '0\nok');
  }
  assert.ok(killed >= SECONDS / 4 && log.commits > SECONDS, 'the daemon was under load');

  const judged = samples.filter(({ residentBytes }) => residentBytes.atMs > WARM_UP * SECONDS * 1_000);
  const grown = FIGURES.map((figure) => {
    const course = judged.map((sample) => sample[figure]);
    const least = floors(course, STRETCHES);
    const part = growth(least);
    const [first, last] = [least[0]!.value, least.at(-1)!.value].map((value) => Number(value.toPrecision(6)));
    t.diagnostic(`${figure}: ${(100 * part).toFixed(2)} %, from ${first} to ${last}, in ${course.length} samples`);
    return { figure, part };
  });
  for (const { figure, part } of grown) assert.ok(part < GROWTH_MAX, `${figure} grew by ${(100 * part).toFixed(2)} %`);
});
