// The unix socket beside an embedded store, by which commands reach the daemon that owns it: HTTP with JSON.
//
// Its directory belongs to the store's owner alone, and so does the socket; it has no other protection.

import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { ERROR_CODES, type ErrorCode, errorMeaning, isMvfuseError, MvfuseError } from '../errors.js';
import { CONTROL_CONNECTIONS_MAX, CONTROL_IDLE_MS_MAX } from '../limits.js';
import type { Status } from '../status.js';
import type { Commit, Head, LogEntry, NamespaceInfo } from '../store/types.js';
import type { StoreService } from './store-service.js';

/** sockaddr_un holds 108 bytes, the final NUL included. */
const SOCKET_PATH_BYTES_MAX = 107;
const BODY_BYTES_MAX = 64 * 1024;
const LOG_LIMIT_DEFAULT = 20;
/** Carries the version of the bytes that follow. */
const HEAD_HEADER = 'x-mvfuse-head';
/** Tells after the bytes why they are not all. */
const ERROR_TRAILER = 'x-mvfuse-error';

/** The socket of the store in `directory`: in it, or in the temporary directory when that path is too long. */
export function socketPath(directory: string): string {
  const path = join(directory, 'control.sock');
  if (Buffer.byteLength(path) <= SOCKET_PATH_BYTES_MAX) return path;
  const name = createHash('sha256').update(directory).digest('hex').slice(0, 24);
  return join(tmpdir(), `mvfuse-${name}.sock`);
}

export interface ControlServer {
  close(): Promise<void>;
}

/** Serves until closed. The caller owns the store, so a socket left by an earlier owner is removed. */
export async function serveControl(path: string, service: StoreService): Promise<ControlServer> {
  rmSync(path, { force: true });
  const server = createServer((incoming, response) => void answer(service, incoming, response));
  server.maxConnections = CONTROL_CONNECTIONS_MAX;
  // A large database may take longer than Node's five minutes; what stops coming is seen by receiveBody.
  server.requestTimeout = 0;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, resolve);
  });
  chmodSync(path, 0o600);
  return { close: () => closeServer(server, path) };
}

async function closeServer(server: Server, path: string): Promise<void> {
  server.closeAllConnections();
  await new Promise<void>((resolve) => server.close(() => resolve()));
  rmSync(path, { force: true });
}

async function answer(service: StoreService, incoming: IncomingMessage, response: ServerResponse): Promise<void> {
  try {
    const body = await route(service, incoming, response);
    if (body !== undefined) response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  } catch (error) {
    const status = isMvfuseError(error) ? errorMeaning(error.code).httpStatus : 500;
    const headers = { 'content-type': 'application/json', connection: 'close' };
    response.writeHead(status, headers).end(JSON.stringify(describeError(error)));
  }
}

/** What is answered as JSON; undefined when the answer was given already. */
async function route(service: StoreService, incoming: IncomingMessage, response: ServerResponse): Promise<unknown> {
  const url = new URL(incoming.url ?? '/', 'http://control');
  const [collection, name, part, ...rest] = url.pathname.split('/').slice(1).map(decodeURIComponent);
  const call = `${incoming.method} ${name === undefined ? '' : 'one'}${part === undefined ? '' : `/${part}`}`;
  if (url.pathname === '/status' && incoming.method === 'GET') return service.status();
  if (collection === 'namespaces' && rest.length === 0) {
    switch (call) {
      case 'GET ':
        return service.listNamespaces();
      case 'POST ':
        return service.createNamespace((await readJson(incoming)).name);
      case 'GET one':
        return service.statNamespace(name!);
      case 'GET one/log':
        return service.log(name!, { limit: parseLimit(url.searchParams.get('limit')) });
      case 'GET one/content':
        return sendContent(service, name!, url.searchParams.get('version'), response);
      case 'PUT one/content':
        return service.importDatabase(name!, Number(incoming.headers['content-length']), receiveBody(incoming));
    }
  }
  throw new MvfuseError('NOT_FOUND', `${incoming.method} ${url.pathname} is not served here`);
}

/** The body, as long as it keeps coming. @throws CLOSED */
async function* receiveBody(incoming: IncomingMessage): AsyncGenerator<Uint8Array> {
  const pieces = incoming[Symbol.asyncIterator]();
  const stalled = (): unknown =>
    incoming.destroy(new MvfuseError('CLOSED', `no bytes came for ${CONTROL_IDLE_MS_MAX / 1000} s`));
  try {
    for (;;) {
      const timer = setTimeout(stalled, CONTROL_IDLE_MS_MAX);
      const { done, value } = await pieces.next().finally(() => clearTimeout(timer));
      if (done === true) return;
      yield value as Buffer;
    }
  } finally {
    await pieces.return?.();
  }
}

