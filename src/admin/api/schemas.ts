// The JSON schemas of what the API takes and gives: the words of the store (store/types.ts, admin/store-service.ts).
//
// They are the only description of the shapes for clients: the OpenAPI document is made of them, bodies and parameters
// are checked by them, and the tests hold every answer against them.

import { ERROR_CODES } from '../../errors.js';

export type Schema = Readonly<Record<string, unknown>>;

/** An object with these properties; those whose name ends in "?" may be missing. */
export function object(properties: Readonly<Record<string, Schema>>, description?: string): Schema {
  const entries = Object.entries(properties);
  return {
    type: 'object',
    ...(description === undefined ? {} : { description }),
    properties: Object.fromEntries(entries.map(([name, schema]) => [name.replace('?', ''), schema])),
    required: entries.filter(([name]) => !name.endsWith('?')).map(([name]) => name),
  };
}

/** A body in which every name is checked: a mistyped one must not mean the default. */
export function body(properties: Readonly<Record<string, Schema>>): Schema {
  return { ...object(properties), additionalProperties: false };
}

/** A body that may be left out as a whole. */
export function optionalBody(properties: Readonly<Record<string, Schema>>): Schema {
  return { ...body(properties), type: ['object', 'null'] };
}

export function ref(name: string): Schema {
  return { $ref: `${name}#` };
}

export function array(items: Schema): Schema {
  return { type: 'array', items };
}

export function described(schema: Schema, description: string): Schema {
  return { ...schema, description };
}

export const text: Schema = { type: 'string' };
export const flag: Schema = { type: 'boolean' };
export const count: Schema = { type: 'integer', minimum: 0 };
export const milliseconds: Schema = { type: 'number', minimum: 0 };
export const timeMs: Schema = { type: 'integer', description: 'Milliseconds since 1970.' };
export const version: Schema = {
  type: 'string',
  pattern: '^[0-9a-f]{20}$',
  description: '20 lower-case hex digits, ascending with age; 0 in all places before the first commit.',
};
export const moment: Schema = {
  type: 'string',
  minLength: 1,
  description:
    'A version, a tag, "latest", a time such as 2026-11-20T10:00:00Z, or how long ago, such as -5m; without the "@".',
};
export const permissionBits: Schema = {
  type: 'integer',
  minimum: 0,
  maximum: 0o777,
  description: 'Permission bits of the file, as chmod gives them: 416 is 640 in octal.',
};
export const namespaceName: Schema = { type: 'string', minLength: 1, description: 'The name of a namespace.' };

const head = {
  version,
  pageBytes: described(count, 'Bytes of a page.'),
  sizeBytes: described(count, 'Bytes of the file.'),
  timeMs,
};
const logLine = {
  version,
  timeMs,
  pageBytes: count,
  sizeBytes: count,
  pageCount: described(count, 'Pages that the commit wrote.'),
  bytes: described(count, 'Bytes of page images that the commit wrote.'),
  'origin?': described(version, 'The version of another store that this one is the copy of.'),
  'pages?': described(array(count), 'Which pages the commit wrote, ascending; missing where they are not listed.'),
  tags: array(text),
};
const namespaceInfo = {
  id: described(count, 'The same for ever, whatever the namespace is called.'),
  name: namespaceName,
  createdMs: timeMs,
  head: ref('Head'),
  'parent?': ref('ForkPoint'),
  isProtected: described(flag, 'Whether a mount must present a secret for it.'),
  'mode?': permissionBits,
};
const usage = object({ now: count, max: count });
const processName = { 'pid?': count, 'command?': text };

