// What clients of a cluster test did: the operations, and a recorder of them.
//
// The database is a few rows id → value and a sequence number n. Every transaction that writes adds one to n and leaves
// its own id as `ops(n, op)`; every transaction reports the n that it saw, so each says itself where in the serial
// order it was. Registers and a bank differ in their actions only.

export type Action =
  | { readonly kind: 'read'; readonly ids: readonly number[] }
  | { readonly kind: 'write'; readonly id: number; readonly value: number }
  /** Writes when the row holds `from`; otherwise it is a read. */
  | { readonly kind: 'cas'; readonly id: number; readonly from: number; readonly to: number }
  | { readonly kind: 'transfer'; readonly source: number; readonly target: number; readonly amount: number };

export interface Invocation {
  /** Unique, and what a transaction that writes leaves in `ops`. */
  readonly op: string;
  readonly client: string;
  readonly host: string;
  readonly action: Action;
  /** The kind of transaction, for who reads a report. */
  readonly style?: string;
  /** CLOCK_MONOTONIC, the same in all processes of a machine. */
  readonly invokedNs: number;
}

export interface Acknowledged {
  readonly outcome: 'ok';
  readonly respondedNs: number;
  /** The version that it produced, or read when it wrote nothing. */
  readonly n: number;
  readonly wrote: boolean;
  /** The newest entry of `ops` that a read saw, null when there was none. */
  readonly last?: string | null;
  /** Rows (id, value) of version n. */
  readonly values: ReadonlyArray<readonly [id: number, value: number]>;
}

/** It had no effect, and never will. */
export interface Failed {
  readonly outcome: 'failed';
  readonly respondedNs: number;
  readonly error: string;
}

/** It had its effect at some time after its invocation, or has none. */
export interface Indeterminate {
  readonly outcome: 'indeterminate';
  readonly respondedNs?: number;
  readonly error: string;
  /** The only version that it can have produced, where its transaction came as far as its COMMIT. */
  readonly n?: number;
}

export type Completion = Acknowledged | Failed | Indeterminate;
export type Operation = Invocation & Completion;

export interface History {
  readonly seed: number;
  /** The values at version 0, by id. */
  readonly initial: readonly number[];
  /** What the values of every version add up to, where transfers are all that writes. */
  readonly total?: number;
  readonly operations: readonly Operation[];
  /** The table `ops` when all was over: the serial order. */
  readonly order: ReadonlyArray<{ readonly n: number; readonly op: string }>;
  /** What PRAGMA integrity_check said then. */
  readonly integrity: readonly string[];
}

/** Does to the values what the action does; false, and nothing done, where it writes nothing. */
export function apply(action: Action, values: number[]): boolean {
  switch (action.kind) {
    case 'read':
      return false;
    case 'write':
      values[action.id] = action.value;
      return true;
    case 'cas':
      if (values[action.id] !== action.from) return false;
      values[action.id] = action.to;
      return true;
    case 'transfer':
      values[action.source]! -= action.amount;
      values[action.target]! += action.amount;
      return true;
  }
}

/** Puts invocations and completions together as they come. */
export class Recorder {
  readonly #invocations = new Map<string, Invocation>();
  readonly #operations: Operation[] = [];

  get completed(): number {
    return this.#operations.length;
  }

  invoke(invocation: Invocation): void {
    this.#invocations.set(invocation.op, invocation);
  }

  complete(op: string, completion: Completion): void {
    const invocation = this.#invocations.get(op);
    if (invocation === undefined) throw new Error(`${op} ends, and is not under way`);
    this.#invocations.delete(op);
    this.#operations.push({ ...invocation, ...completion });
  }

  /** All of them; one that never ended is indeterminate. */
  operations(): Operation[] {
    const pending = [...this.#invocations.values()].map(
      (invocation): Operation => ({ ...invocation, outcome: 'indeterminate', error: 'never answered' }),
    );
    return [...this.#operations, ...pending];
  }
}