async function sendContent(
  service: StoreService,
  name: string,
  version: string | null,
  response: ServerResponse,
): Promise<undefined> {
  const { head, bytes } = await service.exportVersion(name, version ?? 'latest');
  response.writeHead(200, { 'content-type': 'application/octet-stream', [HEAD_HEADER]: JSON.stringify(head) });
  try {
    for await (const piece of bytes) {
      if (!response.write(piece)) await Promise.race([once(response, 'drain'), once(response, 'close')]);
      // Whoever asked for it is gone.
      if (response.destroyed) return undefined;
    }
  } catch (error) {
    response.addTrailers({ [ERROR_TRAILER]: JSON.stringify(describeError(error)) });
  }
  response.end();
}

function describeError(error: unknown): { code: string; message: string } {
  return { code: isMvfuseError(error) ? error.code : 'INTERNAL', message: (error as Error).message };
}

function parseLimit(text: string | null): number {
  const limit = text === null ? LOG_LIMIT_DEFAULT : Number(text);
  if (!Number.isSafeInteger(limit) || limit < 1) {
    throw new MvfuseError('INVALID_ARGUMENT', `"${text}" is no limit: a positive number is needed`);
  }
  return limit;
}

async function readJson(incoming: IncomingMessage): Promise<{ name: string }> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of incoming) {
    bytes += (chunk as Buffer).length;
    if (bytes > BODY_BYTES_MAX) throw new MvfuseError('LIMIT', `a request has at most ${BODY_BYTES_MAX} bytes`);
    chunks.push(chunk as Buffer);
  }
  try {
    const body = JSON.parse(Buffer.concat(chunks).toString()) as { name?: unknown };
    if (typeof body.name === 'string') return { name: body.name };
  } catch (cause) {
    throw new MvfuseError('INVALID_ARGUMENT', 'the request body is not JSON', { cause });
  }
  throw new MvfuseError('INVALID_ARGUMENT', 'the request body has no "name"');
}

/** The daemon's service, or undefined when none listens on the socket. */
export async function connectControl(path: string): Promise<StoreService | undefined> {
  try {
    await call(path, 'GET', '/namespaces');
  } catch (error) {
    const { code } = error as { code?: string };
    if (code === 'ENOENT' || code === 'ECONNREFUSED') return undefined;
    throw error;
  }
  const at = (name: string): string => `/namespaces/${encodeURIComponent(name)}`;
  return {
    listNamespaces: async () => (await call(path, 'GET', '/namespaces')) as NamespaceInfo[],
    createNamespace: async (name: string) => (await call(path, 'POST', '/namespaces', { name })) as NamespaceInfo,
    statNamespace: async (name: string) => (await call(path, 'GET', at(name))) as NamespaceInfo,
    log: async (name: string, { limit }: { limit: number }) =>
      (await call(path, 'GET', `${at(name)}/log?limit=${limit}`)) as LogEntry[],
    exportVersion: async (name: string, version: string) => {
      const query = `?version=${version}`;
      const incoming = await send(path, 'GET', `${at(name)}/content${query}`);
      return { head: JSON.parse(incoming.headers[HEAD_HEADER] as string) as Head, bytes: receiveContent(incoming) };
    },
    importDatabase: async (name: string, sizeBytes: number, bytes: AsyncIterable<Uint8Array>) =>
      (await readAnswer(await send(path, 'PUT', `${at(name)}/content`, { sizeBytes, bytes }))) as Commit,
    status: async () => (await call(path, 'GET', '/status')) as Status,
    close: async () => {},
  } as unknown as StoreService;
}

async function call(socket: string, method: string, path: string, body?: unknown): Promise<unknown> {
  const json = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
  const content = json && { sizeBytes: json.length, bytes: Readable.from([json]) };
  return readAnswer(await send(socket, method, path, content));
}

interface Body {
  readonly sizeBytes: number;
  readonly bytes: AsyncIterable<Uint8Array>;
}

/** Sends a request and gives the answer, still to be read, if it is no error. */
async function send(socket: string, method: string, path: string, body?: Body): Promise<IncomingMessage> {
  const headers = body === undefined ? {} : { 'content-length': body.sizeBytes };
  const outgoing = request({ socketPath: socket, method, path, headers });
  const answered = new Promise<IncomingMessage>((resolve, reject) => {
    outgoing.once('response', resolve);
    outgoing.once('error', reject);
  });
  answered.catch(() => undefined);
  if (body === undefined) outgoing.end();
  // A refusal may come before everything is sent; it says more than the broken pipe.
  else await pipeline(body.bytes, outgoing).catch(() => undefined);
  const incoming = await answered;
  if (incoming.statusCode === 200) return incoming;
  throw remoteError((await readAnswer(incoming)) as { code: string; message: string });
}

/** The bytes to their end. @throws what broke them off at the other side */
async function* receiveContent(incoming: IncomingMessage): AsyncGenerator<Uint8Array> {
  yield* incoming as AsyncIterable<Buffer>;
  const broken = incoming.trailers[ERROR_TRAILER];
  if (broken !== undefined) throw remoteError(JSON.parse(broken) as { code: string; message: string });
}

async function readAnswer(incoming: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(chunk as Buffer);
  return JSON.parse(Buffer.concat(chunks).toString());
}

function remoteError({ code, message }: { code: string; message: string }): Error {
  return ERROR_CODES.includes(code as ErrorCode) ? new MvfuseError(code as ErrorCode, message) : new Error(message);
}
