// /api/v1/namespaces: what there is, and each namespace as a whole.

import type { FastifyInstance } from 'fastify';
import type { NamespaceId, RetentionPolicy } from '../../../store/types.js';
import { answers, json, lines } from '../replies.js';
import {
  array,
  body,
  described,
  flag,
  namespaceName,
  object,
  optionalBody,
  permissionBits,
  ref,
  SCHEMAS,
  text,
} from '../schemas.js';
import type { RouteOptions } from '../server.js';
import { streamWork, workLine } from '../streams.js';

interface Named {
  Params: { namespace: string };
}

const tags = ['namespaces'];
export const params = object({ namespace: namespaceName });
const id = { type: 'integer', minimum: 1 };
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

  app.delete<Named & { Querystring: { purge?: boolean; force?: boolean; id?: NamespaceId } }>(
    '/api/v1/namespaces/:namespace',
    {
      schema: {
        tags,
        operationId: 'deleteNamespace',
        summary: 'Delete a namespace with all its versions',
        description:
          'For a day it can be brought back; whoever has it open can read it on. Purged, it is gone at once and for good, also one that was deleted before; that is refused while there are forks of it, and, unless forced, while somebody reads it. Refused either way while it is locked.',
        params,
        querystring: object({
          'purge?': described(flag, 'Whether it is removed at once and for good.'),
          'force?': described(flag, 'Purged: whether those who read it may lose it.'),
          'id?': described(id, 'Which namespace the name must mean; purged, also one that had the name.'),
        }),
        response: answers(
          {
            200: lines(
              workLine({ oneOf: [ref('DeletedNamespace'), { type: 'null' }] }),
              'How far it is; null: purged.',
            ),
          },
          [409, 423],
        ),
      },
    },
    ({ params: { namespace }, query: { purge = false, force, id } }, reply) =>
      streamWork<unknown>(reply, (work) =>
        purge ? service.purgeNamespace(namespace, { force, id, ...work }) : service.deleteNamespace(namespace, { id }),
      ),
  );

  app.get<{ Querystring: { prefix?: string } }>(
    '/api/v1/deleted-namespaces',
    {
      schema: {
        tags,
        operationId: 'listDeletedNamespaces',
        summary: 'Every namespace that was deleted and can be brought back, the last one first',
        querystring: object({ 'prefix?': described(text, 'Only names that begin so.') }),
        response: answers({ 200: json(array(ref('DeletedNamespace')), 'The namespaces.') }),
      },
    },
    ({ query }) => service.listDeleted(query.prefix),
  );

  app.post<Named & { Body: { as?: string; id?: NamespaceId } | null }>(
    '/api/v1/namespaces/:namespace/undelete',
    {
      schema: {
        tags,
        operationId: 'undeleteNamespace',
        summary: 'Bring a deleted namespace back, with what was committed to it meanwhile',
        params,
        body: optionalBody({
          'as?': described(namespaceName, 'Another name for it; the one that it had unless it is said.'),
          'id?': described(id, 'Which of those that were deleted by the name; the last one unless it is said.'),
        }),
        response: answers({ 200: json(ref('NamespaceInfo'), 'The namespace.') }, [409]),
      },
    },
    ({ params: { namespace }, body: options }) => service.undeleteNamespace(namespace, options ?? {}),
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

  app.put<Named & { Body: { mode: number } }>(
    '/api/v1/namespaces/:namespace/mode',
    {
      schema: {
        tags,
        operationId: 'setMode',
        summary: 'Say who may read and write a namespace’s file, on every mount',
        params,
        body: body({ mode: permissionBits }),
        response: answers({ 204: undefined }),
      },
    },
    async ({ params: { namespace }, body: { mode } }, reply) => {
      await service.setMode(namespace, mode);
      return reply.code(204).send();
    },
  );

  app.delete<Named>(
    '/api/v1/namespaces/:namespace/mode',
    {
      schema: {
        tags,
        operationId: 'clearMode',
        summary: 'Leave the mode of a namespace’s file to each mount again',
        params,
        response: answers({ 204: undefined }),
      },
    },
    async ({ params: { namespace } }, reply) => {
      await service.setMode(namespace, undefined);
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
