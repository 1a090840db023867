// What several routes make of their arguments.

import { MvfuseError } from '../../errors.js';
import { formatDuration } from '../../moment.js';
import type { NamespaceMoment } from '../store-service.js';
import type { RouteOptions } from './server.js';

/** `namespace[@moment]`. */
export function parseMomentOf(target: string): NamespaceMoment {
  const at = target.indexOf('@');
  return at === -1
    ? { namespace: target, moment: 'latest' }
    : { namespace: target.slice(0, at), moment: target.slice(at + 1) };
}

/** @throws ACCESS_DENIED when the versions before `moment` are younger than this daemon lets anybody remove */
export async function requireTruncatable(
  { service, truncateMinAgeMs }: RouteOptions,
  namespace: string,
  moment: string,
): Promise<void> {
  if (truncateMinAgeMs === 0) return;
  const { version, timeMs } = await service.resolve(namespace, moment);
  const ageMs = Date.now() - timeMs;
  if (ageMs >= truncateMinAgeMs) return;
  throw new MvfuseError(
    'ACCESS_DENIED',
    `version ${version} is ${formatDuration(Math.max(0, ageMs))} old: this daemon lets nobody remove what is younger than ${formatDuration(truncateMinAgeMs)} (--truncate-min-age)`,
  );
}
