// The other end of the API: the service on a store that a daemon has open, over its unix socket or over TCP.
//
// It knows nothing that commands do not need to load; that keeps their start short.

import { once } from 'node:events';
import { Agent, type ClientRequest, type IncomingMessage, type RequestOptions, request } from 'node:http';
import { createInterface } from 'node:readline';
import { ERROR_CODES, type ErrorCode, MvfuseError } from '../../errors.js';
import type { Status } from '../../status.js';
import type {
  Commit,
  DroppedNamespace,
  Head,
  MaintenanceLock,
  NamespaceDetails,
  NamespaceInfo,
  RetentionPolicy,
  Tag,
} from '../../store/types.js';
import type { AppliedChanges } from '../apply-changes.js';
import type { ChangesHeader } from '../change-file.js';
import { answers, type ShortPath, shortPath } from '../socket-path.js';
import type {
  Difference,
  LogLine,
  Progress,
  Rollback,
  StoreService,
  TimePoints,
  Truncation,
  WorkOptions,
} from '../store-service.js';
import type { Readiness } from './health.js';

const HEAD_HEADER = 'x-mvfuse-head';
const CHANGES_HEADER = 'x-mvfuse-changes';
const ERROR_TRAILER = 'x-mvfuse-error';

/** Where an API is served. */
export type ApiPlace =
  | { readonly kind: 'socket'; readonly path: string }
  | { readonly kind: 'tcp'; readonly url: URL; readonly token: string | undefined };

/** What a daemon offers beside the service on its store. */
export interface DaemonClient extends StoreService {
  readiness(): Promise<Readiness>;
}

