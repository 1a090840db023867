// The processes that share a store, as the store tells of them: signs of life, leases, pins.

import type { Engine, ReadTransaction } from '../kv/engine.js';
import type { Version } from '../version.js';
import { type DaemonId, daemonOfKey, daemonRange, leaseKey, nameOfKey, nameRange, pinKey } from './keys.js';
import { decodeBeat, decodeLease, decodeNamespaceId, decodePin } from './records.js';

export interface HostStatus {
  readonly daemon: DaemonId;
  readonly host: string;
  readonly pid: number;
  /** Whether it is the process that tells this. */
  readonly self: boolean;
  /** Names of the namespaces whose write lease it has. */
  readonly leases: readonly string[];
  /** The oldest versions that it has open. */
  readonly snapshots: ReadonlyArray<{ readonly namespace: string; readonly version: Version }>;
}

/** All that gave a sign of life; one that died is among them until another takes its leases over. */
export function readHosts(engine: Engine, self: DaemonId): Promise<HostStatus[]> {
  return engine.read(async (transaction) => {
    const [beats, names] = await Promise.all([
      transaction.getRange(daemonRange.begin, daemonRange.end),
      transaction.getRange(nameRange.begin, nameRange.end),
    ]);
    const namespaces = names.map(({ key, value }) => ({ name: nameOfKey(key), id: decodeNamespaceId(value) }));
    const owners = await Promise.all(
      namespaces.map(async ({ name, id }) => ({ name, owner: await ownerOf(transaction, id) })),
    );
    const describe = async (key: Buffer, value: Buffer): Promise<HostStatus> => {
      const daemon = daemonOfKey(key);
      const { host, pid } = decodeBeat(value);
      const pins = await Promise.all(
        namespaces.map(async ({ name, id }) => ({ namespace: name, pin: await transaction.get(pinKey(id, daemon)) })),
      );
      return {
        daemon,
        host,
        pid,
        self: daemon === self,
        leases: owners.filter(({ owner }) => owner === daemon).map(({ name }) => name),
        snapshots: pins.flatMap(({ namespace, pin }) =>
          pin === undefined ? [] : [{ namespace, version: decodePin(pin).versions[0]! }],
        ),
      };
    };
    return Promise.all(beats.map(({ key, value }) => describe(key, value)));
  });
}

async function ownerOf(
  transaction: ReadTransaction,
  namespace: Parameters<typeof leaseKey>[0],
): Promise<DaemonId | undefined> {
  const bytes = await transaction.get(leaseKey(namespace));
  return bytes && decodeLease(bytes).owner;
}
