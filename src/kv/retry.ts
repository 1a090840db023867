// Running a transaction again after a conflict: at once at first, then after a growing random pause.

import { setTimeout as sleep } from 'node:timers/promises';
import { MvfuseError } from '../errors.js';
import { KV_ATTEMPTS_MAX, KV_RETRY_PAUSE_MS_MAX } from '../limits.js';

/** What an attempt answers when another commit came between; nothing was written. */
export const CONFLICT = Symbol('conflict');

const PROMPT_ATTEMPTS = 3;

/**
 * The first answer of `attempt` that is no conflict.
 * @throws BUSY after KV_ATTEMPTS_MAX conflicts
 */
export async function retryConflicts<T>(attempt: () => Promise<T | typeof CONFLICT>, random: () => number): Promise<T> {
  for (let attempts = 1; attempts <= KV_ATTEMPTS_MAX; attempts++) {
    const answer = await attempt();
    if (answer !== CONFLICT) return answer;
    if (attempts > PROMPT_ATTEMPTS)
      await sleep(random() * Math.min(2 ** (attempts - PROMPT_ATTEMPTS), KV_RETRY_PAUSE_MS_MAX));
  }
  throw new MvfuseError('BUSY', `the transaction conflicted ${KV_ATTEMPTS_MAX} times: the store is overloaded`);
}
