// The unix socket beside an embedded store, by which commands reach the daemon that owns it: HTTP with JSON.
//
// Its directory belongs to the store's owner alone, and so does the socket; it has no other protection.

import { createHash } from 'node:crypto';
import { chmodSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ERROR_CODES, type ErrorCode, errorMeaning, isMvfuseError, MvfuseError } from '../errors.js';
import type { LogEntry, NamespaceInfo } from '../store/types.js';
import type { StoreService } from './store-service.js';

/** sockaddr_un holds 108 bytes, the final NUL included. */
const SOCKET_PATH_BYTES_MAX = 107;
const BODY_BYTES_MAX = 64 * 1024;
const LOG_LIMIT_DEFAULT = 20;

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
    const body = await route(service, incoming);
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  } catch (error) {
    const known = isMvfuseError(error);
    const status = known ? errorMeaning(error.code).httpStatus : 500;
    const body = { code: known ? error.code : 'INTERNAL', message: (error as Error).message };
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  }
}

async function route(service: StoreService, incoming: IncomingMessage): Promise<unknown> {
  const url = new URL(incoming.url ?? '/', 'http://control');
  const [collection, name, part, ...rest] = url.pathname.split('/').slice(1).map(decodeURIComponent);
  if (collection === 'namespaces' && rest.length === 0) {
    if (name === undefined && incoming.method === 'GET') return service.listNamespaces();
    if (name === undefined && incoming.method === 'POST')
      return service.createNamespace((await readJson(incoming)).name);
    if (name !== undefined && incoming.method === 'GET') {
      if (part === undefined) return service.statNamespace(name);
      if (part === 'log') return service.log(name, parseLimit(url.searchParams.get('limit')));
    }
  }
  throw new MvfuseError('NOT_FOUND', `${incoming.method} ${url.pathname} is not served here`);
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
    createNamespace: async (name) => (await call(path, 'POST', '/namespaces', { name })) as NamespaceInfo,
    statNamespace: async (name) => (await call(path, 'GET', at(name))) as NamespaceInfo,
    log: async (name, limit) => (await call(path, 'GET', `${at(name)}/log?limit=${limit}`)) as LogEntry[],
    close: async () => {},
  };
}

function call(socket: string, method: string, path: string, body?: unknown): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ socketPath: socket, method, path }, async (incoming) => {
      try {
        const chunks: Buffer[] = [];
        for await (const chunk of incoming) chunks.push(chunk as Buffer);
        const value = JSON.parse(Buffer.concat(chunks).toString()) as unknown;
        if (incoming.statusCode === 200) resolve(value);
        else reject(remoteError(value as { code: string; message: string }));
      } catch (error) {
        reject(error);
      }
    });
    outgoing.once('error', reject);
    outgoing.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

function remoteError({ code, message }: { code: string; message: string }): Error {
  return ERROR_CODES.includes(code as ErrorCode) ? new MvfuseError(code as ErrorCode, message) : new Error(message);
}
