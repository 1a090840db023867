// What the API does with clients that stall or go away, and with work that is slow or fails late: on a service that is
// told when to go on, with short limits. The client is the one that commands use.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { type IncomingMessage, request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { connectSocket, type DaemonClient } from '../../../src/admin/api/client.js';
import { createMetrics } from '../../../src/admin/api/metrics.js';
import { type ApiServer, serveApi } from '../../../src/admin/api/server.js';
import type { StoreService, WorkOptions } from '../../../src/admin/store-service.js';
import { MvfuseError as Failure, isMvfuseError, type MvfuseError } from '../../../src/errors.js';
import { createLogger } from '../../../src/logger.js';
import type { Commit, Head } from '../../../src/store/types.js';
import { ZERO_VERSION } from '../../../src/version.js';

const IDLE_MS = 300;
const PIECE = Buffer.alloc(64 * 1024, 1);
const HEAD: Head = { version: ZERO_VERSION, pageBytes: 4096, sizeBytes: 1e9, timeMs: 0 };

const directory = mkdtempSync(join(tmpdir(), 'mvfuse-api-unit-'));
const path = join(directory, 'api.sock');
let service: Partial<StoreService>;
let server: ApiServer;
let client: DaemonClient;

before(async () => {
  const options = {
    service: new Proxy({} as StoreService, { get: (_, name) => service[name as keyof StoreService] }),
    health: { check: async () => ({ ready: true, checks: [] }) },
    metrics: createMetrics('0.0.0'),
    log: createLogger('silent'),
    release: '0.0.0',
    idleMsMax: IDLE_MS,
  };
  server = await serveApi(options, { socket: { path } });
  client = (await connectSocket(path))!;
});

beforeEach(() => {
  service = {};
});

after(async () => {
  await client.close();
  await server.close();
  rmSync(directory, { recursive: true });
});

/** Bytes for ever; tells how many were taken, and that nobody wants more. */
function endless(): { bytes: AsyncIterable<Uint8Array>; taken: () => number; ended: Promise<void> } {
  let taken = 0;
  let end = (): void => {};
  const ended = new Promise<void>((resolve) => {
    end = resolve;
  });
  async function* bytes(): AsyncGenerator<Uint8Array> {
    try {
      for (;;) {
        taken += PIECE.length;
        yield PIECE;
      }
    } finally {
      end();
    }
  }
  return { bytes: bytes(), taken: () => taken, ended };
}

function within<T>(work: Promise<T>, waitMs: number): Promise<T> {
  const late = sleep(waitMs, undefined, { ref: false }).then(() => assert.fail(`not within ${waitMs} ms`));
  return Promise.race([work, late]);
}

async function open(method: string, url: string, headers: Record<string, string | number> = {}): Promise<Socket> {
  const socket = connect(path);
  await once(socket, 'connect');
  const lines = Object.entries({ host: 'x', ...headers }).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.write(`${method} ${url} HTTP/1.1\r\n${lines.join('')}\r\n`);
  socket.on('error', () => undefined);
  return socket;
}

test('slow work: progress while it lasts, then the result', async () => {
  const seen: number[] = [];
  service.collect = async (_name, { onProgress } = {}) => {
    for (let done = 1; done <= 3; done += 1) {
      onProgress?.({ done, total: 3 });
      await sleep(120);
    }
    return [];
  };
  assert.deepEqual(await client.collect(undefined, { onProgress: ({ done }) => seen.push(done) }), []);
  assert.deepEqual(seen, [1, 2, 3]);
});

test('slow work that says nothing still shows that it lives, at least every five seconds', async () => {
  const toldMs: number[] = [];
  const startMs = performance.now();
  service.collect = async () => {
    await sleep(5_600);
    return [];
  };
  await client.collect(undefined, { onProgress: () => toldMs.push(performance.now() - startMs) });
  assert.equal(toldMs.length, 1);
});

test('an error before anything was told has its status, one afterwards is the last line', async () => {
  service.fork = async () => {
    throw new Failure('BUSY', 'not now');
  };
  await assert.rejects(client.fork('a', 'latest', 'b'), { code: 'BUSY', message: 'not now' });
  service.fork = async (_name, _moment, _newName, { onProgress } = {}) => {
    onProgress?.({ done: 1, total: 2 });
    throw new Failure('NO_SPACE', 'full');
  };
  await assert.rejects(client.fork('a', 'latest', 'b'), { code: 'NO_SPACE', message: 'full' });
});

test('a client that goes away ends the work, and so does one that gives it up', async () => {
  const aborted: string[] = [];
  const work = async (_name: unknown, { onProgress, signal }: WorkOptions = {}): Promise<never> => {
    onProgress?.({ done: 0, total: 0 });
    await once(signal!, 'abort');
    aborted.push((signal!.reason as MvfuseError).message);
    throw signal!.reason;
  };
  service.collect = work;
  const controller = new AbortController();
  const given = client.collect(undefined, {
    signal: controller.signal,
    onProgress: () => controller.abort(new Failure('CLOSED', 'given up')),
  });
  await assert.rejects(given, { message: 'given up' });
  const socket = await open('POST', '/api/v1/collect');
  await once(socket, 'data');
  socket.destroy();
  while (aborted.length < 2) await sleep(10);
  assert.deepEqual(aborted, ['the client went away', 'the client went away']);
});

