// Waiting for an end that may not come.

/** Resolves when all of `work` has settled, or after `waitMsMax`; tells whether it has. Never rejects. */
export async function settledWithin(work: Iterable<Promise<unknown>>, waitMsMax: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), waitMsMax);
  });
  try {
    return await Promise.race([Promise.allSettled(work).then(() => true), late]);
  } finally {
    clearTimeout(timer);
  }
}
