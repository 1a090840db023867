// The calls of mvstore's admin API, by their names and status codes, for tools that were written for it.
// (https://github.com/losfair/mvsqlite/blob/main/docs/admin_api.md)

import type { FastifyInstance } from 'fastify';
import { type ErrorCode, isMvfuseError, MvfuseError } from '../../../errors.js';
import type { NamespaceId, NamespaceInfo } from '../../../store/types.js';
import type { StoreService } from '../../store-service.js';
import { requireTruncatable } from '../arguments.js';
import { answers, json, lines, NDJSON, StatusError } from '../replies.js';
import { array, described, flag, namespaceName, object, ref, text, version } from '../schemas.js';
import type { RouteOptions } from '../server.js';
import { streamWork, workLine } from '../streams.js';

interface Keyed {
  Body: { key: string };
}

const tags = ['mvstore'];
const key = described(namespaceName, 'The name of the namespace.');
const nsid = { type: 'string', pattern: '^[0-9a-f]{20}$', description: 'The namespace’s id: 20 hex digits.' };
const apply = described(flag, 'False, the default: change nothing, and tell what would be done.');
const base = object({ ns_id: nsid, snapshot_version: version });
const named = object({ nskey: namespaceName, nsid });
const point = { oneOf: [object({ version, time: { type: 'integer' } }), { type: 'null' }] };
const STREAM = 'Lines of JSON, where mvstore sends numbers and then DONE or ERROR.';
/** The latest time that a Date knows. */
const TIME_MS_MAX = 8.64e15;

