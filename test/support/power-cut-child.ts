// The process whose power is cut: makes the commits of a plan in a store and notes in the interposer's record when each
// begins and when it is acknowledged.
//
//   node power-cut-child.js <directory> <file for notes> <ChildOptions as JSON>
//
// Notes, one a line: "namespace <name>", "begin <commit>", "done <commit> <version>". What an earlier process got done is
// not done again: it is noted as done when it is seen, since what can be read must not vanish either.

import { openSync, writeSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Engine } from '../../src/kv/engine.js';
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

export interface ChildOptions {
  readonly plan: PlanOptions;
  /** The first and the last phase that this process runs. */
  readonly phases: readonly [number, number];
  /** What it does when a commit fails: close the store in order, or die. */
  readonly onFailure: 'close' | 'die';
}

type Note = (text: string) => void;

async function main(directory: string, notesPath: string, options: ChildOptions): Promise<void> {
  const notes = openSync(notesPath, 'a');
  const note: Note = (text) => {
    writeSync(notes, `${text}\n`);
  };
  const plan = planCommits(options.plan);
  for (let phase = options.phases[0]; phase <= options.phases[1]; phase++) {
    const store = await open(directory, options);
    if (store === undefined) return;
    const lanes = plan[phase]!.map((_, lane) => plan.slice(0, phase + 1).flatMap((lanes) => lanes[lane]!));
    const results = await Promise.allSettled(lanes.map((lane) => runLane(store, lane, note)));
    const failed = results.some(({ status }) => status === 'rejected');
    if (failed) dieIfAsked(options);
    await store.close();
    if (failed) return;
  }
}

/** Undefined when that fails. */
async function open(directory: string, options: ChildOptions): Promise<PageStore | undefined> {
  let engine: Engine | undefined;
  try {
    engine = await openEngine(`sqlite:${directory}`, { clock: Date.now });
    return await openStore(engine, { limits: LIMITS });
  } catch {
    dieIfAsked(options);
    await engine?.close();
    return undefined;
  }
}

function dieIfAsked({ onFailure }: ChildOptions): void {
  if (onFailure === 'die') process.kill(process.pid, 'SIGKILL');
}

async function runLane(store: PageStore, lane: readonly PlannedCommit[], note: Note): Promise<void> {
  const ids = new Map<string, NamespaceId>();
  for (const namespace of NAMESPACES.filter((name) =>
    lane.some(({ parts }) => parts.some((p) => p.namespace === name)),
  )) {
    ids.set(namespace, await findNamespace(store, namespace));
    note(`namespace ${namespace}`);
  }
  // Of the commits of a lane, those that are there come first, and all have the lane's first namespace.
  const present = (await store.log([...ids.values()][0]!)).reverse();
  for (const [index, { id, parts }] of lane.entries()) {
    const entry = present[index];
    if (entry !== undefined) {
      note(`begin ${id}`);
      note(`done ${id} ${entry.version}`);
      continue;
    }
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
  await main(directory, notesPath, JSON.parse(options) as ChildOptions);
}
