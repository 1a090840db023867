// Whether a daemon can do its work: the store answers, this host shows the others that it is there, and each namespace can
// be read and written through its mount.

import { isMvfuseError } from '../../errors.js';
import { READY_CHECK_MS_MAX, READY_FRESH_MS } from '../../limits.js';
import type { StoreService } from '../store-service.js';

export interface Check {
  readonly kind: 'store' | 'lease' | 'mount' | 'namespace';
  /** The mount point, or the namespace. */
  readonly name: string;
  readonly ready: boolean;
  /** Of a namespace, and of a mount with a prefix: whether programs may write. */
  readonly writable?: boolean;
  /** Of a mount that shows all namespaces whose names begin with it, which are not listed one by one. */
  readonly prefix?: string;
  readonly reason?: string;
}

export interface Readiness {
  readonly ready: boolean;
  readonly checks: readonly Check[];
}

/** What the daemon tells of itself; nothing of it waits. */
export interface DaemonState {
  /** Those that were asked for. */
  readonly mounts: () => readonly MountState[];
  /** For how long the others that share the store have seen no sign of life, and how long they wait; undefined without others. */
  readonly lease: () => LeaseState | undefined;
}

export interface MountState {
  readonly mountpoint: string;
  /** Why no program can reach it; undefined when they can. */
  readonly problem: string | undefined;
  /** Names of the namespaces whose newest version it shows. */
  readonly namespaces: ReadonlyArray<{ readonly name: string; readonly writable: boolean }>;
  /** Set where all are shown besides whose names begin so. */
  readonly prefix?: { readonly text: string; readonly writable: boolean };
}

export interface LeaseState {
  readonly silentMs: number;
  readonly leaseMs: number;
}

export interface Health {
  /** Never rejects, and answers within READY_CHECK_MS_MAX. */
  check(): Promise<Readiness>;
}

/** Those who ask at about the same time get one answer. */
export function createHealth(service: StoreService, state: DaemonState, nowMs = () => performance.now()): Health {
  let last: { atMs: number; readiness: Promise<Readiness> } | undefined;
  return {
    check: () => {
      if (last === undefined || nowMs() - last.atMs > READY_FRESH_MS) {
        last = { atMs: nowMs(), readiness: checkAll(service, state) };
      }
      return last.readiness;
    },
  };
}

async function checkAll(service: StoreService, state: DaemonState): Promise<Readiness> {
  const mounts = state.mounts();
  const mounted = mounts.flatMap(({ problem, namespaces }) => namespaces.map((of) => ({ ...of, problem })));
  const names = [...new Set(mounted.map(({ name }) => name))];
  const stored = await Promise.all(names.map(async (name) => [name, await storeProblem(service, name)] as const));
  const failed = stored.filter(([, problem]) => problem?.isStore);
  const checks: Check[] = [
    names.length === 0
      ? check('store', '', (await within(service.defaultRetention()))?.reason)
      : check('store', '', failed.length < names.length ? undefined : failed[0]![1]!.reason),
    ...leaseChecks(state.lease()),
    ...mounts.map(({ mountpoint, problem, prefix }) => ({
      ...check('mount', mountpoint, problem),
      ...(prefix === undefined ? {} : { prefix: prefix.text, writable: prefix.writable }),
    })),
    ...stored.map(([name, problem]) => {
      const ways = mounted.filter((way) => way.name === name && way.problem === undefined);
      const reason = problem?.reason ?? (ways.length === 0 ? 'its mount is not there' : undefined);
      return { ...check('namespace', name, reason), writable: ways.some(({ writable }) => writable) };
    }),
  ];
  return { ready: checks.every(({ ready }) => ready), checks };
}

function check(kind: Check['kind'], name: string, reason: string | undefined): Check {
  return { kind, name, ready: reason === undefined, ...(reason === undefined ? {} : { reason }) };
}

function leaseChecks(lease: LeaseState | undefined): Check[] {
  if (lease === undefined) return [];
  const { silentMs, leaseMs } = lease;
  const reason = `no sign of life reached the store for ${Math.round(silentMs / 100) / 10} s; after ${leaseMs / 1000} s (--lease-time) others may write`;
  return [check('lease', '', silentMs > leaseMs ? reason : undefined)];
}

interface Problem {
  readonly reason: string;
  /** Whether it is one of the whole store. */
  readonly isStore: boolean;
}

async function storeProblem(service: StoreService, name: string): Promise<Problem | undefined> {
  return within(service.statNamespace(name));
}

async function within(work: Promise<unknown>): Promise<Problem | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<Problem>((resolve) => {
    const reason = `the store did not answer within ${READY_CHECK_MS_MAX / 1000} s`;
    timer = setTimeout(() => resolve({ reason, isStore: true }), READY_CHECK_MS_MAX);
  });
  const answered = work.then(
    () => undefined,
    (error: Error) => ({ reason: error.message, isStore: !isMvfuseError(error, 'NOT_FOUND') }),
  );
  try {
    return await Promise.race([answered, late]);
  } finally {
    clearTimeout(timer);
  }
}
