// How far back the history of each mounted namespace goes, for the metrics. The store is asked, so it is asked now and then
// only, and nobody waits for it longer than a moment: what was found before is told meanwhile.

import { Gauge, type Registry } from 'prom-client';
import { METRIC_KEPT_FRESH_MS, METRIC_KEPT_WAIT_MS_MAX, METRIC_NAMESPACES_MAX } from '../../limits.js';
import { settledWithin } from '../../settle.js';
import { ZERO_VERSION } from '../../version.js';
import type { StoreService } from '../store-service.js';

interface Kept {
  readonly namespace: string;
  /** When the oldest version that is kept was committed; the namespace's creation where none was removed. */
  readonly sinceMs: number;
  readonly held: number;
}

/** @param names those that are mounted, now */
export function addKeptFigures(
  service: StoreService,
  names: () => readonly string[],
  registry: Registry,
  prefix: string,
): void {
  let last: readonly Kept[] = [];
  let askedMs = Number.NEGATIVE_INFINITY;
  let asking: Promise<void> = Promise.resolve();
  const look = async (): Promise<readonly Kept[]> => {
    if (performance.now() - askedMs >= METRIC_KEPT_FRESH_MS) {
      askedMs = performance.now();
      asking = ask();
    }
    await settledWithin([asking], METRIC_KEPT_WAIT_MS_MAX);
    return last;
  };
  const ask = async (): Promise<void> => {
    const some = [...new Set(names())].slice(0, METRIC_NAMESPACES_MAX);
    const answers = await Promise.allSettled(some.map((name) => keptOf(service, name)));
    last = answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []));
  };
  const gauge = (name: string, help: string, read: (kept: Kept) => number): void => {
    new Gauge({
      name: `${prefix}${name}`,
      help,
      labelNames: ['namespace'],
      registers: [registry],
      async collect() {
        const all = await look();
        this.reset();
        for (const kept of all) this.set({ namespace: kept.namespace }, read(kept));
      },
    });
  };
  gauge('retention_oldest_version_age_seconds', 'How old the oldest version is that is kept in order.', ({ sinceMs }) =>
    Math.max(0, (Date.now() - sinceMs) / 1000),
  );
  gauge('retention_held_versions', 'Older versions that tags, forks, locks or readers keep.', ({ held }) => held);
}

async function keptOf(service: StoreService, name: string): Promise<Kept> {
  const { truncatedBefore, createdMs, held } = await service.statNamespace(name);
  const isWhole = truncatedBefore === ZERO_VERSION;
  const sinceMs = isWhole ? createdMs : (await service.resolve(name, truncatedBefore)).timeMs;
  return { namespace: name, sinceMs, held: new Set(held.map(({ version }) => version)).size };
}