/** By name; each is a component of the document. */
export const SCHEMAS: Readonly<Record<string, Schema>> = {
  Error: object(
    {
      code: { type: 'string', enum: [...ERROR_CODES, 'INTERNAL'] },
      message: described(text, 'One sentence: the cause and, where there is one, the way out.'),
    },
    'Why a call failed.',
  ),
  Head: object(head, 'The file as one version states it.'),
  ForkPoint: object(
    {
      id: count,
      namespace: namespaceName,
      version,
      'dropped?': described(flag, 'That namespace was deleted, and this is what it was called.'),
    },
    'A version that a fork goes on from: with the fork’s parent; among the forks of a namespace, with the fork.',
  ),
  DeletedNamespace: object(
    {
      id: count,
      name: described(namespaceName, 'What it was called.'),
      droppedMs: timeMs,
      removedAfterMs: described(timeMs, 'Until then, at least, it can be brought back. Milliseconds since 1970.'),
      head: ref('Head'),
    },
    'A namespace that was deleted and not yet removed.',
  ),
  NamespaceInfo: object(namespaceInfo),
  RetentionPolicy: object(
    {
      'keepMs?': described(
        milliseconds,
        'Every state is kept that was the newest one at some time in these milliseconds.',
      ),
      'keepVersions?': described({ type: 'integer', minimum: 1 }, 'That many of the newest versions are kept.'),
    },
    'A version is kept where one of the two keeps it; without either, every version is.',
  ),
  Tag: object({ name: text, version, createdMs: timeMs }, 'A name for a version, which keeps it.'),
  MaintenanceLock: object(
    {
      owner: text,
      version: described(version, 'What everybody but the owner reads.'),
      base: described(version, 'The head when it was taken: what a rollback restores.'),
      sinceMs: timeMs,
    },
    'While it is there, only its owner writes.',
  ),
  HeldVersion: object(
    { version, by: { type: 'string', enum: ['tag', 'fork', 'lock', 'reader'] }, name: text },
    'A version that must stay readable, and why.',
  ),
  NamespaceDetails: object({
    ...namespaceInfo,
    truncatedBefore: described(version, 'Older versions were removed, but for those that are held.'),
    held: array(ref('HeldVersion')),
    retention: ref('RetentionPolicy'),
    hasOwnRetention: flag,
    tags: array(ref('Tag')),
    forks: array(ref('ForkPoint')),
    'lock?': ref('MaintenanceLock'),
  }),
  LogLine: object(logLine),
  TimePoint: object({ version, timeMs }),
  TimePoints: object({ 'notAfter?': ref('TimePoint'), 'after?': ref('TimePoint') }),
  Commit: object({ head: ref('Head'), pageCount: count, bytes: count }),
  AppliedChanges: object({
    namespace: namespaceName,
    created: described(flag, 'Whether it did not exist before.'),
    from: described(version, 'The file goes on after this version of its source.'),
    to: described(version, 'Its newest version.'),
    appliedVersions: count,
    presentVersions: described(count, 'Those that were there already.'),
    bytes: described(count, 'Bytes of page images written.'),
    head: ref('Head'),
  }),
  Truncation: object({
    namespace: namespaceName,
    dryRun: flag,
    truncatedBefore: version,
    versions: described(count, 'Versions that were removed, or would be.'),
    bytes: described(count, 'Bytes of page images that their commits wrote.'),
    held: array(ref('HeldVersion')),
  }),
  Rollback: object({
    namespace: namespaceName,
    dryRun: flag,
    restored: described(ref('Head'), 'The version whose content is the newest again.'),
    pageCount: count,
    bytes: count,
    head: described(ref('Head'), 'The head afterwards; of a dry run, as it is.'),
  }),
  Difference: object({
    from: ref('Head'),
    to: ref('Head'),
    pages: described(array(count), 'Pages that differ, ascending.'),
  }),
  Checked: object({ head: ref('Head'), bytes: described(count, 'Bytes that were read and match their checksums.') }),
  Progress: object(
    { done: milliseconds, total: described(milliseconds, 'In the same unit; 0 when it is not known.') },
    'How far the work is.',
  ),
  Usage: usage,
  HostStatus: object({
    daemon: text,
    host: text,
    pid: count,
    self: flag,
    leases: array(namespaceName),
    snapshots: array(object({ namespace: namespaceName, version })),
  }),
  ClusterStatus: object({
    available: flag,
    healthy: flag,
    redundancy: text,
    processes: count,
    lossesTolerated: { type: 'integer' },
    dataBytes: count,
    coordinators: object({ reachable: count, count }),
    messages: array(text),
  }),
  FileStatus: object({
    name: text,
    namespace: namespaceName,
    head: ref('Head'),
    connections: array(
      object({ id: text, openers: array(object(processName)), phase: text, 'version?': version, dirtyBytes: count }),
    ),
    'writer?': object({ ...processName, heldMs: milliseconds }, 'Who holds the write lock.'),
    'lock?': ref('MaintenanceLock'),
  }),
  RetentionStatus: object({
    versions: described(count, 'Removed since the store was opened.'),
    bytes: described(count, 'Bytes of page images that their commits wrote.'),
    'lastRunMs?': described(timeMs, 'When all namespaces were last gone through.'),
    failures: count,
    'lastFailure?': text,
    namespaces: array(
      object({
        name: namespaceName,
        retention: ref('RetentionPolicy'),
        truncatedBefore: version,
        'keptFromMs?': described(timeMs, 'When the oldest version that is kept was committed.'),
        heldVersions: described(count, 'Older versions that something needs.'),
      }),
    ),
  }),
  LimitsStatus: object({
    connections: ref('Usage'),
    requests: ref('Usage'),
    dirtyBytes: ref('Usage'),
    dirtyMemoryBytes: ref('Usage'),
    waitingWriters: ref('Usage'),
    writerWaitMs: milliseconds,
  }),
  MountStatus: object({
    mountpoint: text,
    inodes: count,
    files: array(ref('FileStatus')),
    limits: ref('LimitsStatus'),
  }),
  Status: object({
    'daemon?': object({ pid: count, uptimeMs: milliseconds, residentBytes: count }),
    mounts: array(ref('MountStatus')),
    'storeBytes?': count,
    namespaces: described(count, 'How many there are.'),
    'hosts?': array(ref('HostStatus')),
    'cluster?': ref('ClusterStatus'),
    retention: ref('RetentionStatus'),
    cache: object({ pages: count, bytes: count, bytesMax: count }),
  }),
  Readiness: object(
    {
      ready: flag,
      checks: array(
        object({
          kind: { type: 'string', enum: ['store', 'lease', 'mount', 'namespace'] },
          name: described(text, 'The mount point, or the namespace; the store and the lease have none of their own.'),
          ready: flag,
          'writable?': described(flag, 'Of a namespace, and of a mount with a prefix: whether programs may write.'),
          'prefix?': described(
            text,
            'Of a mount that shows all namespaces whose names begin with it, which are not listed.',
          ),
          'reason?': text,
        }),
      ),
    },
    'Whether every namespace can be read and written through its mount, and what is in the way.',
  ),
};
