// Replays a change file onto a namespace, version by version; what is there already is only verified.
//
// A version is committed when all of it was read and its checksum was right, so the target holds whole versions only, however this
// ends. Each remembers which version it is the copy of (its origin): the newest one says where the file has to go on.

import { isMvfuseError, MvfuseError } from '../errors.js';
import { WRITER_WAIT_MS_DEFAULT } from '../limits.js';
import type { PageStore } from '../store/page-store.js';
import type { Commit, Head, NamespaceId, NamespaceInfo, Page } from '../store/types.js';
import { type Version, ZERO_VERSION } from '../version.js';
import type { ChangesHeader } from './change-file.js';
import { ChangeReader, type IncomingVersion } from './change-reader.js';
import { changesBetween } from './history.js';
import { asWriter } from './writer.js';

export interface AppliedChanges {
  readonly namespace: string;
  /** Whether it did not exist before. */
  readonly created: boolean;
  /** The versions of the source that the file holds: those after `from`, up to `to`. */
  readonly from: Version;
  readonly to: Version;
  readonly appliedVersions: number;
  /** Those that were there already. */
  readonly presentVersions: number;
  /** Bytes of page images written. */
  readonly bytes: number;
  /** The newest version, as this left it. */
  readonly head: Head;
}

export interface ApplyOptions {
  readonly signal?: AbortSignal;
  /** How long each version waits for the write lock. */
  readonly waitMsMax?: number;
}

/** Where the target stands. */
interface Target {
  readonly name: string;
  /** Both undefined while it is to be created. */
  info: NamespaceInfo | undefined;
  /** Its newest version. */
  head: Head | undefined;
  /** The newest version of the source that it has. */
  origin: Version;
  created: boolean;
}

/**
 * Durable when it resolves. However it ends, the target has whole versions, and applying the same file again goes on after them.
 * @throws INVALID_ARGUMENT for what is no change file; CONFLICT for one that does not fit the target; CORRUPT for a damaged one,
 *   BUSY while somebody writes the target; the message says what was applied before
 */
export async function applyChanges(
  store: PageStore,
  name: string,
  bytes: AsyncIterable<Uint8Array>,
  options: ApplyOptions = {},
): Promise<AppliedChanges> {
  const reader = await ChangeReader.open(bytes);
  try {
    const target = await findTarget(store, name);
    await requireFit(store, target, reader.header);
    return await replayAll(store, reader, target, options);
  } finally {
    await reader.close();
  }
}

interface Counts {
  applied: number;
  present: number;
  bytes: number;
}

async function replayAll(
  store: PageStore,
  reader: ChangeReader,
  target: Target,
  options: ApplyOptions,
): Promise<AppliedChanges> {
  const counts: Counts = { applied: 0, present: 0, bytes: 0 };
  const { from, to } = reader.header;
  try {
    await replay(store, reader, target, counts, options);
    const { head } = await namespaceOf(store, target, reader.header);
    const { applied: appliedVersions, present: presentVersions, bytes } = counts;
    const { name: namespace, created } = target;
    return { namespace, created, from, to, appliedVersions, presentVersions, bytes, head: target.head ?? head };
  } catch (error) {
    // Nobody knows what became of a commit that failed in the store.
    if (target.created && counts.applied === 0 && !isMvfuseError(error, 'STORE_FAILED')) await withdraw(store, target);
    throw withProgress(error, counts.applied, target.origin);
  }
}

async function replay(
  store: PageStore,
  reader: ChangeReader,
  target: Target,
  counts: Counts,
  { signal, waitMsMax = WRITER_WAIT_MS_DEFAULT }: ApplyOptions,
): Promise<void> {
  const start = target.origin;
  // Whether the file has been seen to hold the version that the target ends with.
  let isJoined = start <= reader.header.from || start > reader.header.to;
  for (let incoming = await reader.next(); incoming !== undefined; incoming = await reader.next()) {
    signal?.throwIfAborted();
    const { version } = incoming.head;
    if (version <= start) {
      for await (const _ of incoming.pages) signal?.throwIfAborted();
      isJoined ||= version === start;
      counts.present += 1;
      continue;
    }
    if (!isJoined) throw foreign(target.name, `it ends with a copy of version ${start}, which the file does not have`);
    const { id } = await namespaceOf(store, target, reader.header);
    const { head, pages } = incoming;
    const request = { head, pages: guarded(pages, signal), isLast: version === reader.header.to };
    const commit = await asWriter(store, id, waitMsMax, () => replayVersion(store, id, target, request));
    target.head = commit.head;
    target.origin = version;
    counts.applied += 1;
    counts.bytes += commit.bytes;
  }
}

