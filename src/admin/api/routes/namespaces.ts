// /api/v1/namespaces: what there is, and each namespace as a whole.

import type { FastifyInstance } from 'fastify';
import type { RetentionPolicy } from '../../../store/types.js';
import { answers, json, lines } from '../replies.js';
import { array, body, described, flag, namespaceName, object, optionalBody, ref, SCHEMAS, text } from '../schemas.js';
import type { RouteOptions } from '../server.js';
import { streamWork, workLine } from '../streams.js';

interface Named {
  Params: { namespace: string };
}

const tags = ['namespaces'];
export const params = object({ namespace: namespaceName });
const policyBody = { ...SCHEMAS.RetentionPolicy!, additionalProperties: false };

export async function namespaceRoutes(app: FastifyInstance, { service }: RouteOptions): Promise<void> {
  app.get<{ Querystring: { prefix?: string } }>(
    '/api/v1/namespaces',
    {
      schema: {
        tags,
        operationId: 'listNamespaces',
        summary: 'Every namespace, ascending by the bytes of its name',
        querystring: object({ 'prefix?': described(text, 'Only names that begin so.') }),
        response: answers({ 200: json(array(ref('NamespaceInfo')), 'The namespaces.') }),
      },
    },
    ({ query }) => service.listNamespaces(query.prefix),
  );

  app.post<{ Body: { name: string } }>(
    '/api/v1/namespaces',
    {
      schema: {
        tags,
        operationId: 'createNamespace',
        summary: 'Make an empty namespace',
        body: body({
          name: described(namespaceName, 'One that ends in ":" and 64 hex digits carries its access proof.'),
        }),
        response: answers({ 201: json(ref('NamespaceInfo'), 'The new namespace.') }, [409, 413]),
      },
    },
    async ({ body: { name } }, reply) => reply.code(201).send(await service.createNamespace(name)),
  );

  app.get<Named>(
    '/api/v1/namespaces/:namespace',
    {
      schema: {
        tags,
        operationId: 'statNamespace',
        summary: 'One namespace, with all that the store keeps of it besides its pages',
        params,
        response: answers({ 200: json(ref('NamespaceDetails'), 'The namespace.') }),
      },
    },
    ({ params: { namespace } }) => service.statNamespace(namespace),
  );

  app.patch<Named & { Body: { name: string } }>(
    '/api/v1/namespaces/:namespace',
    {
      schema: {
        tags,
        operationId: 'renameNamespace',
        summary: 'Give a namespace another name',
        params,
        body: body({ name: described(namespaceName, 'Its new name.') }),
        response: answers({ 200: json(ref('NamespaceInfo'), 'The namespace, renamed.') }, [409, 423]),
      },
    },
    ({ params: { namespace }, body: { name } }) => service.renameNamespace(namespace, name),
  );

  app.delete<Named & { Querystring: { force?: boolean } }>(
    '/api/v1/namespaces/:namespace',
    {
      schema: {
        tags,
        operationId: 'deleteNamespace',
        summary: 'Delete a namespace with all its versions',
        description:
          'Refused while there are forks of it, while it is locked, and, unless forced, while somebody reads it.',
        params,
        querystring: object({ 'force?': described(flag, 'Whether those who read it may lose it.') }),
        response: answers({ 200: lines(workLine({ type: 'null' }), 'How far it is.') }, [409, 423]),
      },
    },
    ({ params: { namespace }, query: { force = false } }, reply) =>
      streamWork(reply, (options) => service.deleteNamespace(namespace, { force, ...options })),
  );

  app.put<Named & { Body: RetentionPolicy }>(
    '/api/v1/namespaces/:namespace/retention',
    {
      schema: {
        tags,
        operationId: 'setRetention',
        summary: 'Give a namespace a retention policy of its own',
        params,
        body: policyBody,
        response: answers({ 204: undefined }),
      },
    },
    async ({ params: { namespace }, body: policy }, reply) => {
      await service.setRetention(namespace, policy);
      return reply.code(204).send();
    },
  );

  app.delete<Named>(
    '/api/v1/namespaces/:namespace/retention',
    {
      schema: {
        tags,
        operationId: 'clearRetention',
        summary: 'Leave a namespace to the store’s retention policy again',
        params,
        response: answers({ 204: undefined }),
      },
    },
    async ({ params: { namespace } }, reply) => {
      await service.setRetention(namespace, undefined);
      return reply.code(204).send();
    },
  );

  app.put<Named & { Body: { proof: string } }>(
    '/api/v1/namespaces/:namespace/access-proof',
    {
      schema: {
        tags,
        operationId: 'setAccessProof',
        summary: 'Let only those mount a namespace who know a secret',
        params,
        body: body({
          proof: { type: 'string', pattern: '^[0-9a-fA-F]{64}$', description: 'The BLAKE3 of the secret, in hex.' },
        }),
        response: answers({ 204: undefined }),
      },
    },
    async ({ params: { namespace }, body: { proof } }, reply) => {
      await service.setAccessProof(namespace, proof);
      return reply.code(204).send();
    },
  );

  app.delete<Named>(
    '/api/v1/namespaces/:namespace/access-proof',
    {
      schema: {
        tags,
        operationId: 'clearAccessProof',
        summary: 'Let everybody mount a namespace',
        params,
        response: answers({ 204: undefined }),
      },
    },
    async ({ params: { namespace } }, reply) => {
      await service.setAccessProof(namespace, undefined);
      return reply.code(204).send();
    },
  );

  app.put<Named & { Body: { owner: string; moment?: string } }>(
    '/api/v1/namespaces/:namespace/lock',
    {
      schema: {
        tags,
        operationId: 'lockNamespace',
        summary: 'Let only one owner write a namespace, and everybody else read one version of it',
        params,
        body: body({
          owner: { type: 'string', minLength: 1, description: 'Whoever gives the same name has the lock.' },
          'moment?': described(text, 'What everybody else reads; the newest version unless it is said.'),
        }),
        response: answers({ 200: json(ref('MaintenanceLock'), 'The lock.') }, [409, 410, 423]),
      },
    },
    ({ params: { namespace }, body: { owner, moment = 'latest' } }) => service.lock(namespace, owner, moment),
  );

  app.post<Named & { Body: { owner: string; how: 'commit' | 'rollback' } }>(
    '/api/v1/namespaces/:namespace/unlock',
    {
      schema: {
        tags,
        operationId: 'unlockNamespace',
        summary: 'End a maintenance lock: keep what its owner committed, or restore what was there before',
        params,
        body: body({ owner: { type: 'string', minLength: 1 }, how: { type: 'string', enum: ['commit', 'rollback'] } }),
        response: answers({ 200: json(ref('Head'), 'The head afterwards.') }, [409, 423]),
      },
    },
    ({ params: { namespace }, body: { owner, how } }) => service.unlock(namespace, owner, how),
  );

  app.get(
    '/api/v1/retention',
    {
      schema: {
        tags,
        operationId: 'defaultRetention',
        summary: 'The retention policy of namespaces that have none of their own',
        response: answers({ 200: json(ref('RetentionPolicy'), 'The policy.') }),
      },
    },
    () => service.defaultRetention(),
  );

  app.put<{ Body: RetentionPolicy }>(
    '/api/v1/retention',
    {
      schema: {
        tags,
        operationId: 'setDefaultRetention',
        summary: 'Set the retention policy of namespaces that have none of their own',
        body: policyBody,
        response: answers({ 204: undefined }),
      },
    },
    async ({ body: policy }, reply) => {
      await service.setRetention(undefined, policy);
      return reply.code(204).send();
    },
  );

  app.delete(
    '/api/v1/retention',
    {
      schema: {
        tags,
        operationId: 'clearDefaultRetention',
        summary: 'Keep every version of namespaces that have no policy of their own',
        response: answers({ 204: undefined }),
      },
    },
    async (_request, reply) => {
      await service.setRetention(undefined, undefined);
      return reply.code(204).send();
    },
  );

  app.post<{ Body: { namespace?: string; dryRun?: boolean } | null }>(
    '/api/v1/collect',
    {
      schema: {
        tags,
        operationId: 'collect',
        summary: 'Apply the retention policies, free what nothing needs, and return space to the disk',
        body: optionalBody({
          'namespace?': described(namespaceName, 'Only this one; all of them unless it is said.'),
          'dryRun?': described(flag, 'Only tell what would be removed.'),
        }),
        response: answers({ 200: lines(workLine(array(ref('Truncation'))), 'How far it is; then what was removed.') }),
      },
    },
    ({ body: options }, reply) => {
      const { namespace, dryRun = false } = options ?? {};
      return streamWork(reply, (work) => service.collect(namespace, { dryRun, ...work }));
    },
  );
}
