// What a daemon counts, for Prometheus.

import { collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import type { Listener } from './listener.js';

export interface Metrics {
  readonly contentType: string;
  /** In the text format of Prometheus. */
  render(): Promise<string>;
  /** From now on the connections of these are among them. */
  countConnections(listeners: readonly Listener[]): void;
}

const PREFIX = 'mvfuse_';

export function createMetrics(): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry, prefix: PREFIX });
  return {
    contentType: registry.contentType,
    render: () => registry.metrics(),
    countConnections: (listeners) => {
      new Gauge({
        name: `${PREFIX}api_connections`,
        help: 'Connections to the API.',
        labelNames: ['listener'],
        registers: [registry],
        collect() {
          for (const { address, connections } of listeners) {
            this.set({ listener: address.startsWith('/') ? 'socket' : 'tcp' }, connections());
          }
        },
      });
    },
  };
}
