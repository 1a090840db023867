// Slow work of a command: shown while it lasts, and broken off in order by a signal.

import type { WorkOptions } from '../admin/store-service.js';
import { MvfuseError } from '../errors.js';
import { startCounter } from './progress.js';

/**
 * Aborts at the first SIGINT, SIGTERM or SIGHUP, so that temporary files are removed and what is half done is given up; a
 * second one ends the process at once.
 * @param message what it means to have been broken off
 */
export function interruption(message: string): AbortSignal {
  const controller = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => controller.abort(new MvfuseError('CLOSED', message)));
  }
  return controller.signal;
}

/**
 * Runs `use` with options that show its progress on a terminal and end it early at a signal.
 * @param unit what is counted, such as "pages"
 * @param message what it means to have been broken off
 */
export async function withWork<T>(
  { what, unit, message }: { readonly what: string; readonly unit: string; readonly message: string },
  use: (options: WorkOptions) => Promise<T>,
): Promise<T> {
  const signal = interruption(message);
  const counter = startCounter(what, unit);
  try {
    return await use({ onProgress: counter.update, signal });
  } finally {
    counter.stop();
  }
}
