// What a daemon counts, for Prometheus: what observers of the store and the mount are told, and figures that are read when
// they are asked for.
//
// Only the namespaces that the daemon was told to mount have labels of their own, and no more of those than
// METRIC_NAMESPACES_MAX.

import { constants } from 'node:os';
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { METRIC_NAMESPACES_MAX } from '../../limits.js';
import type { MountObserver, StoreObserver } from '../../observers.js';
import type { NamespaceId } from '../../store/types.js';
import type { StoreService } from '../store-service.js';
import { addFigures, type Figures } from './figures.js';
import { HotHistogram } from './hot-histogram.js';
import { addKeptFigures } from './kept-figures.js';
import type { Listener } from './listener.js';

export interface Metrics {
  readonly contentType: string;
  /** In the text format of Prometheus. */
  render(): Promise<string>;
  readonly storeObserver: StoreObserver;
  readonly mountObserver: MountObserver;
  /** From now on these are read, too. */
  addFigures(figures: Figures): void;
  /** From now on how far back these namespaces are kept is told, too. */
  addKept(service: StoreService, names: () => readonly string[]): void;
  /** From now on what concerns these namespaces is told apart. */
  nameNamespace(id: NamespaceId, name: string): void;
  /** A call of the API was answered. */
  apiAnswered(operation: string, status: number): void;
  /** From now on the connections of these are among them. */
  countConnections(listeners: readonly Listener[]): void;
}

const PREFIX = 'mvfuse_';
const OTHER = 'other';
/** A request that memory answers takes tens of microseconds, one that waits for a cluster or a lock up to seconds. */
const SECONDS = [0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10];

export function createMetrics(release: string): Metrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry, prefix: PREFIX });
  const counter = (name: string, help: string, ...labelNames: string[]) =>
    new Counter({ name: `${PREFIX}${name}`, help, labelNames, registers });
  const histogram = (name: string, help: string, ...labelNames: string[]) =>
    new Histogram({ name: `${PREFIX}${name}`, help, labelNames, buckets: SECONDS, registers });
  new Gauge({ name: `${PREFIX}build_info`, help: 'Always 1.', labelNames: ['release'], registers }).set({ release }, 1);
  const names = new Map<NamespaceId, string>();
  const nameOf = (id: NamespaceId): string => names.get(id) ?? OTHER;
  const apiRequests = counter('api_requests_total', 'Calls of the API that were answered.', 'operation', 'status');
  return {
    contentType: registry.contentType,
    render: () => registry.metrics(),
    storeObserver: storeObserver(counter, histogram, nameOf),
    mountObserver: mountObserver(registry, counter, nameOf),
    addFigures: (figures) => addFigures(figures, registry, PREFIX),
    addKept: (service, names) => addKeptFigures(service, names, registry, PREFIX),
    nameNamespace: (id, name) => {
      if (names.size < METRIC_NAMESPACES_MAX) names.set(id, name);
    },
    apiAnswered: (operation, status) => apiRequests.inc({ operation, status: String(status) }),
    countConnections: (listeners) => {
      new Gauge({
        name: `${PREFIX}api_connections`,
        help: 'Connections to the API.',
        labelNames: ['listener'],
        registers,
        collect() {
          for (const { kind, connections } of listeners) this.set({ listener: kind }, connections());
        },
      });
    },
  };
}

type MakeCounter = (name: string, help: string, ...labelNames: string[]) => Counter;
type MakeHistogram = (name: string, help: string, ...labelNames: string[]) => Histogram;
type NameOf = (id: NamespaceId) => string;

function storeObserver(counter: MakeCounter, histogram: MakeHistogram, nameOf: NameOf): StoreObserver {
  const commits = counter('commits_total', 'Commits; one for each database of a transaction.', 'namespace');
  const pages = counter('committed_pages_total', 'Pages that commits wrote.', 'namespace');
  const bytes = counter('committed_bytes_total', 'Bytes of page images that commits wrote.', 'namespace');
  const commitSeconds = histogram('commit_seconds', 'How long commits took in the store.').labels();
  const readSeconds = histogram('page_read_seconds', 'How long reads of pages that were not in memory took.').labels();
  const readPages = counter('pages_read_total', 'Pages that were read because they were not in memory.');
  const errors = counter('store_errors_total', 'Commits and reads that failed.', 'operation', 'code');
  const leases = counter('lease_changes_total', 'Write leases taken, passed on to another host, and lost.', 'change');
  for (const change of ['taken', 'passed-on', 'lost']) leases.inc({ change }, 0);
  return {
    committed: (done, ms) => {
      commitSeconds.observe(ms / 1000);
      for (const { namespace: id, commit } of done) {
        const namespace = nameOf(id);
        commits.inc({ namespace });
        pages.inc({ namespace }, commit.pageCount);
        bytes.inc({ namespace }, commit.bytes);
      }
    },
    pagesRead: (count, ms) => {
      readPages.inc(count);
      readSeconds.observe(ms / 1000);
    },
    failed: (operation, code) => errors.inc({ operation, code }),
    leaseChanged: (change) => leases.inc({ change }),
  };
}

function mountObserver(registry: Registry, counter: MakeCounter, nameOf: NameOf): MountObserver {
  const seconds = new HotHistogram({
    name: `${PREFIX}fuse_request_seconds`,
    help: 'How long requests of the kernel took.',
    label: 'op',
    buckets: SECONDS,
    registry,
  });
  const errors = counter('fuse_errors_total', 'Requests that were answered with an error.', 'op', 'errno');
  const refused = counter(
    'writers_refused_total',
    'Connections that were not let write: another one writes (busy), another host or a maintenance lock does not let them (elsewhere), or their snapshot is not the newest version (conflict).',
    'namespace',
    'reason',
  );
  return {
    answered: (op, ms, errno) => {
      seconds.count(op, ms / 1000);
      if (errno !== 0) errors.inc({ op, errno: errnoName(errno) });
    },
    writerRefused: (id, reason) => refused.inc({ namespace: nameOf(id), reason }),
  };
}

/** Of two names for one number, such as EAGAIN and EWOULDBLOCK, the first. */
const ERRNO_NAMES = new Map(
  Object.entries(constants.errno)
    .reverse()
    .map(([name, number]) => [number, name]),
);

function errnoName(errno: number): string {
  return ERRNO_NAMES.get(errno) ?? String(errno);
}
