// The HTTP servers in front of the API: one on a unix socket, and one on TCP where that is asked for.
//
// Each has limits of its own, so that what comes over the network takes nothing from the commands of this machine. What
// TCP callers without the token get is decided here, before anything is routed, so no route can be forgotten.

import { chmodSync, lstatSync, mkdirSync, rmSync, symlinkSync } from 'node:fs';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname, resolve } from 'node:path';
import { MvfuseError } from '../../errors.js';
import { CONTROL_CONNECTIONS_MAX, CONTROL_HEADERS_MS_MAX } from '../../limits.js';
import { claimSocket, shortPath } from '../socket-path.js';
import { tokenCheck } from './token.js';

export interface Listener {
  readonly kind: 'socket' | 'tcp';
  /** A path, or host:port with the port that was given. */
  readonly address: string;
  /** Connections that are open. */
  connections(): number;
  /** Breaks off what is under way. */
  close(): Promise<void>;
}

/** An address of TCP. */
export interface TcpAddress {
  readonly host: string;
  readonly port: number;
}

/**
 * Serves on a unix socket of mode 0600.
 * @param alias a path that leads to it, too; left by a dead daemon it is taken away
 * @throws ALREADY_EXISTS, INVALID_ARGUMENT as claimSocket does; STORE_FAILED when the socket cannot be made
 */
export async function listenOnSocket(path: string, handle: RequestListener, alias?: string): Promise<Listener> {
  mkdirSync(dirname(resolve(path)), { recursive: true, mode: 0o700 });
  await claimSocket(path);
  const short = shortPath(path);
  const server = limitedServer(handle);
  // Nobody connects between the making of the socket and a chmod. The call makes it before it returns.
  const mask = process.umask(0o177);
  const listening = listen(server, () => server.listen(short.path));
  process.umask(mask);
  try {
    await listening;
  } catch (cause) {
    short.close();
    const message = `the API's socket ${path} cannot be made: ${(cause as Error).message}; --admin-socket chooses another path`;
    throw new MvfuseError('STORE_FAILED', message, { cause });
  }
  chmodSync(path, 0o600);
  const shown = alias === undefined ? undefined : await showAt(alias, path);
  return listener('socket', server, path, () => {
    if (shown !== undefined) rmSync(shown, { force: true });
    rmSync(path, { force: true });
    short.close();
  });
}

/** Serves on TCP; whoever does not present the token gets 401, whatever is asked for. @throws INVALID_ARGUMENT */
export async function listenOnTcp(
  { host, port }: TcpAddress,
  token: string,
  handle: RequestListener,
): Promise<Listener> {
  const isAllowed = tokenCheck(token);
  const server = limitedServer((incoming, response) => {
    if (isAllowed(incoming.headers.authorization)) {
      handle(incoming, response);
      return;
    }
    const headers = {
      'content-type': 'application/json',
      'www-authenticate': 'Bearer realm="mvfuse"',
      connection: 'close',
    };
    const message = 'a valid token is needed: Authorization: Bearer <token>';
    response.writeHead(401, headers).end(JSON.stringify({ code: 'ACCESS_DENIED', message }));
  });
  try {
    await listen(server, () => server.listen({ host, port }));
  } catch (cause) {
    const message = `the API cannot be served at ${formatAddress(host, port)}: ${(cause as Error).message}`;
    throw new MvfuseError('INVALID_ARGUMENT', message, { cause });
  }
  return listener('tcp', server, formatAddress(host, (server.address() as AddressInfo).port));
}

/** `HOST:PORT`; an address of IPv6 in brackets. @throws INVALID_ARGUMENT */
export function parseTcpAddress(text: string): TcpAddress {
  const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text.trim()) ?? [];
  if (port === undefined || Number(port) > 65_535) {
    throw new MvfuseError('INVALID_ARGUMENT', `"${text}" is no address: HOST:PORT is needed, such as 127.0.0.1:7001`);
  }
  return { host: (bracketed ?? plain)!, port: Number(port) };
}

function formatAddress(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

function limitedServer(handle: RequestListener): Server {
  const server = createServer({ connectionsCheckingInterval: CONTROL_HEADERS_MS_MAX / 4 }, handle);
  server.maxConnections = CONTROL_CONNECTIONS_MAX;
  server.headersTimeout = CONTROL_HEADERS_MS_MAX;
  // A large database may take longer than any limit; what stops coming is seen by who receives it.
  server.requestTimeout = 0;
  return server;
}

function listen(server: Server, start: () => void): Promise<void> {
  return new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.once('listening', resolve);
    start();
  });
}

function listener(kind: Listener['kind'], server: Server, address: string, free = (): void => {}): Listener {
  let open = 0;
  server.on('connection', (socket) => {
    open += 1;
    socket.once('close', () => {
      open -= 1;
    });
  });
  const close = async (): Promise<void> => {
    server.closeAllConnections();
    await new Promise<void>((resolve) => server.close(() => resolve()));
    free();
  };
  return { kind, address, connections: () => open, close };
}

/** Where the alias cannot be, who needs it is told by --api. */
async function showAt(alias: string, path: string): Promise<string | undefined> {
  try {
    await claimSocket(alias);
    symlinkSync(resolve(path), alias);
    return lstatSync(alias).isSymbolicLink() ? alias : undefined;
  } catch {
    return undefined;
  }
}
