// Figures that a daemon has anyway: they are read when somebody asks for the metrics, and cost nothing until then.

import { Counter, Gauge, type Registry } from 'prom-client';
import type { LimitsStatus, Usage } from '../../status.js';

/** Where they are read; nothing here waits. */
export interface Figures {
  readonly cache: () => { readonly pages: number; readonly bytes: number; readonly bytesMax: number };
  /** Pages asked for since the start. */
  readonly pages: () => { readonly hits: number; readonly misses: number };
  /** Of a store in a cluster, since the start. */
  readonly roundTrips: () => Readonly<Record<string, number>> | undefined;
  readonly leases: () => number | undefined;
  readonly lease: () => { readonly silentMs: number } | undefined;
  /** Of the mounts there are. */
  readonly limits: () => ReadonlyArray<LimitsStatus>;
  readonly retention: () => {
    readonly versions: number;
    readonly bytes: number;
    readonly lastRunMs: number | undefined;
    readonly failures: number;
  };
}

interface Figure {
  readonly name: string;
  readonly help: string;
  readonly kind: 'counter' | 'gauge';
  readonly label?: string;
  /** Undefined where there is none; by the label's value where there is a label. */
  readonly read: () => number | undefined | Readonly<Record<string, number>>;
}

export function addFigures(figures: Figures, registry: Registry, prefix: string): void {
  for (const { name, help, kind, label, read } of [...storeFigures(figures), ...mountFigures(figures)]) {
    const Metric = kind === 'counter' ? Counter : Gauge;
    new Metric({
      name: `${prefix}${name}`,
      help,
      labelNames: label === undefined ? [] : [label],
      registers: [registry],
      collect(this: Counter | Gauge) {
        const value = read();
        // A counter is read where it is kept, too.
        this.reset();
        if (typeof value === 'number') this.inc(value);
        else if (value !== undefined)
          for (const [key, each] of Object.entries(value)) this.inc({ [label!]: key }, each);
        else if (label === undefined) this.remove();
      },
    });
  }
}

function storeFigures({ cache, pages, roundTrips, leases, lease, retention }: Figures): Figure[] {
  const gauge = (name: string, help: string, read: Figure['read']): Figure => ({ name, help, kind: 'gauge', read });
  const counter = (name: string, help: string, read: Figure['read']): Figure => ({ name, help, kind: 'counter', read });
  const seconds = (ms: number | undefined): number | undefined => (ms === undefined ? undefined : ms / 1000);
  return [
    counter('page_cache_hits_total', 'Pages asked for that were in memory.', () => pages().hits),
    counter('page_cache_misses_total', 'Pages asked for that were not.', () => pages().misses),
    gauge('page_cache_pages', 'Pages in memory.', () => cache().pages),
    gauge('page_cache_bytes', 'Bytes that they take.', () => cache().bytes),
    gauge('page_cache_max_bytes', 'The most that they may take (--cache-size).', () => cache().bytesMax),
    {
      ...counter('engine_round_trips_total', 'How often the cluster was waited for.', roundTrips),
      label: 'kind',
    },
    gauge('leases', 'Write leases that this host has.', leases),
    gauge('sign_of_life_age_seconds', 'How long other hosts have seen nothing of this one.', () =>
      seconds(lease()?.silentMs),
    ),
    counter('retention_removed_versions_total', 'Versions that were removed.', () => retention().versions),
    counter('retention_removed_bytes_total', 'Bytes of page images that their commits wrote.', () => retention().bytes),
    counter('retention_failures_total', 'Rounds of retention that failed.', () => retention().failures),
    gauge('retention_last_run_timestamp_seconds', 'When retention last went through all namespaces.', () =>
      seconds(retention().lastRunMs),
    ),
  ];
}

function mountFigures({ limits }: Figures): Figure[] {
  const usage = (name: string, help: string, of: (status: LimitsStatus) => Usage): Figure[] => [
    { name, help, kind: 'gauge', read: () => sum(limits().map((status) => of(status).now)) },
    {
      name: maximumOf(name),
      help: 'Its limit.',
      kind: 'gauge',
      read: () => sum(limits().map((status) => of(status).max)),
    },
  ];
  return [
    ...usage('connections', 'Databases that are open.', ({ connections }) => connections),
    ...usage('fuse_requests_in_flight', 'Requests that are being served.', ({ requests }) => requests),
    ...usage('dirty_bytes', 'Bytes that are not committed, journals included.', ({ dirtyBytes }) => dirtyBytes),
    ...usage('dirty_memory_bytes', 'Those of them that are in memory.', ({ dirtyMemoryBytes }) => dirtyMemoryBytes),
    ...usage(
      'waiting_writers',
      'Programs without SQLite’s locks that wait for a write lock.',
      (status) => status.waitingWriters,
    ),
  ];
}

/** The unit stays last. */
function maximumOf(name: string): string {
  return name.endsWith('_bytes') ? name.replace(/_bytes$/, '_max_bytes') : `${name}_max`;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
