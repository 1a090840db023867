// Writes a change file: the versions of a namespace after one version, up to another.
//
// Versions that retention removes meanwhile are left out, like those that it removed before: what comes next is then told as what
// differs from the last one that was written. So a chain goes on over a gap as long as its last version is kept.

import { isMvfuseError, MvfuseError } from '../errors.js';
import { type Moment, parseMoment } from '../moment.js';
import { bytesOfPage, pageCountOf } from '../store/page-count.js';
import type { OpenVersion, PageStore } from '../store/page-store.js';
import type { Change, Head, NamespaceId, NamespaceInfo, PageNumber } from '../store/types.js';
import { type Version, ZERO_VERSION } from '../version.js';
import {
  type ChangesHeader,
  ChecksumChain,
  encodeEnd,
  encodeHeader,
  encodePageNumber,
  encodeVersionHead,
} from './change-file.js';
import { comparePages } from './compare.js';
import { changesBetween } from './history.js';
import { allPages, isHole, pageBatches } from './pages.js';

/** A change file on its way out. */
export interface OutgoingChanges {
  readonly header: ChangesHeader;
  /** The file; to be read once. While it is read: GONE when its first or last version is removed before it begins, CORRUPT naming a page. */
  readonly bytes: AsyncIterable<Uint8Array>;
}

export interface ChangesRange {
  /** A moment: only versions after it. `first` or `0`: from the beginning. */
  readonly since: string;
  /** A moment: the last version; `latest` when it is left out. */
  readonly until?: string | undefined;
}

/** @throws NOT_FOUND, GONE, INVALID_ARGUMENT for a range that ends before it begins */
export async function exportChanges(
  store: PageStore,
  name: string,
  { since, until = 'latest' }: ChangesRange,
): Promise<OutgoingChanges> {
  const info = await store.statNamespace(name);
  const isFirst = since === 'first' || since === '0';
  const last = await store.resolve(info.id, parseMoment(until));
  const from = isFirst
    ? (await store.headAt(info.id, ZERO_VERSION))!
    : await beginning(store, info, parseMoment(since));
  if (from.version > last.version) {
    const message = `version ${from.version}, after which the changes are to begin, is newer than ${last.version}`;
    throw new MvfuseError('INVALID_ARGUMENT', message);
  }
  const accessProof = await store.accessProof(info.id);
  const header = {
    namespace: info.name,
    createdMs: info.createdMs,
    from: from.version,
    to: last.version,
    ...(accessProof === undefined ? {} : { accessProof }),
  };
  return { header, bytes: changeBytes({ store, namespace: info.id, from, to: last }, header) };
}

/** @throws NOT_FOUND, GONE, saying how a chain begins */
async function beginning(store: PageStore, { id, parent }: NamespaceInfo, moment: Moment): Promise<Head> {
  try {
    return await store.resolve(id, moment);
  } catch (error) {
    if (isMvfuseError(error, 'GONE'))
      throw new MvfuseError('GONE', `${error.message}; a new chain begins with --since first`, { cause: error });
    if (!isMvfuseError(error, 'NOT_FOUND') || parent === undefined) throw error;
    const message = `${error.message}; it was forked from ${parent.namespace}@${parent.version}, and its own chain begins with --since first`;
    throw new MvfuseError('NOT_FOUND', message, { cause: error });
  }
}

interface Route {
  readonly store: PageStore;
  readonly namespace: NamespaceId;
  readonly from: Head;
  readonly to: Head;
}

async function* changeBytes(route: Route, header: ChangesHeader): AsyncGenerator<Buffer> {
  const { store, namespace, from, to } = route;
  const chain = new ChecksumChain();
  const ended = (bytes: Buffer): Buffer => {
    chain.update(bytes);
    return Buffer.concat([bytes, chain.next()]);
  };
  let before = await open(store, namespace, from);
  let last: OpenVersion | undefined;
  try {
    last = await open(store, namespace, to);
    yield ended(encodeHeader(header));
    let [versions, isGap] = [0, false];
    for await (const change of changesBetween(store, namespace, from.version, to.version)) {
      const version = await openIfKept(store, namespace, change.version);
      // It was removed after the changelog was read; after a gap in the changelog itself, no pages are listed.
      isGap ||= version === undefined;
      if (version === undefined) continue;
      try {
        yield ended(encodeVersionHead(change));
        const sides = { store, namespace, before: before.head, change };
        for await (const piece of pagesOf(sides, isGap ? undefined : change.pages)) {
          chain.update(piece);
          yield piece;
        }
        yield ended(encodePageNumber(0));
      } finally {
        before.close();
        before = version;
      }
      [versions, isGap] = [versions + 1, false];
    }
    if (before.head.version !== to.version)
      throw new MvfuseError(
        'GONE',
        `version ${to.version} was removed while the versions before it were written: try again`,
      );
    yield ended(encodeEnd(versions));
  } finally {
    before.close();
    last?.close();
  }
}

/** Nothing need be kept for the empty file. */
async function open(store: PageStore, namespace: NamespaceId, head: Head): Promise<OpenVersion> {
  return head.version === ZERO_VERSION ? { head, close: () => {} } : store.openVersion(namespace, head.version);
}

/** Undefined when it was removed. */
async function openIfKept(
  store: PageStore,
  namespace: NamespaceId,
  version: Version,
): Promise<OpenVersion | undefined> {
  try {
    return await store.openVersion(namespace, version);
  } catch (error) {
    if (isMvfuseError(error, 'GONE') || isMvfuseError(error, 'NOT_FOUND')) return undefined;
    throw error;
  }
}

interface Step {
  readonly store: PageStore;
  readonly namespace: NamespaceId;
  readonly before: Head;
  readonly change: Change;
}

/** What makes the one version of the other, as pieces of the file. */
async function* pagesOf(step: Step, listed: readonly PageNumber[] | undefined): AsyncGenerator<Buffer> {
  const { store, namespace, before, change } = step;
  const isFirst = before.version === ZERO_VERSION;
  // The pages of a fork were written before its first version.
  const isListed = listed !== undefined && !isFirst;
  if (!isListed && !isFirst && before.pageBytes === change.pageBytes) return yield* differingPages(step);
  for (const numbers of pageBatches(isListed ? listed : allPages(change))) {
    const pages = await store.readPages(namespace, change, numbers);
    const pieces = pages.flatMap((page, index) => {
      const number = numbers[index]!;
      return !isListed && isHole(page) && number !== pageCountOf(change) ? [] : encodePage(change, number, page);
    });
    yield Buffer.concat(pieces);
  }
}

async function* differingPages({ store, namespace, before, change }: Step): AsyncGenerator<Buffer> {
  const sides = { from: { store, namespace, head: before }, to: { store, namespace, head: change } };
  const isCut = change.sizeBytes < before.sizeBytes && change.sizeBytes % change.pageBytes !== 0;
  for await (const { number, from, to } of comparePages(sides)) {
    // Byte for byte, SQLite's counters included; a file that is cut inside of its last page needs that one, equal or not.
    const isSame = to !== undefined && (from?.equals(to) ?? isHole(to));
    if (to === undefined || (isSame && !(isCut && number === pageCountOf(change)))) continue;
    yield Buffer.concat(encodePage(change, number, to));
  }
}

function encodePage(head: Head, number: PageNumber, data: Buffer): Buffer[] {
  return [encodePageNumber(number), data.subarray(0, bytesOfPage(head, number))];
}
