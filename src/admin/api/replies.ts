// How the routes of the API describe their answers, and what becomes of errors.

import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import { type ErrorCode, errorMeaning, isMvfuseError, MvfuseError } from '../../errors.js';
import { ref, type Schema } from './schemas.js';

export const NDJSON = 'application/x-ndjson';

/** What an error looks like to clients. */
export interface ErrorBody {
  readonly code: ErrorCode | 'INTERNAL';
  readonly message: string;
}

export function describeError(error: unknown): ErrorBody {
  return { code: isMvfuseError(error) ? error.code : 'INTERNAL', message: (error as Error).message };
}

/** An error that is answered with another status than its code has by itself. */
export class StatusError extends MvfuseError {
  readonly httpStatus: number;

  constructor(httpStatus: number, error: MvfuseError) {
    super(error.code, error.message, { cause: error });
    this.httpStatus = httpStatus;
  }
}

const ERRORS: Readonly<Record<number, string>> = {
  400: 'An argument is wrong.',
  401: 'On TCP: the token is missing or wrong. Nothing was done.',
  403: 'Not allowed.',
  404: 'There is no such namespace, version, tag or route.',
  409: 'It exists already, or its state does not allow the call.',
  410: 'The version was there and has been removed.',
  411: 'Content-Length is missing.',
  413: 'A limit was passed.',
  422: 'It exists already.',
  423: 'Somebody else holds the write lock, or a maintenance lock.',
  500: 'A defect of the daemon, or stored bytes that are damaged.',
  503: 'The store cannot be used now, or the daemon is ending.',
  507: 'No space is left where the data must go.',
};

/** The errors that every call may be answered with. */
const COMMON = [400, 401, 404, 500, 503];

/** The answers of a route: those that mean success, and errors by their status. */
export function answers(
  success: Readonly<Record<number, Schema | undefined>>,
  errors: readonly number[] = [],
): Record<number, Schema> {
  const described = Object.entries(success).map(([status, schema]) => {
    return [status, schema ?? { type: 'null', description: 'Done.' }] as const;
  });
  const failed = [...new Set([...COMMON, ...errors])].sort((a, b) => a - b);
  return Object.fromEntries([
    ...described,
    ...failed.filter((status) => !(status in success)).map((status) => [status, errorAnswer(status)] as const),
  ]);
}

function errorAnswer(status: number): Schema {
  const headers = status === 401 ? { headers: { 'www-authenticate': { type: 'string' } } } : {};
  return { description: ERRORS[status]!, ...headers, content: { 'application/json': { schema: ref('Error') } } };
}

export function json(schema: Schema, description: string): Schema {
  return { description, content: { 'application/json': { schema } } };
}

/** Lines of JSON, each by that schema. */
export function lines(schema: Schema, description: string): Schema {
  return { description, content: { [NDJSON]: { schema } } };
}

/** Errors become JSON with their status; what nobody expected is logged with its stack. */
export function handleErrors(app: FastifyInstance, log: Logger): void {
  app.setErrorHandler((error: FastifyError, request, reply) => {
    const known = asMvfuseError(error);
    if (known === undefined) log.error({ err: error, call: callOf(request) }, 'a call of the API failed');
    sendError(reply, known ?? error);
  });
  app.setNotFoundHandler((request, reply) => {
    sendError(reply, new MvfuseError('NOT_FOUND', `${callOf(request)} is not served here: see /openapi.json`));
  });
}

function sendError(reply: FastifyReply, error: Error): void {
  if (reply.raw.headersSent) {
    reply.raw.destroy();
    return;
  }
  reply.code(statusOf(error)).type('application/json').send(describeError(error));
}

function statusOf(error: Error): number {
  if (error instanceof StatusError) return error.httpStatus;
  return isMvfuseError(error) ? errorMeaning(error.code).httpStatus : 500;
}

/** What was wrong with a request before its route saw it. */
function asMvfuseError(error: FastifyError): MvfuseError | undefined {
  if (isMvfuseError(error)) return error;
  if (error.code === 'FST_ERR_CTP_BODY_TOO_LARGE')
    return new MvfuseError('LIMIT', 'the body is too long', { cause: error });
  const { statusCode = 500, validation, message } = error;
  if (validation !== undefined || statusCode < 500)
    return new MvfuseError('INVALID_ARGUMENT', message, { cause: error });
  return undefined;
}

/** Method and route; never parameters, bodies or headers, which may hold what is no log's business. */
export function callOf({ method, routeOptions, url }: FastifyRequest): string {
  return `${method} ${routeOptions.url ?? url.split('?')[0]}`;
}
