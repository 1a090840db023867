// What a store is made to hold before its power is cut: commits planned from a seed, so that the process that makes
// them and the test that looks for them know the same. Every byte of a page follows from its commit and its place.
//
// Lanes run at the same time and share no namespace; the commits of a lane follow each other. So each namespace has one
// order of states, and a cut must leave one of them.

import { createHash } from 'node:crypto';
import { type Random, randomInteger, seededRandom } from './random.js';

export const PLAN_PAGE_BYTES = 4096;

export interface PlannedPart {
  readonly namespace: string;
  /** The file's length after the commit. */
  readonly pageCount: number;
  /** Ascending; those that it writes. */
  readonly pages: readonly number[];
}

export interface PlannedCommit {
  readonly id: number;
  readonly parts: readonly PlannedPart[];
}

export interface PlanOptions {
  readonly seed: number;
  /** Between phases the store is closed and opened again. */
  readonly phases: number;
  readonly commitsPerLane: number;
  readonly pagesMax: number;
}

/** For each phase its lanes. */
export type Plan = readonly (readonly PlannedCommit[][])[];

const LANES: ReadonlyArray<readonly string[]> = [['a'], ['b', 'c'], ['d'], ['e', 'f', 'g']];
export const NAMESPACES = LANES.flat();

export function planCommits({ seed, phases, commitsPerLane, pagesMax }: PlanOptions): Plan {
  const random = seededRandom(seed);
  const sizes = new Map(NAMESPACES.map((namespace) => [namespace, 0]));
  let lastId = 0;
  const planCommit = (lane: readonly string[]): PlannedCommit => {
    const members = lane.filter((_, index) => index === 0 || random() < 0.7);
    lastId += 1;
    return { id: lastId, parts: members.map((namespace) => planPart(namespace, sizes, pagesMax, random)) };
  };
  return Array.from({ length: phases }, () =>
    LANES.map((lane) => Array.from({ length: commitsPerLane }, () => planCommit(lane))),
  );
}

function planPart(namespace: string, sizes: Map<string, number>, pagesMax: number, random: Random): PlannedPart {
  const before = sizes.get(namespace)!;
  const shrinks = random() < 0.15 && before > 1;
  const pageCount = shrinks ? randomInteger(random, 1, before) : randomInteger(random, Math.max(1, before), pagesMax);
  sizes.set(namespace, pageCount);
  const all = Array.from({ length: pageCount }, (_, index) => index + 1);
  const share = random();
  return { namespace, pageCount, pages: all.filter((page) => page > before || random() < share) };
}

/** The states of one namespace: after `count` of its commits, which commit wrote each page (0: zeros). */
export function plannedStates(plan: Plan, namespace: string): { id: number; pages: number[] }[] {
  const states: { id: number; pages: number[] }[] = [];
  let pages: number[] = [];
  for (const { id, parts } of plan.flat(2)) {
    const part = parts.find((candidate) => candidate.namespace === namespace);
    if (part === undefined) continue;
    const previous = pages;
    pages = Array.from({ length: part.pageCount }, (_, index) => previous[index] ?? 0);
    for (const page of part.pages) pages[page - 1] = id;
    states.push({ id, pages });
  }
  return states;
}

const ZEROS = Buffer.alloc(PLAN_PAGE_BYTES);
const madePages = new Map<string, Buffer>();

/** Bytes that no compression and no mix-up hides. Not to be changed. */
export function plannedPage(id: number, namespace: string, page: number): Buffer {
  if (id === 0) return ZEROS;
  const name = `${id} ${namespace} ${page}`;
  let bytes = madePages.get(name);
  if (bytes === undefined) {
    bytes = createHash('shake128', { outputLength: PLAN_PAGE_BYTES }).update(name).digest();
    madePages.set(name, bytes);
  }
  return bytes;
}
