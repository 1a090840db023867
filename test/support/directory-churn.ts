// What the processes of directory-churn-child.ts share with who starts them.

/** They have a database each from the beginning on. */
export const SHARED_NAMES = ['shared-0.db', 'shared-1.db', 'shared-2.db'];

/** A database that is whole has so many, all with the same tag. */
export const ROWS = 50;

export interface Churned {
  /** The outcome of each step on names of its own. */
  readonly own: string[];
  /** Of steps on shared names: how often each outcome was met. */
  readonly shared: Record<string, number>;
}
