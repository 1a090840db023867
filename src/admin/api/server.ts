// The HTTP API of a daemon: its routes, put together, and the sockets that they are served on.
//
// One set of routes with JSON schemas is all there is: requests are checked by them, and the OpenAPI document is made of
// them. Only a daemon loads this module; commands use client.ts.

import swagger from '@fastify/swagger';
import { Ajv } from 'ajv';
import fastify, { type FastifyInstance, type FastifyRequest, type FastifySchemaCompiler } from 'fastify';
import type { Logger } from 'pino';
import { MvfuseError } from '../../errors.js';
import { CONTROL_BODY_BYTES_MAX, CONTROL_IDLE_MS_MAX } from '../../limits.js';
import type { StoreService } from '../store-service.js';
import type { Health } from './health.js';
import { type Listener, listenOnSocket, listenOnTcp, type TcpAddress } from './listener.js';
import type { Metrics } from './metrics.js';
import { callOf, handleErrors } from './replies.js';
import { compatibleRoutes } from './routes/compatible.js';
import { contentRoutes } from './routes/content.js';
import { daemonRoutes } from './routes/daemon.js';
import { namespaceRoutes } from './routes/namespaces.js';
import { versionRoutes } from './routes/versions.js';
import { SCHEMAS } from './schemas.js';

/** What the routes serve. */
export interface RouteOptions {
  readonly service: StoreService;
  readonly health: Health;
  readonly metrics: Metrics;
  /** Versions younger than this are removed by nobody; 0: all may be. */
  readonly truncateMinAgeMs: number;
  /** How long a client may send or read nothing. */
  readonly idleMsMax: number;
}

export interface ApiOptions extends Omit<RouteOptions, 'idleMsMax' | 'truncateMinAgeMs'> {
  readonly log: Logger;
  /** Of this release, for the document. */
  readonly release: string;
  readonly truncateMinAgeMs?: number;
  readonly idleMsMax?: number;
}

export interface ApiAddresses {
  /** The unix socket, and a second path that leads to it. */
  readonly socket?: { readonly path: string; readonly alias?: string | undefined } | undefined;
  readonly tcp?: { readonly address: TcpAddress; readonly token: string } | undefined;
}

export interface ApiServer {
  readonly listeners: readonly Listener[];
  close(): Promise<void>;
}

const DESCRIPTION =
  'The API of an mvfuse daemon. Calls under /api/v1 are its own; those tagged mvstore have the names and status codes of mvstore’s admin API. On TCP every call needs "Authorization: Bearer <token>".';
/** Names of namespaces and tags, percent-encoded. */
const PARAMETER_CHARACTERS_MAX = 1_024;

/** Serves until closed. @throws as listenOnSocket and listenOnTcp do */
export async function serveApi(options: ApiOptions, { socket, tcp }: ApiAddresses): Promise<ApiServer> {
  const app = await createApi(options);
  const listeners: Listener[] = [];
  const close = async (): Promise<void> => {
    await Promise.all(listeners.map((listener) => listener.close()));
    await app.close();
  };
  try {
    if (socket !== undefined) listeners.push(await listenOnSocket(socket.path, app.routing, socket.alias));
    if (tcp !== undefined) listeners.push(await listenOnTcp(tcp.address, tcp.token, app.routing));
  } catch (error) {
    await close();
    throw error;
  }
  options.metrics.countConnections(listeners);
  return { listeners, close };
}

async function createApi({ log, release, truncateMinAgeMs = 0, idleMsMax = CONTROL_IDLE_MS_MAX, ...rest }: ApiOptions) {
  const app = fastify({
    exposeHeadRoutes: false,
    bodyLimit: CONTROL_BODY_BYTES_MAX,
    routerOptions: { maxParamLength: PARAMETER_CHARACTERS_MAX },
    forceCloseConnections: true,
  });
  for (const [name, schema] of Object.entries(SCHEMAS)) app.addSchema({ $id: name, ...schema });
  app.setValidatorCompiler(validatorCompiler());
  // Every answer is as the service gave it; the tests hold them against the schemas.
  app.setSerializerCompiler(() => (value) => JSON.stringify(value));
  acceptJson(app);
  endStalledBodies(app, idleMsMax);
  handleErrors(app, log);
  app.addHook('onResponse', (request, reply, done) => {
    rest.metrics.apiAnswered(operationOf(request), reply.statusCode);
    log.debug({ call: callOf(request), status: reply.statusCode, ms: Math.round(reply.elapsedTime) }, 'api');
    done();
  });
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'mvfuse', description: DESCRIPTION, version: release },
      servers: [{ url: '/' }],
      components: { securitySchemes: { token: { type: 'http', scheme: 'bearer' } } },
      security: [{ token: [] }],
    },
    refResolver: { buildLocalReference: ({ $id }, _uri, _fragment, index) => String($id ?? `def-${index}`) },
  });
  const options: RouteOptions = { ...rest, truncateMinAgeMs, idleMsMax };
  for (const routes of [namespaceRoutes, versionRoutes, contentRoutes, daemonRoutes, compatibleRoutes]) {
    await app.register(routes, options);
  }
  await app.ready();
  return app;
}

/** There are as many as there are routes. */
function operationOf({ routeOptions: { schema } }: FastifyRequest): string {
  return (schema as { operationId?: string } | undefined)?.operationId ?? 'none';
}

/** Parameters are text, so they are turned into what they should be; bodies have types, which must be right. */
function validatorCompiler(): FastifySchemaCompiler<unknown> {
  const shared = Object.entries(SCHEMAS).map(([name, schema]) => ({ $id: name, ...schema }));
  const options = { strict: false, useDefaults: true, schemas: shared };
  const forBodies = new Ajv(options);
  const forParameters = new Ajv({ ...options, coerceTypes: true });
  return ({ schema, httpPart }) => (httpPart === 'body' ? forBodies : forParameters).compile(schema as object);
}

/** Whatever a client calls its body, it is JSON: curl -d says that it is a form. */
function acceptJson(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'string' }, (_request, text, done) => {
    if (text === '') return done(null, undefined);
    try {
      done(null, JSON.parse(text as string));
    } catch (cause) {
      done(new MvfuseError('INVALID_ARGUMENT', `the body is not JSON: ${(cause as Error).message}`, { cause }));
    }
  });
}

function endStalledBodies(app: FastifyInstance, idleMsMax: number): void {
  app.addHook('onRequest', (request, _reply, done) => {
    request.raw.socket.setTimeout(idleMsMax);
    done();
  });
  app.addHook('preValidation', (request, _reply, done) => {
    request.raw.socket.setTimeout(0);
    done();
  });
}