export async function compatibleRoutes(app: FastifyInstance, options: RouteOptions): Promise<void> {
  const { service } = options;

  app.post<Keyed & { Body: { metadata?: unknown; overlay_base?: { ns_id: string; snapshot_version: string } } }>(
    '/api/create_namespace',
    {
      schema: {
        tags,
        operationId: 'mvstoreCreateNamespace',
        summary: 'Make a namespace, empty or on top of a version of another one',
        description:
          'Unlike mvstore, which keeps metadata, this refuses any that is not empty: nothing would ever give it back. Versions below the overlay base are kept as long as the namespace is there.',
        body: object({
          key,
          'metadata?': { description: 'null, "" or {}.' },
          'overlay_base?': { oneOf: [base, { type: 'null' }] },
        }),
        response: answers({ 201: json(named, 'The namespace was made.') }, [409, 413, 422]),
      },
    },
    async ({ body: { key: name, metadata, overlay_base: overlay } }, reply) => {
      requireNoMetadata(metadata);
      const made = await withStatus({ ALREADY_EXISTS: 422 }, async () => {
        if (overlay === undefined || overlay === null) return service.createNamespace(name);
        const parent = await namespaceById(service, overlay.ns_id);
        await requireUnlocked(service, parent.name);
        const gone = { GONE: 409, NOT_FOUND: 409, BUSY: 409 };
        return withStatus(gone, () => service.fork(parent.name, overlay.snapshot_version, name));
      });
      return reply.code(201).send(describe(made));
    },
  );

  app.post<{ Body: { old_key: string; new_key: string } }>(
    '/api/rename_namespace',
    {
      schema: {
        tags,
        operationId: 'mvstoreRenameNamespace',
        summary: 'Give a namespace another name',
        body: object({ old_key: key, new_key: described(namespaceName, 'Its new name.') }),
        response: answers({ 200: json(named, 'The namespace was renamed.') }, [409, 422, 423]),
      },
    },
    async ({ body: { old_key: from, new_key: to } }) =>
      describe(await withStatus({ ALREADY_EXISTS: 422 }, () => service.renameNamespace(from, to))),
  );

  app.post<Keyed>(
    '/api/delete_namespace',
    {
      schema: {
        tags,
        operationId: 'mvstoreDeleteNamespace',
        summary: 'Delete a namespace with all its versions',
        description:
          '409 while there are forks of it. Unlike mvstore, also 423 while it is locked. For a day it can be brought back: the call undeleteNamespace of /api/v1.',
        body: object({ key }),
        response: answers({ 200: json(object({ nskey: namespaceName }), 'The namespace is gone.') }, [409, 423]),
      },
    },
    async ({ body: { key: name } }) => {
      const { id, forks } = await service.statNamespace(name);
      if (forks.some(({ dropped }) => dropped !== true))
        throw new MvfuseError('CONFLICT', `namespace "${name}" has forks: delete them first`);
      await service.deleteNamespace(name, { id });
      return { nskey: name };
    },
  );

  app.post<Keyed & { Body: { before_version: string; apply?: boolean } }>(
    '/api/truncate_namespace',
    {
      schema: {
        tags,
        operationId: 'mvstoreTruncateNamespace',
        summary: 'Remove the versions before one',
        description: `${STREAM} 403 for a version younger than the daemon’s --truncate-min-age, a dry run too.`,
        body: object({ key, before_version: version, 'apply?': apply }),
        response: answers(
          { 200: lines(workLine(ref('Truncation')), 'How far it is; then what was removed.') },
          [403, 409, 410, 423],
        ),
      },
    },
    async ({ body: { key: name, before_version: before, apply: isApplied = false } }, reply) => {
      await requireTruncatable(options, name, before);
      return streamWork(reply, (work) => service.truncate(name, before, { dryRun: !isApplied, ...work }));
    },
  );

  app.post<Keyed & { Body: { apply?: boolean } }>(
    '/api/delete_unreferenced_content',
    {
      schema: {
        tags,
        operationId: 'mvstoreDeleteUnreferencedContent',
        summary: 'Free what no version needs',
        description: `${STREAM} Pages are not shared by content here, so this applies the retention policy and returns space to the disk: the call collect of /api/v1. 404, not 400, when there is no such namespace.`,
        body: object({ key, 'apply?': apply }),
        response: answers({ 200: lines(workLine(array(ref('Truncation'))), 'How far it is; then what was removed.') }),
      },
    },
    ({ body: { key: name, apply: isApplied = false } }, reply) =>
      streamWork(reply, (work) => service.collect(name, { dryRun: !isApplied, ...work })),
  );

  app.get<{ Querystring: { prefix?: string } }>(
    '/api/list_namespace',
    {
      schema: {
        tags,
        operationId: 'mvstoreListNamespace',
        summary: 'Every namespace, a line of JSON each',
        querystring: object({ 'prefix?': described(text, 'Only names that begin so.') }),
        response: answers({ 200: lines(named, 'The namespaces.') }),
      },
    },
    async ({ query }, reply) => {
      const namespaces = await service.listNamespaces(query.prefix);
      return reply.type(NDJSON).send(namespaces.map((found) => `${JSON.stringify(describe(found))}\n`).join(''));
    },
  );

  app.post<Keyed>(
    '/api/stat_namespace',
    {
      schema: {
        tags,
        operationId: 'mvstoreStatNamespace',
        summary: 'One namespace: its lock, its overlay base, and which versions were removed',
        description:
          'A lock has no nonce here (it is empty), and a rollback is done at once: rolling_back is always false.',
        body: object({ key }),
        response: answers({
          200: json(
            object({
              nskey: namespaceName,
              nsid,
              metadata: object({
                lock: {
                  oneOf: [
                    object({ snapshot_version: version, owner: text, nonce: text, rolling_back: flag }),
                    { type: 'null' },
                  ],
                },
                overlay_base: { oneOf: [base, { type: 'null' }] },
                truncated_before: described(version, 'Older versions were removed, but for those that are held.'),
              }),
            }),
            'The namespace.',
          ),
        }),
      },
    },
    async ({ body: { key: name } }) => {
      const { lock, parent, truncatedBefore, ...found } = await service.statNamespace(name);
      const metadata = {
        lock:
          lock === undefined
            ? null
            : { snapshot_version: lock.version, owner: lock.owner, nonce: '', rolling_back: false },
        overlay_base: parent === undefined ? null : { ns_id: formatId(parent.id), snapshot_version: parent.version },
        truncated_before: truncatedBefore,
      };
      return { ...describe(found), metadata };
    },
  );

  app.get<{ Querystring: { t: number } }>(
    '/time2version',
    {
      schema: {
        tags,
        operationId: 'mvstoreTime2version',
        summary:
          'The versions around a second since 1970: the newest before it ("after"), the oldest not before it ("not_after")',
        description:
          'The words are mvstore’s: the second comes after the first version, and not after the other. t=0 asks for the current version, which is "after". Versions here are those of commits, not of a clock that ticks every five seconds.',
        querystring: object({
          t: { type: 'integer', minimum: 0, maximum: TIME_MS_MAX / 1000, description: 'Seconds since 1970.' },
        }),
        response: answers({ 200: json(object({ after: point, not_after: point }), 'null where there is none.') }),
      },
    },
    async ({ query: { t } }) => {
      const { notAfter, after } = await service.timePoints(t === 0 ? TIME_MS_MAX : t * 1000 - 1);
      return { after: describePoint(notAfter), not_after: t === 0 ? null : describePoint(after) };
    },
  );

  app.get(
    '/fdb/status',
    {
      schema: {
        tags,
        operationId: 'mvstoreFdbStatus',
        summary: 'How the FoundationDB cluster is',
        description: 'What mvfuse status shows of it, not the whole of FoundationDB’s own status document.',
        response: answers({ 200: json(ref('ClusterStatus'), 'The cluster’s account of itself.') }),
      },
    },
    async () => {
      const { cluster } = await service.status();
      if (cluster !== undefined) return cluster;
      throw new MvfuseError('NOT_FOUND', 'the store of this daemon is embedded: it is in no FoundationDB cluster');
    },
  );
}

