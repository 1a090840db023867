// Django's polls on a mounted directory: made by its migrations, served by four processes at once to readers and voters, dumped
// and loaded into a second database. The same is done in a local directory, with the same result.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { run, sqlite3 } from '../support/client.js';
import { type Answer, dumpdata, managed, serverMissing, WebServer } from '../support/django-project.js';
import { TestMount } from '../support/mounted.js';
import { chooseSeed, randomInteger, seededRandom } from '../support/random.js';

const WORKERS = 4;
const CLIENTS = 12;
const REQUESTS = 1_000;
const QUESTIONS = 10;
/** Of each question, in the order of their ids. */
const CHOICES = 3;

/** What is asked of the server: a vote for a choice, or a page. */
type Asked = { readonly choice: number } | { readonly path: string };

interface Served {
  readonly answers: Answer[];
  readonly log: string;
}

function plan(seed: number): Asked[] {
  const random = seededRandom(seed);
  return Array.from({ length: REQUESTS }, () => {
    const question = randomInteger(random, 1, QUESTIONS);
    const pages = ['/polls/', `/polls/${question}/`, `/polls/${question}/results/`];
    const chosen = randomInteger(random, 0, 2 * pages.length - 1);
    return chosen < pages.length ? { path: pages[chosen]! } : { choice: randomInteger(random, 1, QUESTIONS * CHOICES) };
  });
}

function votesPlanned(asked: readonly Asked[]): number[] {
  const votes = Array.from({ length: QUESTIONS * CHOICES }, () => 0);
  for (const each of asked) if ('choice' in each) votes[each.choice - 1]! += 1;
  return votes;
}

async function serve(database: string, socket: string, asked: readonly Asked[]): Promise<Served> {
  const server = await WebServer.start(database, socket, WORKERS, CLIENTS);
  const ask = (each: Asked): Promise<Answer> =>
    'path' in each
      ? server.get(each.path)
      : server.post(`/polls/${Math.ceil(each.choice / CHOICES)}/vote/`, `choice=${each.choice}`);
  try {
    const processes = new Set<string | undefined>();
    while (processes.size < WORKERS) {
      const started = await Promise.all(Array.from({ length: CLIENTS }, () => server.get('/polls/')));
      for (const { status, process, body } of started) {
        assert.equal(status, 200, body);
        processes.add(process);
      }
    }
    return { answers: await Promise.all(asked.map(ask)), log: server.log };
  } finally {
    await server.stop();
  }
}

function requireServed({ answers, log }: Served, asked: readonly Asked[]): void {
  for (const [index, { status, body }] of answers.entries()) {
    const expected = 'path' in asked[index]! ? 200 : 302;
    assert.equal(status, expected, `${JSON.stringify(asked[index])}: ${body} ${log}`);
  }
}

async function votes(database: string): Promise<number[]> {
  return (await sqlite3(database, 'SELECT votes FROM polls_choice ORDER BY id')).split('\n').map(Number);
}

describe('a Django application in a mounted directory', { skip: serverMissing() }, () => {
  let mount: TestMount;
  let local: string;

  before(async () => {
    mount = await TestMount.start({ namespaces: '*' });
    local = mkdtempSync(join(tmpdir(), 'mvfuse-local-'));
  });

  after(async () => {
    await mount?.remove();
    rmSync(local, { recursive: true, force: true });
  });

  test('serves readers and voters from four processes, and is dumped and loaded, as in a local directory', async () => {
    const asked = plan(chooseSeed('django'));
    const plain = join(local, 'polls.sqlite3');
    const mounted = mount.path('polls.sqlite3');
    const file = join(local, 'dump.json');
    await managed(plain, 'migrate', '-v0');
    await managed(plain, 'vote', String(QUESTIONS), '0');
    writeFileSync(file, await dumpdata(plain));
    await managed(mounted, 'migrate', '-v0');
    await managed(mounted, 'loaddata', file, '-v0');

    for (const database of [plain, mounted]) {
      requireServed(await serve(database, join(local, 'socket'), asked), asked);
      assert.deepEqual(await votes(database), votesPlanned(asked));
      assert.equal(await sqlite3(database, 'PRAGMA integrity_check'), 'ok');
    }
    const dump = await dumpdata(mounted);
    assert.equal(dump, await dumpdata(plain));

    const second = mount.path('second.sqlite3');
    writeFileSync(file, dump);
    await managed(second, 'migrate', '-v0');
    await managed(second, 'loaddata', file, '-v0');
    assert.equal(await dumpdata(second), dump);
    assert.equal((await run('ls', ['-A', mount.directory])).stdout, 'polls.sqlite3\nsecond.sqlite3\n');
  });
});
