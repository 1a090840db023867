// What is asked of the daemon itself: its status, health and metrics, and the document of this API.

import type { FastifyInstance } from 'fastify';
import { answers, json } from '../replies.js';
import { object, ref } from '../schemas.js';
import type { RouteOptions } from '../server.js';

const tags = ['daemon'];

export async function daemonRoutes(app: FastifyInstance, { service, health, metrics }: RouteOptions): Promise<void> {
  app.get(
    '/api/v1/status',
    {
      schema: {
        tags,
        operationId: 'status',
        summary: 'Mounts, connections, who holds write locks, use of each limit, store and cache',
        response: answers({ 200: json(ref('Status'), 'The status.') }),
      },
    },
    () => service.status(),
  );

  app.get(
    '/healthz',
    {
      schema: {
        tags,
        operationId: 'healthz',
        summary: 'Whether the process serves',
        response: answers({ 200: json(object({ status: { type: 'string', enum: ['ok'] } }), 'It does.') }),
      },
    },
    async () => ({ status: 'ok' }),
  );

  app.get(
    '/readyz',
    {
      schema: {
        tags,
        operationId: 'readyz',
        summary: 'Whether every namespace can be read and written through its mount',
        response: answers({
          200: json(ref('Readiness'), 'All of them can.'),
          503: json(ref('Readiness'), 'What is not ready, and why.'),
        }),
      },
    },
    async (_request, reply) => {
      const readiness = await health.check();
      return reply.code(readiness.ready ? 200 : 503).send(readiness);
    },
  );

  app.get(
    '/metrics',
    {
      schema: {
        tags,
        operationId: 'metrics',
        summary: 'Counters and gauges, for Prometheus',
        response: answers({
          200: { description: 'The metrics.', content: { 'text/plain': { schema: { type: 'string' } } } },
        }),
      },
    },
    async (_request, reply) => reply.type(metrics.contentType).send(await metrics.render()),
  );

  app.get(
    '/openapi.json',
    {
      schema: {
        tags,
        operationId: 'openapi',
        summary: 'This document',
        response: answers({ 200: json({ type: 'object' }, 'OpenAPI 3.1.') }),
      },
    },
    async () => app.swagger(),
  );
}
