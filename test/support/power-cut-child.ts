// The process whose power is cut: makes the commits of a plan in a store and notes in the interposer's record when each
// begins and when it is acknowledged.
//
//   node power-cut-child.js <directory> <file for notes> <PlanOptions as JSON>
//
// Notes, one a line: "namespace <name>", "begin <commit>", "done <commit> <version>".

import { openSync, writeSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { openEngine } from '../../src/kv/open.js';
import type { PageStore } from '../../src/store/page-store.js';
import type { CommitRequest, NamespaceId } from '../../src/store/types.js';
import {
  NAMESPACES,
  PLAN_PAGE_BYTES,
  type PlannedCommit,
  type PlannedPart,
  type PlanOptions,
  planCommits,
  plannedPage,
} from './power-cut-plan.js';
import { openStore, pageNumber } from './stores.js';

export const powerCutChildPath = fileURLToPath(import.meta.url);

/** A commit of more pages is staged: several transactions of the engine. */
const LIMITS = { commitBytesMax: 24 * PLAN_PAGE_BYTES, stageChunkBytesMax: 6 * PLAN_PAGE_BYTES };

async function main(directory: string, notesPath: string, options: PlanOptions): Promise<void> {
  const notes = openSync(notesPath, 'w');
  const note = (text: string): void => {
    writeSync(notes, `${text}\n`);
  };
  for (const lanes of planCommits(options)) {
    const engine = await openEngine(`sqlite:${directory}`, { clock: Date.now });
    const store = await openStore(engine, { limits: LIMITS });
    await Promise.all(lanes.map((lane) => runLane(store, lane, note)));
    await store.close();
  }
}

async function runLane(store: PageStore, lane: readonly PlannedCommit[], note: (text: string) => void): Promise<void> {
  const ids = new Map<string, NamespaceId>();
  for (const namespace of NAMESPACES.filter((name) =>
    lane.some(({ parts }) => parts.some((p) => p.namespace === name)),
  )) {
    ids.set(namespace, await findNamespace(store, namespace));
    note(`namespace ${namespace}`);
  }
  for (const { id, parts } of lane) {
    const requests = await Promise.all(parts.map((part) => toRequest(store, ids.get(part.namespace)!, id, part)));
    note(`begin ${id}`);
    const [commit] = await store.commit(requests);
    note(`done ${id} ${commit!.head.version}`);
  }
}

async function findNamespace(store: PageStore, name: string): Promise<NamespaceId> {
  const known = await store.listNamespaces();
  return (known.find((info) => info.name === name) ?? (await store.createNamespace(name))).id;
}

async function toRequest(
  store: PageStore,
  namespace: NamespaceId,
  id: number,
  part: PlannedPart,
): Promise<CommitRequest> {
  const { version } = await store.head(namespace);
  const pages = part.pages.map((page) => ({ number: pageNumber(page), data: plannedPage(id, part.namespace, page) }));
  return { namespace, base: version, pageBytes: PLAN_PAGE_BYTES, sizeBytes: part.pageCount * PLAN_PAGE_BYTES, pages };
}

if (process.argv[1] === powerCutChildPath) {
  const [directory, notesPath, options] = process.argv.slice(2) as [string, string, string];
  await main(directory, notesPath, JSON.parse(options) as PlanOptions);
}
