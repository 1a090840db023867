// A mount whose older versions are removed all the time, under a load of writers, of readers that hold their snapshots for a
// while, and of readers of versions and tags: nobody ever fails, or sees a state that never was; and afterwards the store
// is hardly larger than a fresh one with the same versions.
//
// The long version runs 10 minutes; MVFUSE_TEST_RETENTION_SECONDS sets another duration.

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { connectSocket } from '../../src/admin/api/client.js';
import { embeddedSocketPath } from '../../src/admin/socket-path.js';
import type { StoreService } from '../../src/admin/store-service.js';
import { storeDirectory } from '../../src/kv/open.js';
import type { RetentionPolicy } from '../../src/store/types.js';
import { CLIENT_ENVIRONMENT, run } from '../support/client.js';
import { LONG } from '../support/injection-run.js';
import { MAIN, TestMount } from '../support/mounted.js';
import { chooseSeed, seededRandom } from '../support/random.js';

const LOAD = fileURLToPath(new URL('../../../test/support/retention_load.py', import.meta.url));
const SECONDS = Number(process.env.MVFUSE_TEST_RETENTION_SECONDS ?? (LONG ? 600 : 20));
const PERIOD_MS = 1_000;
const POLICIES: Readonly<Record<string, RetentionPolicy>> = {
  a: { keepMs: 5_000, keepVersions: 10 },
  b: { keepVersions: 3 },
};
const NAMES = Object.keys(POLICIES);
const TAGS_MAX = 4;
const SIZE_RATIO_MAX = 1.5;
const STEADY_WAITS_MAX = 20;

let mount: TestMount | undefined;
const clients: LoadClient[] = [];

after(async () => {
  for (const client of clients) client.child.kill('SIGKILL');
  await mount?.remove();
});

/** A Python client; those that go on for ever end with an error only. */
class LoadClient {
  readonly child: ChildProcess;
  readonly #ended: Promise<unknown>;
  readonly #lines: AsyncIterator<string>;
  #errors = '';

  constructor(role: string, path: string, seed: number) {
    this.child = spawn('python3', [LOAD, role, path, String(seed)], { env: CLIENT_ENVIRONMENT });
    this.child.stderr!.on('data', (chunk: Buffer) => {
      this.#errors += chunk.toString();
    });
    this.#lines = createInterface({ input: this.child.stdout! })[Symbol.asyncIterator]();
    this.#ended = once(this.child, 'close');
    clients.push(this);
  }

