// Calls of a daemon's API for tests, each answer held against the OpenAPI document that the daemon serves.

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync } from 'node:fs';
import { type RequestOptions, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { type MountOptions, TestMount } from './mounted.js';

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
  readonly bytes: Buffer;
  /** Of a JSON answer. */
  readonly json: unknown;
  /** Of an answer in lines. */
  readonly lines: readonly Json[];
}

export interface Call {
  readonly body?: unknown;
  readonly raw?: Buffer | string;
  readonly headers?: Readonly<Record<string, string>>;
}

type Json = Readonly<Record<string, unknown>>;
interface Operation {
  readonly operationId: string;
  readonly responses: Readonly<Record<string, { readonly content?: Readonly<Record<string, unknown>> }>>;
}
export interface Document {
  readonly openapi: string;
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
}

/** One request over a unix socket or TCP, whatever comes back. */
export function send(target: RequestOptions, method: string, path: string, call: Call = {}): Promise<Answer> {
  const body = call.raw ?? (call.body === undefined ? undefined : JSON.stringify(call.body));
  const length = body === undefined ? {} : { 'content-length': Buffer.byteLength(body) };
  const type = call.body === undefined ? {} : { 'content-type': 'application/json' };
  return new Promise((resolve, reject) => {
    const headers = { ...type, ...length, ...(target.headers as object), ...call.headers };
    const outgoing = request({ ...target, method, path, headers }, (incoming) => {
      const chunks: Buffer[] = [];
      incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
      incoming.once('error', reject);
      incoming.once('end', () => {
        const bytes = Buffer.concat(chunks);
        const text = bytes.toString();
        const type = String(incoming.headers['content-type']);
        const lines = type.includes('ndjson') ? text.trim().split('\n').filter(Boolean) : [];
        resolve({
          status: incoming.statusCode!,
          headers: { ...incoming.headers, ...incoming.trailers },
          text,
          bytes,
          json: type.includes('/json') && text !== '' ? JSON.parse(text) : undefined,
          lines: lines.map((line) => JSON.parse(line) as Json),
        });
      });
    });
    outgoing.once('error', reject);
    outgoing.end(body);
  });
}

/** A mount on an embedded store, wherever other tests have theirs. */
export function startEmbedded(options: MountOptions = {}, flags: readonly string[] = []): Promise<TestMount> {
  const base = options.base ?? mkdtempSync(join(tmpdir(), 'mvfuse-test-'));
  mkdirSync(base, { recursive: true });
  return TestMount.start({ storeUrl: `sqlite:${join(base, 'store')}`, ...options, base }, flags);
}

/** The socket of its daemon. */
export function socketOf(mount: TestMount): RequestOptions {
  return { socketPath: join(mount.base, 'store', 'control.sock') };
}

/** An API, its document, and which operations were seen to answer with which statuses. */
export class CheckedApi {
  readonly target: RequestOptions;
  readonly document: Document;
  readonly seen = new Map<string, Set<number>>();
  readonly #ajv = new Ajv2020({ strict: false, allErrors: true });

  constructor(target: RequestOptions, document: Document) {
    this.target = target;
    this.document = document;
    this.#ajv.addSchema(closed(document) as object, 'document');
  }

  /** As send; fails when the document knows no such call, status or answer. */
  async call(method: string, path: string, call: Call = {}): Promise<Answer> {
    const answer = await send(this.target, method, path, call);
    this.check(method, path, answer);
    return answer;
  }

  /** A call that must be answered so. */
  async expect(status: number, method: string, path: string, body?: unknown): Promise<Answer> {
    const answer = await this.call(method, path, body === undefined ? {} : { body });
    assert.equal(answer.status, status, `${method} ${path}: ${answer.text}`);
    return answer;
  }

  /** Slow work that must succeed; its result. */
  async work(method: string, path: string, body?: unknown): Promise<never> {
    const { lines } = await this.expect(200, method, path, body);
    const last = lines.at(-1) as Json | undefined;
    assert.ok(last !== undefined && 'result' in last, JSON.stringify(last));
    return last.result as never;
  }

  check(method: string, path: string, answer: Answer): void {
    const [route, operation] = this.#operation(method, path);
    const statuses = this.seen.get(operation.operationId) ?? new Set();
    this.seen.set(operation.operationId, statuses.add(answer.status));
    const response = operation.responses[answer.status];
    assert.ok(response, `${method} ${route} does not tell of status ${answer.status}: ${answer.text}`);
    if (response.content === undefined) {
      assert.equal(answer.text, '', `${method} ${route} tells of no content`);
      return;
    }
    const type = String(answer.headers['content-type']).split(';')[0]!;
    assert.ok(type in response.content, `${method} ${route} does not tell of ${type}`);
    const pointer = ['paths', route, method.toLowerCase(), 'responses', answer.status, 'content', type, 'schema'];
    const $ref = `document#/${pointer.map((part) => encodeURIComponent(String(part).replaceAll('~', '~0').replaceAll('/', '~1'))).join('/')}`;
    const values = type.includes('ndjson') ? answer.lines : type === 'application/json' ? [answer.json] : [];
    for (const value of values) {
      const isValid = this.#ajv.validate({ $ref }, value);
      assert.ok(isValid, `${method} ${path}: ${this.#ajv.errorsText()} in ${JSON.stringify(value).slice(0, 400)}`);
    }
  }

  #operation(method: string, path: string): [string, Operation] {
    const parts = path.split('?')[0]!.split('/');
    const matches = (route: string): boolean => {
      const names = route.split('/');
      return (
        names.length === parts.length && names.every((name, index) => name.startsWith('{') || name === parts[index])
      );
    };
    const route = Object.keys(this.document.paths)
      .filter(matches)
      .find((route) => this.document.paths[route]![method.toLowerCase()] !== undefined);
    assert.ok(route, `${method} ${path} is not in the document`);
    return [route, this.document.paths[route]![method.toLowerCase()]!];
  }
}

/** The API there, with the document that it serves. */
export async function openApi(target: RequestOptions): Promise<CheckedApi> {
  const { status, json } = await send(target, 'GET', '/openapi.json');
  assert.equal(status, 200);
  return new CheckedApi(target, json as Document);
}

/** Every operation of a document. */
export function operations(document: Document): Array<{ method: string; route: string; operation: Operation }> {
  return Object.entries(document.paths).flatMap(([route, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ method: method.toUpperCase(), route, operation })),
  );
}

/** What an answer has must be told of, every property of it. */
function closed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(closed);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).map(([key, inner]) => [key, closed(inner)] as const);
  const isObject = 'properties' in value && 'type' in value;
  return { ...Object.fromEntries(entries), ...(isObject ? { additionalProperties: false } : {}) };
}
