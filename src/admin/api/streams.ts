// What takes long goes over the wire in pieces: whole databases, and lines of JSON that tell of progress.
//
// Whoever stops sending or reading for CONTROL_IDLE_MS_MAX is cut off, and whoever goes away ends the work. An error after
// the first bytes still reaches the client: as the last line, or as a trailer; without either the answer ends short.

import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { FastifyReply } from 'fastify';
import { MvfuseError } from '../../errors.js';
import { CONTROL_LINGER_MS, CONTROL_PROGRESS_MS_MAX, CONTROL_PROGRESS_MS_MIN } from '../../limits.js';
import type { Content, Progress, WorkOptions } from '../store-service.js';
import { describeError, NDJSON } from './replies.js';
import { object, ref, type Schema } from './schemas.js';

/** Carries, as JSON, which version the bytes that follow are. */
export const HEAD_HEADER = 'x-mvfuse-head';
/** Carries, as percent-encoded JSON, which versions the change file that follows holds. */
export const CHANGES_HEADER = 'x-mvfuse-changes';
/** Tells after the bytes, as JSON, why they are not all. */
export const ERROR_TRAILER = 'x-mvfuse-error';

/** A line of the answer to slow work; the last one has `result` or `error`. */
export function workLine(result: Schema): Schema {
  return {
    oneOf: [object({ progress: ref('Progress') }), object({ result }), object({ error: ref('Error') })],
    description:
      'Lines with "progress" come first, at least every five seconds; the last line has "result" or "error".',
  };
}

/**
 * Runs slow work and answers in lines. An error before the first line is thrown; afterwards it is the last line.
 * The work's signal is aborted when the client goes away.
 */
export async function streamWork<T>(
  reply: FastifyReply,
  work: (options: WorkOptions) => Promise<T>,
): Promise<FastifyReply> {
  const { raw } = reply;
  const controller = new AbortController();
  const gone = (): void => controller.abort(new MvfuseError('CLOSED', 'the client went away'));
  raw.once('close', gone);
  const lines = new ProgressLines(reply);
  const beat = setInterval(() => lines.beat(), CONTROL_PROGRESS_MS_MAX);
  try {
    const result = await work({ onProgress: (progress) => lines.progress(progress), signal: controller.signal });
    lines.end({ result: result ?? null });
  } catch (error) {
    if (!lines.begun) throw error;
    lines.end({ error: describeError(error) });
  } finally {
    clearInterval(beat);
    raw.off('close', gone);
  }
  return reply;
}

class ProgressLines {
  begun = false;
  readonly #reply: FastifyReply;
  readonly #raw: ServerResponse;
  #last: Progress = { done: 0, total: 0 };
  #toldMs = Number.NEGATIVE_INFINITY;

  constructor(reply: FastifyReply) {
    this.#reply = reply;
    this.#raw = reply.raw;
  }

  progress(progress: Progress): void {
    this.#last = progress;
    if (performance.now() - this.#toldMs >= CONTROL_PROGRESS_MS_MIN) this.beat();
  }

  /** Lines that nobody reads are not kept. */
  beat(): void {
    this.#toldMs = performance.now();
    if (!this.#raw.writableNeedDrain) this.#write({ progress: this.#last });
  }

  end(line: object): void {
    this.#write(line);
    this.#raw.end();
  }

  #write(line: object): void {
    if (!this.begun) {
      this.begun = true;
      this.#reply.hijack();
      this.#raw.writeHead(200, { 'content-type': NDJSON });
    }
    this.#raw.write(`${JSON.stringify(line)}\n`);
  }
}

/** The body, as long as it keeps coming. @throws CLOSED */
export async function* receiveBody(incoming: IncomingMessage, idleMsMax: number): AsyncGenerator<Uint8Array> {
  const pieces = incoming.iterator({ destroyOnReturn: false });
  const stalled = (): unknown => incoming.destroy(new MvfuseError('CLOSED', `no bytes came for ${idleMsMax / 1000} s`));
  try {
    for (;;) {
      const timer = setTimeout(stalled, idleMsMax);
      const { done, value } = await pieces.next().finally(() => clearTimeout(timer));
      if (done === true) return;
      yield value as Buffer;
    }
  } finally {
    await pieces.return?.();
  }
}

/** Reads on for a while after an early answer: to a sender whose connection is closed under it the answer is lost. */
export function drainAfterAnswer(incoming: IncomingMessage, { raw }: FastifyReply): void {
  raw.once('finish', () => {
    if (incoming.complete) return;
    const timer = setTimeout(() => incoming.destroy(), CONTROL_LINGER_MS);
    incoming.once('close', () => clearTimeout(timer));
    incoming.resume();
  });
}

/** Bytes on their way to a client. */
export interface Sent {
  readonly type: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Undefined where it is known only at the end. */
  readonly sizeBytes: number | undefined;
  readonly bytes: AsyncIterable<Uint8Array>;
}

/** One version's bytes, at the client's pace. */
export function sendContent(
  reply: FastifyReply,
  { head, bytes }: Content,
  type: string,
  idleMsMax: number,
): Promise<FastifyReply> {
  const headers = { [HEAD_HEADER]: JSON.stringify(head) };
  return sendBytes(reply, { type, headers, sizeBytes: head.sizeBytes, bytes }, idleMsMax);
}

/** At the client's pace. */
export async function sendBytes(
  reply: FastifyReply,
  { type, headers, sizeBytes, bytes }: Sent,
  idleMsMax: number,
): Promise<FastifyReply> {
  const { raw } = reply;
  // Only a client that says so looks at what comes after the bytes; others see that the length is not reached.
  const hasTrailers = /\btrailers\b/i.test(String(reply.request.headers.te));
  reply.hijack();
  raw.writeHead(200, {
    'content-type': type,
    ...headers,
    ...(hasTrailers ? { trailer: ERROR_TRAILER } : {}),
    ...(hasTrailers || sizeBytes === undefined ? {} : { 'content-length': sizeBytes }),
  });
  try {
    for await (const piece of bytes) {
      if (!raw.write(piece)) await drained(raw, idleMsMax);
      // Whoever asked for it is gone.
      if (raw.destroyed) return reply;
    }
  } catch (error) {
    if (!hasTrailers) raw.destroy();
    else raw.addTrailers({ [ERROR_TRAILER]: encodeURIComponent(JSON.stringify(describeError(error))) });
  }
  raw.end();
  return reply;
}

async function drained(raw: ServerResponse, idleMsMax: number): Promise<void> {
  const settled = new AbortController();
  const timer = setTimeout(() => raw.destroy(), idleMsMax);
  try {
    await Promise.race([
      once(raw, 'drain', { signal: settled.signal }),
      once(raw, 'close', { signal: settled.signal }),
    ]);
  } finally {
    clearTimeout(timer);
    settled.abort();
  }
}
