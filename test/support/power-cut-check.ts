// Opens what a power cut left of a planned store and compares it with the plan and with what had been acknowledged.

import { strict as assert } from 'node:assert';
import { openEngine } from '../../src/kv/open.js';
import type { PageStore } from '../../src/store/page-store.js';
import type { LogEntry, NamespaceInfo } from '../../src/store/types.js';
import { openInlineEngine } from './inline-engine.js';
import { NAMESPACES, PLAN_PAGE_BYTES, type Plan, plannedPage, plannedStates } from './power-cut-plan.js';
import { type Random, randomInteger } from './random.js';
import { commitOne, openStore, pageNumber, request } from './stores.js';

/** What the notes said until the cut. */
export class Acknowledged {
  readonly namespaces = new Set<string>();
  readonly begun = new Set<number>();
  /** Commit → version. */
  readonly done = new Map<number, string>();

  note(text: string): void {
    const [word, subject, version] = text.trim().split(' ');
    if (word === 'namespace') this.namespaces.add(subject!);
    else if (word === 'begin') this.begun.add(Number(subject));
    else this.done.set(Number(subject), version!);
  }
}

export interface CheckOptions {
  readonly plan: Plan;
  readonly acknowledged: Acknowledged;
  readonly random: Random;
  /** Older versions of each namespace that are read besides the newest two. */
  readonly olderVersions: number;
}

/** How many are opened in the quick way for each one that is opened as a daemon does it. */
const INLINE_OPENINGS = 20;
let openings = 0;

interface Found {
  readonly info: NamespaceInfo;
  /** The oldest first. */
  readonly log: readonly LogEntry[];
}

/** @throws AssertionError for anything that a power cut must not do */
export async function checkStore(directory: string, options: CheckOptions): Promise<void> {
  // With a clock that stands at 0, only the store itself keeps versions ascending.
  const clock = () => 0;
  const isInline = ++openings % INLINE_OPENINGS !== 0;
  const engine = isInline ? openInlineEngine(directory, { clock }) : await openEngine(`sqlite:${directory}`, { clock });
  const store = await openStore(engine);
  try {
    const found = new Map<string, Found>();
    for (const info of await store.listNamespaces()) {
      found.set(info.name, { info, log: (await store.log(info.id)).reverse() });
    }
    for (const name of options.acknowledged.namespaces) assert.ok(found.has(name), `namespace ${name} is gone`);
    for (const [name, namespace] of found) await checkNamespace(store, name, namespace, options);
    checkTogether(found, options.plan);
    await checkNextVersion(store, found, options.acknowledged);
  } finally {
    await store.close();
  }
}

async function checkNamespace(
  store: PageStore,
  name: string,
  { info, log }: Found,
  options: CheckOptions,
): Promise<void> {
  const { plan, acknowledged, random, olderVersions } = options;
  const states = plannedStates(plan, name);
  const doneCount = states.filter(({ id }) => acknowledged.done.has(id)).length;
  const begunCount = states.filter(({ id }) => acknowledged.begun.has(id)).length;
  assert.ok(log.length >= doneCount, `${name}: ${doneCount} commits were acknowledged, ${log.length} are there`);
  assert.ok(log.length <= begunCount, `${name}: ${begunCount} commits had begun, ${log.length} are there`);
  for (const [index, { version }] of log.entries()) {
    if (index < doneCount)
      assert.equal(version, acknowledged.done.get(states[index]!.id), `${name}: commit ${index + 1}`);
    if (index > 0) assert.ok(version > log[index - 1]!.version, `${name}: versions ascend`);
  }
  const head = await store.head(info.id);
  if (log.length > 0) assert.equal(head.version, log.at(-1)!.version, `${name}: the head is the last commit`);

  const chosen = new Set([log.length - 1, log.length - 2]);
  for (let count = 0; count < olderVersions; count++) chosen.add(randomInteger(random, 0, log.length - 1));
  for (const index of chosen) {
    if (index < 0 || index >= log.length) continue;
    const head = await store.headAt(info.id, log[index]!.version);
    const { id, pages } = states[index]!;
    assert.equal(head!.sizeBytes, pages.length * PLAN_PAGE_BYTES, `${name}: size after commit ${id}`);
    const read = await store.readPages(
      info.id,
      head!,
      pages.map((_, at) => pageNumber(at + 1)),
    );
    for (const [at, writer] of pages.entries()) {
      assert.ok(read[at]!.equals(plannedPage(writer, name, at + 1)), `${name}: page ${at + 1} after commit ${id}`);
    }
  }
}

/** A commit over several namespaces is in all of them or in none. */
function checkTogether(found: ReadonlyMap<string, Found>, plan: Plan): void {
  const present = new Map<number, number>();
  const versions = new Map<number, Set<string>>();
  for (const name of NAMESPACES) {
    for (const [index, { id }] of plannedStates(plan, name).entries()) {
      const entry = found.get(name)?.log[index];
      if (entry === undefined) continue;
      present.set(id, (present.get(id) ?? 0) + 1);
      versions.set(id, (versions.get(id) ?? new Set()).add(entry.version));
    }
  }
  for (const { id, parts } of plan.flat(2)) {
    const count = present.get(id) ?? 0;
    assert.ok(count === 0 || count === parts.length, `commit ${id} is in ${count} of its ${parts.length} namespaces`);
    assert.ok((versions.get(id)?.size ?? 1) === 1, `commit ${id} has one version`);
  }
}

async function checkNextVersion(
  store: PageStore,
  found: ReadonlyMap<string, Found>,
  acknowledged: Acknowledged,
): Promise<void> {
  const info = found.values().next().value?.info ?? (await store.createNamespace('next'));
  const { version } = await store.head(info.id);
  const pages = [{ number: pageNumber(1), data: Buffer.alloc(PLAN_PAGE_BYTES, 1) }];
  const { head } = await commitOne(store, request(info.id, version, 1, pages, PLAN_PAGE_BYTES));
  for (const done of acknowledged.done.values()) assert.ok(head.version > done, `${head.version} follows ${done}`);
}
