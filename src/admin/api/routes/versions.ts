// The versions of a namespace: its log, what a moment means, tags, and what makes new versions of old ones.

import type { FastifyInstance } from 'fastify';
import { parseMomentOf, requireTruncatable } from '../arguments.js';
import { answers, json, lines } from '../replies.js';
import { array, body, described, flag, moment, namespaceName, object, ref, text } from '../schemas.js';
import type { RouteOptions } from '../server.js';
import { streamWork, workLine } from '../streams.js';
import { params } from './namespaces.js';

interface Named {
  Params: { namespace: string };
}

const LOG_LIMIT_DEFAULT = 20;
const tags = ['versions'];
const atParams = object({ namespace: namespaceName, moment });
const tagParams = object({ namespace: namespaceName, tag: text });
const dryRun = described(flag, 'Change nothing, and tell what would be done.');

export async function versionRoutes(app: FastifyInstance, options: RouteOptions): Promise<void> {
  const { service } = options;

  app.get<Named & { Querystring: { limit?: number; since?: string; pages?: boolean } }>(
    '/api/v1/namespaces/:namespace/versions',
    {
      schema: {
        tags,
        operationId: 'log',
        summary: 'The versions of a namespace, newest first',
        params,
        querystring: object({
          'limit?': { type: 'integer', minimum: 1, default: LOG_LIMIT_DEFAULT, description: 'At most this many.' },
          'since?': described(moment, 'Only versions after this moment.'),
          'pages?': described(flag, 'Whether to tell which pages each commit wrote.'),
        }),
        response: answers({ 200: json(array(ref('LogLine')), 'The versions.') }, [410]),
      },
    },
    ({ params: { namespace }, query: { limit = LOG_LIMIT_DEFAULT, since, pages } }) =>
      service.log(namespace, { limit, since, pages }),
  );

  app.get<{ Params: { namespace: string; moment: string } }>(
    '/api/v1/namespaces/:namespace/versions/:moment',
    {
      schema: {
        tags,
        operationId: 'resolve',
        summary: 'The version at a moment',
        params: atParams,
        response: answers({ 200: json(ref('Head'), 'The file as that version states it.') }, [410]),
      },
    },
    ({ params: at }) => service.resolve(at.namespace, at.moment),
  );

  app.get<{ Querystring: { timeMs: number; namespace?: string } }>(
    '/api/v1/time-points',
    {
      schema: {
        tags,
        operationId: 'timePoints',
        summary: 'The versions around a time: the newest at or before it, the oldest after it',
        querystring: object({
          timeMs: described({ type: 'integer', minimum: 0 }, 'Milliseconds since 1970.'),
          'namespace?': described(namespaceName, 'Of this namespace only; of the whole store unless it is said.'),
        }),
        response: answers({ 200: json(ref('TimePoints'), 'One of them is missing where there is none.') }),
      },
    },
    ({ query }) => service.timePoints(query.timeMs, query.namespace),
  );

  app.get<Named>(
    '/api/v1/namespaces/:namespace/tags',
    {
      schema: {
        tags,
        operationId: 'listTags',
        summary: 'The tags of a namespace',
        params,
        response: answers({ 200: json(array(ref('Tag')), 'The tags.') }),
      },
    },
    ({ params: { namespace } }) => service.listTags(namespace),
  );

  app.put<{ Params: { namespace: string; tag: string }; Body: { moment: string; move?: boolean } }>(
    '/api/v1/namespaces/:namespace/tags/:tag',
    {
      schema: {
        tags,
        operationId: 'addTag',
        summary: 'Give a version a name, which keeps it',
        params: tagParams,
        body: body({ moment, 'move?': described(flag, 'Whether a tag of that name may be moved here.') }),
        response: answers({ 200: json(ref('Tag'), 'The tag.') }, [409, 410, 413]),
      },
    },
    ({ params: { namespace, tag }, body: { moment: at, move = false } }) =>
      service.addTag(namespace, tag, at, { move }),
  );

  app.delete<{ Params: { namespace: string; tag: string } }>(
    '/api/v1/namespaces/:namespace/tags/:tag',
    {
      schema: {
        tags,
        operationId: 'removeTag',
        summary: 'Take a tag away; retention may then remove its version',
        params: tagParams,
        response: answers({ 204: undefined }),
      },
    },
    async ({ params: { namespace, tag } }, reply) => {
      await service.removeTag(namespace, tag);
      return reply.code(204).send();
    },
  );

  app.post<Named & { Body: { name: string; moment?: string } }>(
    '/api/v1/namespaces/:namespace/forks',
    {
      schema: {
        tags,
        operationId: 'fork',
        summary: 'Make a namespace that goes on from a version of this one',
        params,
        body: body({
          name: described(namespaceName, 'Of the new namespace.'),
          'moment?': described(moment, 'What it goes on from; the newest version unless it is said.'),
        }),
        response: answers(
          { 200: lines(workLine(ref('NamespaceInfo')), 'How far it is; then the fork.') },
          [409, 410, 413],
        ),
      },
    },
    ({ params: { namespace }, body: { name, moment: at = 'latest' } }, reply) =>
      streamWork(reply, (work) => service.fork(namespace, at, name, work)),
  );

  app.post<Named & { Body: { moment: string; dryRun?: boolean } }>(
    '/api/v1/namespaces/:namespace/rollback',
    {
      schema: {
        tags,
        operationId: 'rollback',
        summary: 'Commit what an old version holds as the newest one; nothing of the history is lost',
        params,
        body: body({ moment, 'dryRun?': dryRun }),
        response: answers(
          { 200: lines(workLine(ref('Rollback')), 'How far it is; then what was done.') },
          [409, 410, 423, 507],
        ),
      },
    },
    ({ params: { namespace }, body: { moment: at, dryRun: dry = false } }, reply) =>
      streamWork(reply, (work) => service.rollback(namespace, at, { dryRun: dry, ...work })),
  );

  app.get<{ Querystring: { from: string; to: string } }>(
    '/api/v1/diff',
    {
      schema: {
        tags,
        operationId: 'diff',
        summary: 'Which pages differ between two versions, of one namespace or of two',
        querystring: object({
          from: described(text, 'namespace@moment; the newest version without the "@".'),
          to: described(text, 'namespace@moment; the newest version without the "@".'),
        }),
        response: answers({ 200: lines(workLine(ref('Difference')), 'How far it is; then the pages.') }, [410]),
      },
    },
    ({ query }, reply) => {
      const [from, to] = [parseMomentOf(query.from), parseMomentOf(query.to)];
      return streamWork(reply, (work) => service.diff(from, to, work));
    },
  );

  app.post<Named & { Body: { moment: string; dryRun?: boolean } }>(
    '/api/v1/namespaces/:namespace/truncate',
    {
      schema: {
        tags,
        operationId: 'truncate',
        summary: 'Remove the versions before a moment, but for those that something needs',
        description: 'Refused with 403 for a version younger than the daemon’s --truncate-min-age, a dry run too.',
        params,
        body: body({ moment, 'dryRun?': dryRun }),
        response: answers(
          { 200: lines(workLine(ref('Truncation')), 'How far it is; then what was removed.') },
          [403, 409, 410, 423],
        ),
      },
    },
    async ({ params: { namespace }, body: { moment: at, dryRun: dry = false } }, reply) => {
      await requireTruncatable(options, namespace, at);
      return streamWork(reply, (work) => service.truncate(namespace, at, { dryRun: dry, ...work }));
    },
  );
}
