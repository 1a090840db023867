// Whole databases out and in, and the check of a version's pages.

import type { FastifyInstance } from 'fastify';
import { MvfuseError } from '../../../errors.js';
import { answers, json, lines, StatusError } from '../replies.js';
import { described, moment, object, optionalBody, ref } from '../schemas.js';
import type { RouteOptions } from '../server.js';
import {
  CHANGES_HEADER,
  drainAfterAnswer,
  ERROR_TRAILER,
  HEAD_HEADER,
  receiveBody,
  sendBytes,
  sendContent,
  streamWork,
  workLine,
} from '../streams.js';
import { params } from './namespaces.js';

interface Named {
  Params: { namespace: string };
}

const tags = ['content'];
const DATABASE = 'application/vnd.sqlite3';
const CHANGE_FILE = 'application/octet-stream';

export async function contentRoutes(app: FastifyInstance, { service, idleMsMax }: RouteOptions): Promise<void> {
  app.get<Named & { Querystring: { moment?: string } }>(
    '/api/v1/namespaces/:namespace/content',
    {
      schema: {
        tags,
        operationId: 'exportVersion',
        summary: 'One version as a SQLite database',
        description: `An error after the first bytes shortens the answer. A client that sends "TE: trailers" gets no Content-Length then, and the error, percent-encoded JSON, in the trailer ${ERROR_TRAILER}.`,
        params,
        querystring: object({ 'moment?': described(moment, 'The newest version unless it is said.') }),
        response: answers(
          {
            200: {
              description: 'The bytes of the file.',
              headers: { [HEAD_HEADER]: { type: 'string', description: 'The version that they are: Head as JSON.' } },
              content: { [DATABASE]: { schema: {} } },
            },
          },
          [410],
        ),
      },
    },
    async ({ params: { namespace }, query }, reply) => {
      const content = await service.exportVersion(namespace, query.moment ?? 'latest');
      return sendContent(reply, content, DATABASE, idleMsMax);
    },
  );

  app.post<Named & { Body: { moment?: string } | null }>(
    '/api/v1/namespaces/:namespace/check',
    {
      schema: {
        tags,
        operationId: 'check',
        summary: 'Hold every page of a version against its checksum',
        description: 'The command mvfuse check has SQLite’s own integrity check look at the content, too.',
        params,
        body: optionalBody({ 'moment?': described(moment, 'The newest version unless it is said.') }),
        response: answers(
          { 200: lines(workLine(ref('Checked')), 'How far it is; then what was found in order.') },
          [410],
        ),
      },
    },
    async ({ params: { namespace }, body }, reply) => {
      const { head, bytes } = await service.exportVersion(namespace, body?.moment ?? 'latest');
      return streamWork(reply, async ({ onProgress, signal }) => {
        let done = 0;
        for await (const piece of bytes) {
          signal?.throwIfAborted();
          done += piece.length;
          onProgress?.({ done, total: head.sizeBytes });
        }
        return { head, bytes: done };
      });
    },
  );

  app.get<Named & { Querystring: { since: string; until?: string } }>(
    '/api/v1/namespaces/:namespace/changes',
    {
      schema: {
        tags,
        operationId: 'exportChanges',
        summary: 'The versions after a moment, as a change file',
        description: `For a backup that is brought up to date, or a replica. An error after the first bytes breaks the answer off, or is in the trailer ${ERROR_TRAILER} as for the content of a version; a change file that is not whole is told from one that is by its checksums.`,
        params,
        querystring: object({
          since: { type: 'string', description: 'A moment: only versions after it. "first": from the beginning.' },
          'until?': described(moment, 'The last version; the newest unless it is said.'),
        }),
        response: answers(
          {
            200: {
              description: 'The file.',
              headers: {
                [CHANGES_HEADER]: {
                  type: 'string',
                  description: 'What the file says of itself, percent-encoded JSON: namespace, from, to.',
                },
              },
              content: { [CHANGE_FILE]: { schema: {} } },
            },
          },
          [410],
        ),
      },
    },
    async ({ params: { namespace }, query: { since, until } }, reply) => {
      const { header, bytes } = await service.exportChanges(namespace, { since, until });
      const headers = { [CHANGES_HEADER]: encodeURIComponent(JSON.stringify(header)) };
      return sendBytes(reply, { type: CHANGE_FILE, headers, sizeBytes: undefined, bytes }, idleMsMax);
    },
  );

  await app.register(async (raw) => {
    // Only here is a body no JSON: it is taken in piece by piece, at the store's pace.
    raw.removeAllContentTypeParsers();
    raw.addContentTypeParser('*', (_request, payload, done) => done(null, payload));
    raw.put<Named>(
      '/api/v1/namespaces/:namespace/content',
      {
        schema: {
          tags,
          operationId: 'importDatabase',
          summary: 'Make a SQLite database the newest version, as one commit',
          description: `Durable when it is answered; without a success nothing changed. Content-Length is needed. Whoever sends nothing for ${idleMsMax / 1000} seconds is cut off.`,
          params,
          body: { content: { [DATABASE]: { schema: {} } } },
          response: answers({ 200: json(ref('Commit'), 'The commit.') }, [409, 411, 413, 423, 507]),
        },
      },
      async ({ params: { namespace }, headers, raw: incoming }, reply) => {
        drainAfterAnswer(incoming, reply);
        const length = headers['content-length'];
        if (length === undefined) {
          throw new StatusError(
            411,
            new MvfuseError('INVALID_ARGUMENT', 'Content-Length, the size of the database, is missing'),
          );
        }
        return service.importDatabase(namespace, Number(length), receiveBody(incoming, idleMsMax));
      },
    );
    raw.post<Named>(
      '/api/v1/namespaces/:namespace/changes',
      {
        schema: {
          tags,
          operationId: 'applyChanges',
          summary: 'Replay a change file onto a namespace',
          description: `The namespace is made when the file begins a chain. Each version is committed when all of it has come and its checksum is right; the same file again goes on from there. Whoever sends nothing for ${idleMsMax / 1000} seconds is cut off.`,
          params,
          body: { content: { [CHANGE_FILE]: { schema: {} } } },
          response: answers({ 200: json(ref('AppliedChanges'), 'What was applied.') }, [409, 410, 413, 423, 507]),
        },
      },
      async ({ params: { namespace }, raw: incoming }, reply) => {
        drainAfterAnswer(incoming, reply);
        return service.applyChanges(namespace, receiveBody(incoming, idleMsMax));
      },
    );
  });
}