/** `unix:PATH`, `http://HOST:PORT`, or `https://` where a proxy adds TLS. @throws INVALID_ARGUMENT */
export function parseApiUrl(text: string, token: string | undefined): ApiPlace {
  if (text.startsWith('unix:') && text.length > 5) return { kind: 'socket', path: text.slice(5).replace(/^\/\//, '') };
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !['http:', 'https:'].includes(url.protocol) || url.username !== '' || url.pathname !== '/') {
    throw new MvfuseError('INVALID_ARGUMENT', `"${text}" is no API: unix:PATH or http://HOST:PORT is needed`);
  }
  return { kind: 'tcp', url, token };
}

/** The daemon's service, or undefined when none listens on the socket. */
export async function connectSocket(path: string): Promise<DaemonClient | undefined> {
  return (await answers(path)) ? connectApi({ kind: 'socket', path }) : undefined;
}

/** The service of the daemon that serves there; the first call shows whether one does. */
export function connectApi(place: ApiPlace): DaemonClient {
  const api = new Connection(place);
  const at = (name: string, rest = ''): string => `/api/v1/namespaces/${encodeURIComponent(name)}${rest}`;
  return {
    listNamespaces: (prefix) => api.call<NamespaceInfo[]>('GET', `/api/v1/namespaces${query({ prefix })}`),
    createNamespace: (name) => api.call<NamespaceInfo>('POST', '/api/v1/namespaces', { name }),
    statNamespace: (name) => api.call<NamespaceDetails>('GET', at(name)),
    renameNamespace: (name, newName) => api.call<NamespaceInfo>('PATCH', at(name), { name: newName }),
    deleteNamespace: (name, { id } = {}) =>
      api.work<DroppedNamespace>('DELETE', `${at(name)}${query({ id })}`, undefined),
    purgeNamespace: async (name, { force, id, ...work } = {}) => {
      await api.work<null>('DELETE', `${at(name)}${query({ purge: true, force, id })}`, undefined, work);
    },
    undeleteNamespace: (name, options = {}) => api.call<NamespaceInfo>('POST', at(name, '/undelete'), options),
    listDeleted: (prefix) => api.call<DroppedNamespace[]>('GET', `/api/v1/deleted-namespaces${query({ prefix })}`),
    setRetention: async (name, policy) => {
      const path = name === undefined ? '/api/v1/retention' : at(name, '/retention');
      await api.call(policy === undefined ? 'DELETE' : 'PUT', path, policy);
    },
    defaultRetention: () => api.call<RetentionPolicy>('GET', '/api/v1/retention'),
    setAccessProof: async (name, proof) => {
      await api.call(proof === undefined ? 'DELETE' : 'PUT', at(name, '/access-proof'), proof && { proof });
    },
    setMode: async (name, mode) => {
      await api.call(
        mode === undefined ? 'DELETE' : 'PUT',
        at(name, '/mode'),
        mode === undefined ? undefined : { mode },
      );
    },
    resolve: (name, moment) => api.call<Head>('GET', at(name, `/versions/${encodeURIComponent(moment)}`)),
    log: (name, { limit, since, pages }) =>
      api.call<LogLine[]>('GET', at(name, `/versions${query({ limit, since, pages })}`)),
    timePoints: (timeMs, namespace) =>
      api.call<TimePoints>('GET', `/api/v1/time-points${query({ timeMs, namespace })}`),
    listTags: (name) => api.call<Tag[]>('GET', at(name, '/tags')),
    addTag: (name, tag, moment, options) =>
      api.call<Tag>('PUT', at(name, `/tags/${encodeURIComponent(tag)}`), { moment, ...options }),
    removeTag: async (name, tag) => {
      await api.call('DELETE', at(name, `/tags/${encodeURIComponent(tag)}`));
    },
    fork: (name, moment, newName, work) =>
      api.work<NamespaceInfo>('POST', at(name, '/forks'), { name: newName, moment }, work),
    rollback: (name, moment, { dryRun, ...work } = {}) =>
      api.work<Rollback>('POST', at(name, '/rollback'), { moment, dryRun }, work),
    diff: (from, to, work) => {
      const sides = { from: `${from.namespace}@${from.moment}`, to: `${to.namespace}@${to.moment}` };
      return api.work<Difference>('GET', `/api/v1/diff${query(sides)}`, undefined, work);
    },
    truncate: (name, moment, { dryRun, ...work } = {}) =>
      api.work<Truncation>('POST', at(name, '/truncate'), { moment, dryRun }, work),
    collect: (namespace, { dryRun, ...work } = {}) =>
      api.work<Truncation[]>('POST', '/api/v1/collect', { namespace, dryRun }, work),
    lock: (name, owner, moment) => api.call<MaintenanceLock>('PUT', at(name, '/lock'), { owner, moment }),
    unlock: (name, owner, how) => api.call<Head>('POST', at(name, '/unlock'), { owner, how }),
    exportVersion: async (name, moment) => {
      const incoming = await api.send('GET', at(name, `/content${query({ moment })}`), { headers: { te: 'trailers' } });
      return { head: JSON.parse(incoming.headers[HEAD_HEADER] as string) as Head, bytes: receiveContent(incoming) };
    },
    importDatabase: async (name, sizeBytes, bytes) =>
      (await readAnswer(await api.send('PUT', at(name, '/content'), { body: { sizeBytes, bytes } }))) as Commit,
    exportChanges: async (name, range) => {
      const path = at(name, `/changes${query({ ...range })}`);
      const incoming = await api.send('GET', path, { headers: { te: 'trailers' } });
      const header = JSON.parse(decodeURIComponent(incoming.headers[CHANGES_HEADER] as string)) as ChangesHeader;
      return { header, bytes: receiveContent(incoming) };
    },
    applyChanges: async (name, bytes, { signal } = {}) => {
      const incoming = await api.send('POST', at(name, '/changes'), { body: { bytes }, signal });
      return (await readAnswer(incoming)) as AppliedChanges;
    },
    status: () => api.call<Status>('GET', '/api/v1/status'),
    readiness: () => api.readiness(),
    close: async () => api.close(),
  };
}

interface Sent {
  readonly json?: unknown;
  /** Where it is no JSON. */
  readonly body?: { readonly sizeBytes?: number; readonly bytes: AsyncIterable<Uint8Array> };
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
}

class Connection {
  readonly #place: ApiPlace;
  #socket: ShortPath | undefined;
  /** A connection that the daemon closes after its answer can take that with it, while something is still written here. */
  #agent: Agent | undefined;

  constructor(place: ApiPlace) {
    this.#place = place;
  }

  async call<T>(method: string, path: string, json?: unknown): Promise<T> {
    return (await readAnswer(await this.send(method, path, { json }))) as T;
  }

  /** Slow work: progress comes in lines, then the result or the error. Ended by its signal, it rejects with the reason. */
  async work<T>(method: string, path: string, json: unknown, { onProgress, signal }: WorkOptions = {}): Promise<T> {
    signal?.throwIfAborted();
    try {
      const incoming = await this.send(method, path, { json, signal });
      for await (const text of createInterface({ input: incoming, crlfDelay: Number.POSITIVE_INFINITY })) {
        const line = JSON.parse(text) as { progress?: Progress; result?: T; error?: { code: string; message: string } };
        if (line.error !== undefined) throw remoteError(line.error);
        if (line.result !== undefined) return line.result;
        if (line.progress !== undefined) onProgress?.(line.progress);
      }
    } catch (error) {
      signal?.throwIfAborted();
      throw error;
    }
    signal?.throwIfAborted();
    throw new MvfuseError('CLOSED', 'the daemon ended before the work was done');
  }

  async readiness(): Promise<Readiness> {
    const incoming = await this.#open('GET', '/readyz', {});
    const answer = await readAnswer(incoming);
    if (incoming.statusCode === 200 || incoming.statusCode === 503) return answer as Readiness;
    throw remoteError(answer as { code: string; message: string });
  }

  /** Sends a request and gives the answer, still to be read, if it is no error. */
  async send(method: string, path: string, sent: Sent): Promise<IncomingMessage> {
    const incoming = await this.#open(method, path, sent);
    if (incoming.statusCode! < 300) return incoming;
    throw remoteError((await readAnswer(incoming)) as { code: string; message: string });
  }

  close(): void {
    this.#agent?.destroy();
    this.#agent = undefined;
    this.#socket?.close();
    this.#socket = undefined;
  }

  async #open(method: string, path: string, { json, body, headers = {}, signal }: Sent): Promise<IncomingMessage> {
    const { target, start } = await this.#target();
    const text = json === undefined ? undefined : Buffer.from(JSON.stringify(json));
    const sizeBytes = body?.sizeBytes ?? text?.length;
    const length = sizeBytes === undefined ? {} : { 'content-length': sizeBytes };
    const outgoing = start({
      ...target,
      method,
      path,
      agent: this.#agent,
      headers: { ...(target.headers as object), ...headers, ...length },
      ...(signal === undefined ? {} : { signal }),
    });
    const answered = new Promise<IncomingMessage>((resolve, reject) => {
      outgoing.once('response', resolve);
      outgoing.on('error', (cause: NodeJS.ErrnoException) => reject(this.#unreachable(cause)));
    });
    answered.catch(() => undefined);
    try {
      if (body === undefined || (await sendBody(outgoing, body.bytes, answered))) {
        outgoing.end(text);
        return await answered;
      }
      const incoming = await answered;
      // The daemon still counts on the rest: nothing else can be sent on that connection.
      incoming.once('end', () => outgoing.destroy());
      return incoming;
    } catch (error) {
      outgoing.destroy();
      throw error;
    }
  }

  async #target(): Promise<{ target: RequestOptions; start: typeof request }> {
    if (this.#place.kind === 'socket') {
      this.#socket ??= shortPath(this.#place.path);
      this.#agent ??= new Agent({ keepAlive: true });
      return { target: { socketPath: this.#socket.path, headers: { host: 'mvfuse' } }, start: request };
    }
    const { url, token } = this.#place;
    const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
    const target = { protocol: url.protocol, hostname: url.hostname.replace(/^\[|\]$/g, ''), port: url.port, headers };
    const http = url.protocol === 'https:' ? await import('node:https') : { Agent, request };
    this.#agent ??= new http.Agent({ keepAlive: true });
    return { target, start: http.request };
  }

  #unreachable(cause: NodeJS.ErrnoException): Error {
    if (cause.name === 'AbortError' || cause.code === undefined) return cause;
    const where = this.#place.kind === 'socket' ? this.#place.path : this.#place.url.origin;
    return new MvfuseError('CLOSED', `the daemon at ${where} cannot be reached: ${cause.message}`, { cause });
  }
}

/** False when the answer, a refusal, came before everything was sent. @throws what the source throws */
async function sendBody(
  outgoing: ClientRequest,
  bytes: AsyncIterable<Uint8Array>,
  answered: Promise<unknown>,
): Promise<boolean> {
  let isOver = false;
  const over = answered.finally(() => {
    isOver = true;
  });
  over.catch(() => undefined);
  for await (const piece of bytes) {
    if (isOver) return false;
    if (!outgoing.write(piece))
      await Promise.race([once(outgoing, 'drain').catch(() => undefined), over.catch(() => undefined)]);
  }
  return !isOver;
}

function query(values: Readonly<Record<string, string | number | boolean | undefined>>): string {
  const given = Object.entries(values).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, String(value)] as [string, string]],
  );
  return given.length === 0 ? '' : `?${new URLSearchParams(given)}`;
}

/** The bytes to their end. @throws what broke them off at the other side */
async function* receiveContent(incoming: IncomingMessage): AsyncGenerator<Uint8Array> {
  yield* incoming as AsyncIterable<Buffer>;
  const broken = incoming.trailers[ERROR_TRAILER];
  if (broken !== undefined)
    throw remoteError(JSON.parse(decodeURIComponent(broken)) as { code: string; message: string });
}

async function readAnswer(incoming: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(chunk as Buffer);
  if (chunks.length === 0) return undefined;
  const text = Buffer.concat(chunks).toString();
  try {
    return JSON.parse(text);
  } catch (cause) {
    const message = `what answers with status ${incoming.statusCode} is no mvfuse daemon, or something between it and here`;
    throw new MvfuseError('STORE_FAILED', message, { cause });
  }
}

function remoteError({ code, message }: { code: string; message: string }): Error {
  return ERROR_CODES.includes(code as ErrorCode) ? new MvfuseError(code as ErrorCode, message) : new Error(message);
}