test('a database goes out at the pace of its reader; one that stops reading is cut off, one that goes away ends it', async () => {
  for (const isGone of [false, true]) {
    const content = endless();
    service.exportVersion = async () => ({ head: HEAD, bytes: content.bytes });
    const socket = await open('GET', '/api/v1/namespaces/a/content');
    await once(socket, 'readable');
    if (isGone) socket.destroy();
    await within(content.ended, isGone ? 200 : IDLE_MS * 4);
    assert.ok(content.taken() < 8e6, `${content.taken()} bytes were made for a reader that took none`);
    socket.destroy();
  }
});

test('while readers stall others are served', async () => {
  const content = endless();
  service.exportVersion = async () => ({ head: HEAD, bytes: content.bytes });
  service.listNamespaces = async () => [];
  const stalled = await Promise.all(Array.from({ length: 20 }, () => open('GET', '/api/v1/namespaces/a/content')));
  for (let round = 0; round < 20; round += 1) await within(client.listNamespaces(), 100);
  for (const socket of stalled) socket.destroy();
});

test('an upload that stalls ends, and the next one is served', async () => {
  const ends: unknown[] = [];
  service.importDatabase = async (_name, sizeBytes, bytes) => {
    let received = 0;
    try {
      for await (const piece of bytes) received += piece.length;
    } catch (error) {
      ends.push(error);
      throw error;
    }
    assert.equal(received, sizeBytes);
    return { head: HEAD, pageCount: 1, bytes: received } as Commit;
  };
  const socket = await open('PUT', '/api/v1/namespaces/a/content', { 'content-length': 1_000 });
  socket.write('some of it');
  await within(once(socket, 'close'), IDLE_MS * 4);
  assert.ok(isMvfuseError(ends[0], 'CLOSED'));
  const gone = await open('PUT', '/api/v1/namespaces/a/content', { 'content-length': 1_000 });
  gone.write('some of it');
  await sleep(50);
  gone.destroy();
  while (ends.length < 2) await sleep(10);
  const commit = await client.importDatabase(
    'a',
    2 * PIECE.length,
    (async function* () {
      yield PIECE;
      yield PIECE;
    })(),
  );
  assert.equal(commit.bytes, 2 * PIECE.length);
});

test('who refuses an upload is heard, and the rest of it is not sent', async () => {
  service.importDatabase = async (_name, _sizeBytes, bytes) => {
    for await (const _ of bytes) throw new Failure('INVALID_ARGUMENT', 'no database');
    return assert.fail();
  };
  const content = endless();
  await assert.rejects(client.importDatabase('a', 1e9, content.bytes), { message: 'no database' });
  await within(content.ended, 100);
  assert.ok(content.taken() < 32e6, `${content.taken()} bytes were sent`);
  service.listNamespaces = async () => [];
  assert.deepEqual(await client.listNamespaces(), []);
});

test('what the source of an upload throws is what the sender is told', async () => {
  service.importDatabase = async (_name, _sizeBytes, bytes) => {
    for await (const _ of bytes);
    return assert.fail();
  };
  const broken = client.importDatabase(
    'a',
    1e6,
    (async function* () {
      yield PIECE;
      throw new Failure('NOT_FOUND', 'the file is gone');
    })(),
  );
  await assert.rejects(broken, { message: 'the file is gone' });
});

test('a body of JSON that stalls is cut off', async () => {
  const socket = await open('POST', '/api/v1/namespaces', { 'content-length': 100 });
  socket.write('{"name"');
  await within(once(socket, 'close'), IDLE_MS * 4);
});

test('an export that fails late: the error for clients of trailers, a short answer for others', async () => {
  service.exportVersion = async () => ({
    head: HEAD,
    bytes: (async function* () {
      yield PIECE;
      throw new Failure('CORRUPT', 'page 17 (übel) is damaged');
    })(),
  });
  const { bytes } = await client.exportVersion('a', 'latest');
  const read = async (pieces: AsyncIterable<unknown>): Promise<void> => {
    for await (const _ of pieces);
  };
  await assert.rejects(read(bytes), { code: 'CORRUPT', message: 'page 17 (übel) is damaged' });
  const plain = request({ socketPath: path, path: '/api/v1/namespaces/a/content' }).end();
  const [incoming] = (await once(plain, 'response')) as [IncomingMessage];
  assert.equal(incoming.headers['content-length'], String(HEAD.sizeBytes));
  await assert.rejects(read(incoming), /aborted/);
});

test('a defect is an answer, too', async () => {
  service.listNamespaces = async () => {
    throw new TypeError('a defect');
  };
  await assert.rejects(client.listNamespaces(), /a defect/);
});
