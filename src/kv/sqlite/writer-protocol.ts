// What the engine's thread and the writer's thread say to each other.

import type { ErrorCode } from '../../errors.js';
import type { CommitOutcome } from './group-commit.js';
import type { Reclaimed } from './reclaim.js';

export interface WriterData {
  readonly path: string;
  readonly bytesMax: number | undefined;
}

/**
 * To the writer: a commit (see commit-message.ts; its buffer is transferred), one step of giving space back, or the wish
 * to end.
 */
export type WriterRequest = WriterCommit | { readonly id: number; readonly reclaim: true } | 'close';

export interface WriterCommit {
  readonly id: number;
  readonly commit: ArrayBuffer;
}

/** From the writer: `ready` or `refused` once, then a list of answers for each group, and what each step gave back. */
export type WriterReply =
  | { readonly kind: 'ready' }
  | { readonly kind: 'refused'; readonly code: ErrorCode; readonly message: string }
  | ({ readonly kind: 'reclaimed'; readonly id: number } & Reclaimed)
  | { readonly kind: 'answers'; readonly answers: readonly WriterAnswer[]; readonly fatal: boolean };

export interface WriterAnswer {
  readonly id: number;
  readonly outcome: CommitOutcome;
}
