// A namespace in words: its newest version, what is kept of it, and why.

import type { StoreService } from '../admin/store-service.js';
import type { HeldVersion, NamespaceDetails, RetentionPolicy } from '../store/types.js';
import { type Version, ZERO_VERSION } from '../version.js';
import { counted, isoTime } from './output.js';

/** Tags, forks and held versions, each, that the lines name; JSON has them all. */
const NAMED_MAX = 10;

export async function describeNamespace(service: StoreService, details: NamespaceDetails): Promise<string> {
  const { name, createdMs, head, parent, forks, tags, held, lock, isProtected, mode } = details;
  const never = head.version === ZERO_VERSION;
  const lines: Array<[label: string, text: string | undefined]> = [
    ['name', name],
    ['created', isoTime(createdMs)],
    ['version', never ? '-' : head.version],
    ['committed', never ? 'never' : isoTime(head.timeMs)],
    ['size', `${head.sizeBytes} bytes`],
    ['page size', never ? '-' : `${head.pageBytes} bytes`],
    ['forked from', parent && `${parent.namespace}@${parent.version}${parent.dropped === true ? ' (deleted)' : ''}`],
    [
      'forks',
      named(
        forks.map(
          ({ namespace, version, dropped }) => `${namespace} (from ${version}${dropped === true ? '; deleted' : ''})`,
        ),
      ),
    ],
    ['tags', named(tags.map((tag) => `${tag.name} (${tag.version})`))],
    ['retention', describePolicy(details)],
    ['oldest kept', await oldestKept(service, details)],
    ['held', named(describeHeld(held))],
    ['locked', lock && `by "${lock.owner}" since ${isoTime(lock.sinceMs)}; others read ${lock.version}`],
    ['protected', isProtected ? 'a mount must present its secret (--access-secret-file)' : undefined],
    ['mode', mode?.toString(8).padStart(3, '0')],
  ];
  return lines.flatMap(([label, text]) => (text === undefined ? [] : [`${label.padEnd(11)}  ${text}`])).join('\n');
}

function describePolicy({ retention, hasOwnRetention }: NamespaceDetails): string {
  return `${formatPolicy(retention)}${hasOwnRetention ? '' : ' (the policy of the store)'}`;
}

export function formatPolicy({ keepMs, keepVersions }: RetentionPolicy): string {
  const kept = [
    ...(keepMs === undefined ? [] : [`of the last ${formatSpan(keepMs)}`]),
    ...(keepVersions === undefined ? [] : [`the newest ${keepVersions}`]),
  ];
  return kept.length === 0 ? 'every version is kept' : `versions kept: ${kept.join(', and ')}`;
}

/** In the largest unit that divides it, so that 30d stays 30d. */
function formatSpan(ms: number): string {
  const units = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1_000 };
  const [unit, unitMs] = Object.entries(units).find(([, unitMs]) => ms % unitMs === 0) ?? ['ms', 1];
  return `${ms / unitMs}${unit}`;
}

async function oldestKept(
  service: StoreService,
  { name, head, truncatedBefore }: NamespaceDetails,
): Promise<string | undefined> {
  if (truncatedBefore === ZERO_VERSION) return head.version === ZERO_VERSION ? undefined : 'all, from the first one on';
  const { timeMs } = await service.resolve(name, truncatedBefore);
  return `${truncatedBefore} of ${isoTime(timeMs)}`;
}

/** One line for each version and all that holds it. */
export function describeHeld(held: readonly HeldVersion[]): string[] {
  const holders = new Map<Version, string[]>();
  for (const { version, by, name } of held) {
    const text = name === '' ? `a ${by}` : `${by} ${name}`;
    holders.set(version, [...(holders.get(version) ?? []), text]);
  }
  return [...holders].map(([version, by]) => `${version} (${by.join(', ')})`);
}

export function named(items: readonly string[]): string | undefined {
  if (items.length === 0) return undefined;
  const rest = items.length - NAMED_MAX;
  return items.slice(0, NAMED_MAX).join(', ') + (rest > 0 ? ` and ${counted(rest, 'other')}` : '');
}