  async finished(): Promise<void> {
    await this.#ended;
    assert.equal(this.child.exitCode, 0, this.#errors);
  }

  async ask(line: string): Promise<string> {
    this.child.stdin!.write(`${line}\n`);
    const answer = await this.#lines.next();
    return answer.done === true ? this.#errors : answer.value;
  }

  /** @throws when it had ended before */
  async kill(): Promise<void> {
    const ended = this.child.exitCode;
    this.child.kill('SIGKILL');
    await this.#ended;
    assert.equal(ended, null, this.#errors);
  }
}

/** Tags the newest version now and then, and drops the oldest tag; versions and tags are read meanwhile. */
async function readVersions(
  service: StoreService,
  path: string,
  name: string,
  seed: number,
  untilMs: number,
): Promise<number> {
  const reader = new LoadClient('version', path, seed);
  const random = seededRandom(seed);
  const tags: string[] = [];
  let reads = 0;
  for (; performance.now() < untilMs; reads++) {
    if (random() < 0.5) {
      tags.push(`t${reads}`);
      await service.addTag(name, tags.at(-1)!, 'latest');
      if (tags.length > TAGS_MAX) await service.removeTag(name, tags.shift()!);
    }
    const tag = tags[Math.floor(random() * tags.length)];
    // Who names a version has to be there before the policy removes it: only the newest one surely is kept so long.
    const byVersion = name === 'a' && random() < 0.5;
    const moment = byVersion || tag === undefined ? (await service.resolve(name, 'latest')).version : tag;
    if (!byVersion && tag === undefined) continue;
    assert.equal(await reader.ask(`${path}@${moment}`), 'ok');
  }
  await reader.kill();
  return reads;
}

/** Bytes that the files of a store take. */
function storeBytes(directory: string): number {
  return readdirSync(directory).reduce((bytes, file) => bytes + statSync(join(directory, file)).size, 0);
}

/** Until a figure stays as it is for some rounds of the daemon's. */
async function untilSteady(figure: () => number): Promise<void> {
  for (let waits = 0, before = -1; waits < STEADY_WAITS_MAX && before !== figure(); waits++) {
    before = figure();
    await sleep(3 * PERIOD_MS);
  }
}

test(`${SECONDS} seconds of load while versions are removed`, async (t) => {
  const random = seededRandom(chooseSeed('retention under load'));
  const seed = (): number => Math.floor(random() * 2 ** 31);
  const namespaces = NAMES.map((name) => `${name}=${name}`).join(',');
  mount = await TestMount.start({ namespaces }, ['--retention-period', `${PERIOD_MS}ms`, '--log-level', 'warn']);
  const directory = storeDirectory(mount.storeUrl)!;
  const service = (await connectSocket(embeddedSocketPath(directory)))!;
  const path = (name: string): string => mount!.path(name);
  for (const name of NAMES) {
    await new LoadClient('create', path(name), 0).finished();
    await service.setRetention(name, POLICIES[name]);
  }
  clients.splice(0);
  for (const name of NAMES) {
    for (const role of ['write', 'write', 'read', 'read', 'read']) new LoadClient(role, path(name), seed());
  }
  const load = [...clients];
  const untilMs = performance.now() + SECONDS * 1_000;
  let peak = 0;
  const watching = (async () => {
    for (; performance.now() < untilMs; await sleep(500)) peak = Math.max(peak, storeBytes(directory));
  })();
  const reads = await Promise.all(NAMES.map((name) => readVersions(service, path(name), name, seed(), untilMs)));
  await watching;
  const { retention } = await service.status();
  for (const client of load) await client.kill();
  for (const name of NAMES) {
    const reader = new LoadClient('version', path(name), seed());
    assert.equal(await reader.ask(path(name)), 'ok');
    await reader.kill();
  }
  t.diagnostic(
    `${reads} reads of versions and tags; removed: ${retention.versions} versions, ${retention.bytes} bytes`,
  );
  assert.ok(retention.versions > SECONDS, 'versions were removed meanwhile');
  assert.equal(retention.failures, 0, retention.lastFailure);

  // What is young enough still is not for long; then the daemon comes by.
  await sleep(Math.max(...NAMES.map((name) => POLICIES[name]!.keepMs ?? 0)) + 2 * PERIOD_MS);
  await untilSteady(() => storeBytes(directory));
  const kept = await Promise.all(NAMES.map(async (name) => (await service.log(name, { limit: 1_000_000 })).length));
  assert.equal(await mount.unmount(), 0, mount.log);
  const fresh = join(mount.base, 'fresh');
  const copied = await run(process.execPath, [MAIN, 'copy', mount.storeUrl, `sqlite:${fresh}`], '', 600_000);
  assert.equal(copied.status, 0, copied.stderr);
  const [left, needed] = [storeBytes(directory), storeBytes(fresh)];
  const ratio = left / needed;
  t.diagnostic(
    `${kept} versions kept in ${left} bytes (${peak} at the most), ${needed} in a fresh store: ${ratio.toFixed(3)}`,
  );
  for (const [index, name] of NAMES.entries()) {
    assert.ok(kept[index]! <= POLICIES[name]!.keepVersions! + TAGS_MAX, `${kept} versions are kept`);
  }
  assert.ok(ratio <= SIZE_RATIO_MAX, `${ratio} times the size of a fresh store`);
});