async function* guarded(pages: AsyncGenerator<Page>, signal: AbortSignal | undefined): AsyncGenerator<Page> {
  for await (const page of pages) {
    signal?.throwIfAborted();
    yield page;
  }
}

/** To be called as the only writer. */
async function replayVersion(
  store: PageStore,
  namespace: NamespaceId,
  target: Target,
  { head, pages, isLast }: IncomingVersion & { readonly isLast: boolean },
): Promise<Commit> {
  const { version, timeMs, pageBytes, sizeBytes } = head;
  const base = await store.head(namespace);
  if (base.version !== target.head!.version)
    throw new MvfuseError('CONFLICT', `somebody else writes "${target.name}", with version ${base.version}`);
  const replay = { origin: version, timeMs, durable: isLast };
  const [commit] = await store.commit([{ namespace, base: base.version, pageBytes, sizeBytes, replay, pages }]);
  return commit!;
}

async function findTarget(store: PageStore, name: string): Promise<Target> {
  const nothing = { name, info: undefined, head: undefined, origin: ZERO_VERSION, created: false };
  try {
    const info = await store.statNamespace(name);
    if (info.head.version === ZERO_VERSION) return { ...nothing, info, head: info.head };
    const [newest] = await store.log(info.id, { limit: 1 });
    if (newest?.origin === undefined) {
      const found = `its newest version, ${info.head.version}, is its own and no copy`;
      throw foreign(name, found);
    }
    return { ...nothing, info, head: info.head, origin: newest.origin };
  } catch (error) {
    if (isMvfuseError(error, 'NOT_FOUND')) return nothing;
    throw error;
  }
}

/** @throws CONFLICT */
async function requireFit(store: PageStore, { name, info, origin }: Target, header: ChangesHeader): Promise<void> {
  const { from, to } = header;
  if (origin === from || (origin > from && origin <= to)) return;
  if (origin === ZERO_VERSION) {
    const message = `the change file goes on after version ${from}, and "${name}" has no version yet: apply the file that begins the chain first (mvfuse export --since first)`;
    throw new MvfuseError('CONFLICT', message);
  }
  if (origin < from) {
    const message = `a link of the chain is missing: the change file goes on after version ${from}, and "${name}" has the versions up to ${origin}: apply what is between, or mvfuse export --since ${origin}`;
    throw new MvfuseError('CONFLICT', message);
  }
  // An older file of the chain, applied once more.
  if (!(await hasCopyOf(store, info!, to)))
    throw foreign(name, `it has no copy of version ${to}, with which the file ends`);
}

/** Or is past it: what retention removed cannot be looked at any more, and nothing is written for it. */
async function hasCopyOf(store: PageStore, { id, head }: NamespaceInfo, version: Version): Promise<boolean> {
  const { truncatedBefore } = await store.details(id);
  for await (const { origin } of changesBetween(store, id, ZERO_VERSION, head.version)) {
    if (origin === version) return true;
    if (origin !== undefined && origin > version) return truncatedBefore !== ZERO_VERSION;
  }
  return false;
}

/** The namespace, made when it is needed: for the first version that can be committed, or for a file without any. */
async function namespaceOf(store: PageStore, target: Target, header: ChangesHeader): Promise<NamespaceInfo> {
  if (target.info === undefined) {
    target.info = await store.createNamespace(target.name, { createdMs: header.createdMs });
    target.head = target.info.head;
    target.created = true;
    if (header.accessProof !== undefined) await store.setAccessProof(target.info.id, header.accessProof);
  }
  return target.info;
}

/** A namespace that was made for nothing. */
async function withdraw(store: PageStore, { name, info }: Target): Promise<void> {
  const removal = store.removeNamespace(name, { id: info?.id }).then((id) => store.retention.purge(id));
  await removal.catch(() => undefined);
}

function foreign(name: string, found: string): MvfuseError {
  const message = `the change file does not fit "${name}": ${found}; a chain is applied to a namespace that nobody else writes, new or begun by its first file`;
  return new MvfuseError('CONFLICT', message);
}

function withProgress(error: unknown, versions: number, origin: Version): unknown {
  if (!isMvfuseError(error)) return error;
  const done = versions === 0 ? 'nothing was applied' : `the versions up to ${origin} were applied before`;
  return new MvfuseError(error.code, `${error.message}; ${done}`, { cause: error });
}