function requireNoMetadata(metadata: unknown): void {
  const isEmpty =
    metadata === undefined ||
    metadata === null ||
    metadata === '' ||
    (typeof metadata === 'object' && Object.keys(metadata).length === 0);
  if (isEmpty) return;
  throw new MvfuseError('INVALID_ARGUMENT', 'mvfuse keeps no metadata of namespaces: leave it out');
}

async function namespaceById(service: StoreService, nsId: string): Promise<NamespaceInfo> {
  const found = (await service.listNamespaces()).find(({ id }) => formatId(id) === nsId);
  if (found !== undefined) return found;
  throw new MvfuseError('INVALID_ARGUMENT', `no namespace has the id ${nsId}`);
}

/** mvstore's lock may take versions back, so nothing is put on top of a locked namespace there. */
async function requireUnlocked(service: StoreService, name: string): Promise<void> {
  const { lock } = await service.statNamespace(name);
  if (lock !== undefined) throw new MvfuseError('CONFLICT', `namespace "${name}" is locked by "${lock.owner}"`);
}

function describe({ name, id }: Pick<NamespaceInfo, 'name' | 'id'>): { nskey: string; nsid: string } {
  return { nskey: name, nsid: formatId(id) };
}

function formatId(id: NamespaceId): string {
  return id.toString(16).padStart(20, '0');
}

function describePoint(
  found: { version: string; timeMs: number } | undefined,
): { version: string; time: number } | null {
  return found === undefined ? null : { version: found.version, time: Math.floor(found.timeMs / 1000) };
}

/** Errors with these codes are answered with these statuses. */
async function withStatus<T>(statuses: Partial<Record<ErrorCode, number>>, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const status = isMvfuseError(error) && !(error instanceof StatusError) ? statuses[error.code] : undefined;
    throw status === undefined ? error : new StatusError(status, error as MvfuseError);
  }
}
