// The few things of FoundationDB's long status document that an operator of mvfuse wants to know first.

import type { ClusterStatus } from '../engine.js';

interface Message {
  readonly name?: string;
  readonly description?: string;
}

interface StatusDocument {
  readonly client?: {
    readonly database_status?: { readonly available?: boolean; readonly healthy?: boolean };
    readonly coordinators?: { readonly coordinators?: ReadonlyArray<{ readonly reachable?: boolean }> };
    readonly messages?: readonly Message[];
  };
  readonly cluster?: {
    readonly configuration?: { readonly redundancy_mode?: string };
    readonly data?: { readonly total_kv_size_bytes?: number };
    readonly fault_tolerance?: { readonly max_zone_failures_without_losing_availability?: number };
    readonly messages?: readonly Message[];
    readonly processes?: Record<string, unknown>;
  };
}

/** @param bytes JSON (FoundationDB, "Machine-Readable Status"); what is missing counts as bad */
export function readClusterStatus(bytes: Buffer): ClusterStatus {
  const { client, cluster } = JSON.parse(bytes.toString()) as StatusDocument;
  const coordinators = client?.coordinators?.coordinators ?? [];
  const messages = [...(client?.messages ?? []), ...(cluster?.messages ?? [])];
  return {
    available: client?.database_status?.available ?? false,
    healthy: client?.database_status?.healthy ?? false,
    redundancy: cluster?.configuration?.redundancy_mode ?? 'unknown',
    processes: Object.keys(cluster?.processes ?? {}).length,
    lossesTolerated: Math.max(0, cluster?.fault_tolerance?.max_zone_failures_without_losing_availability ?? 0),
    dataBytes: cluster?.data?.total_kv_size_bytes ?? 0,
    coordinators: { reachable: coordinators.filter(({ reachable }) => reachable).length, count: coordinators.length },
    messages: messages.map(({ name, description }) => description ?? name ?? 'unknown'),
  };
}
