// A daemon that another process started in the background, and what it tells that process: that it is mounted, or
// why it is not. It does so over the IPC channel that the other gave it; without one nobody is told anything.

export type StartOutcome =
  | { readonly kind: 'mounted' }
  /** `message` is the sentence that goes to standard error as well. */
  | { readonly kind: 'failed'; readonly message: string };

/** Resolves when it is told; only the first outcome is. */
export async function tellStarter(outcome: StartOutcome): Promise<void> {
  if (process.send === undefined || !process.connected) return;
  // The starter may be gone; that is no reason not to go on.
  await new Promise<void>((resolve) => process.send!(outcome, undefined, undefined, () => resolve()));
  if (process.connected) process.disconnect();
}
