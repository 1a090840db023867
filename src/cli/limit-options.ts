// The options of `mvfuse mount` that limit what a daemon takes. Their defaults keep it under 512 MiB.

import type { Option } from 'commander';
import { formatSize, parseCount, parseDuration, parseSize, type Range } from '../config.js';
import {
  CONNECTIONS_DEFAULT,
  DIRTY_BYTES_DEFAULT,
  DIRTY_MEMORY_BYTES_DEFAULT,
  FUSE_QUEUE_LENGTH_DEFAULT,
  LEASE_MS_DEFAULT,
  LIMIT_RANGES,
  PAGE_CACHE_BYTES_DEFAULT,
  RETENTION_PERIOD_MS_DEFAULT,
  WRITER_WAIT_MS_DEFAULT,
} from '../limits.js';
import { parsedOption } from './options.js';

export interface LimitOptions {
  readonly cacheSize: number;
  readonly dirtyMemory: number;
  readonly dirtyLimit: number;
  readonly maxConnections: number;
  readonly queueLength: number;
  readonly writerWait: number;
  readonly leaseTime: number;
  readonly retentionPeriod: number;
}

export function limitOptions(): Option[] {
  return [
    size('cache-size', 'pages kept in memory for reading', PAGE_CACHE_BYTES_DEFAULT, LIMIT_RANGES.cacheBytes),
    size(
      'dirty-memory',
      'uncommitted bytes of all connections in memory; more are kept in temporary files',
      DIRTY_MEMORY_BYTES_DEFAULT,
      LIMIT_RANGES.dirtyMemoryBytes,
    ),
    size(
      'dirty-limit',
      'uncommitted bytes of all connections, journals included; past it writes are SQLITE_FULL',
      DIRTY_BYTES_DEFAULT,
      LIMIT_RANGES.dirtyBytes,
    ),
    count(
      'max-connections',
      'open connections; past it a database cannot be opened',
      CONNECTIONS_DEFAULT,
      LIMIT_RANGES.connections,
    ),
    count(
      'queue-length',
      'requests of programs that are served at once; more wait in the kernel',
      FUSE_QUEUE_LENGTH_DEFAULT,
      LIMIT_RANGES.queueLength,
    ),
    parsedOption(
      '--writer-wait <time>',
      'how long cp and import wait for the write lock of a database, and every writer for another host',
      'MVFUSE_WRITER_WAIT',
      {
        parse: (text) => parseDuration(text, LIMIT_RANGES.writerWaitMs),
        default: WRITER_WAIT_MS_DEFAULT,
        shown: `${WRITER_WAIT_MS_DEFAULT / 1000}s`,
      },
    ),
    parsedOption(
      '--lease-time <time>',
      'fdb: stores: how long this host may give no sign of life before others may write its databases',
      'MVFUSE_LEASE_TIME',
      {
        parse: (text) => parseDuration(text, LIMIT_RANGES.leaseMs),
        default: LEASE_MS_DEFAULT,
        shown: `${LEASE_MS_DEFAULT / 1000}s`,
      },
    ),
    parsedOption(
      '--retention-period <time>',
      'how often versions that no policy keeps are removed',
      'MVFUSE_RETENTION_PERIOD',
      {
        parse: (text) => parseDuration(text, LIMIT_RANGES.retentionPeriodMs),
        default: RETENTION_PERIOD_MS_DEFAULT,
        shown: `${RETENTION_PERIOD_MS_DEFAULT / 1000}s`,
      },
    ),
  ];
}

function size(name: string, description: string, bytes: number, range: Range): Option {
  return parsedOption(`--${name} <size>`, description, variableOf(name), {
    parse: (text) => parseSize(text, range),
    default: bytes,
    shown: formatSize(bytes),
  });
}

function count(name: string, description: string, value: number, range: Range): Option {
  return parsedOption(`--${name} <count>`, description, variableOf(name), {
    parse: (text) => parseCount(text, range),
    default: value,
    shown: String(value),
  });
}

function variableOf(name: string): string {
  return `MVFUSE_${name.toUpperCase().replaceAll('-', '_')}`;
}
