// What the engine's thread and the writer's thread say to each other.

import type { ErrorCode } from '../../errors.js';
import type { CommitOutcome } from './group-commit.js';

export interface WriterData {
  readonly path: string;
  readonly bytesMax: number | undefined;
}

/** To the writer: a commit (see commit-message.ts; its buffer is transferred), or the wish to end. */
export type WriterRequest = { readonly id: number; readonly commit: ArrayBuffer } | 'close';

/** From the writer: `ready` or `refused` once, then a list of answers for each group. */
export type WriterReply =
  | { readonly kind: 'ready' }
  | { readonly kind: 'refused'; readonly code: ErrorCode; readonly message: string }
  | { readonly kind: 'answers'; readonly answers: readonly WriterAnswer[]; readonly fatal: boolean };

export interface WriterAnswer {
  readonly id: number;
  readonly outcome: CommitOutcome;
}
