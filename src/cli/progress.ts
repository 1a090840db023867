// A bar on the terminal for what takes longer than a second; nothing where nobody looks.

import { Presets, SingleBar } from 'cli-progress';

const SHOWN_AFTER_MS = 1_000;

export interface Progress {
  readonly advance: (bytes: number) => void;
  readonly stop: () => void;
}

/** Of bytes, the number of which is known; 0: it is not. */
export function startProgress(what: string, sizeBytes: number): Progress {
  const megabytes = (bytes: number): string => `${Math.ceil(bytes / 1e6)} MB`;
  const bar = delayedBar(what, (done, total) => (total === 0 ? megabytes(done) : `of ${megabytes(total)}`));
  let done = 0;
  return {
    advance: (bytes) => {
      done += bytes;
      bar.update(done, sizeBytes);
    },
    stop: bar.stop,
  };
}

export interface Counter {
  /** `total` is 0 while it is not known. */
  readonly update: (progress: { readonly done: number; readonly total: number }) => void;
  readonly stop: () => void;
}

/** Of anything that can be counted. */
export function startCounter(what: string, unit: string): Counter {
  const bar = delayedBar(what, (done, total) => (total === 0 ? `${done} ${unit}` : `of ${total} ${unit}`));
  return { update: ({ done, total }) => bar.update(done, total), stop: bar.stop };
}

interface DelayedBar {
  readonly update: (done: number, total: number) => void;
  readonly stop: () => void;
}

function delayedBar(what: string, describe: (done: number, total: number) => string): DelayedBar {
  const known = `${what} {bar} {percentage}% {amount}, {eta_formatted} left`;
  const unknown = `${what}: {amount}`;
  const startMs = performance.now();
  let bar: SingleBar | undefined;
  return {
    update: (done, total) => {
      const amount = describe(done, total);
      if (bar === undefined) {
        if (!process.stderr.isTTY || performance.now() - startMs <= SHOWN_AFTER_MS) return;
        const format = total === 0 ? unknown : known;
        bar = new SingleBar({ format, stream: process.stderr, clearOnComplete: true }, Presets.shades_classic);
        bar.start(total, done, { amount });
      }
      bar.setTotal(total);
      bar.update(done, { amount });
    },
    stop: () => bar?.stop(),
  };
}

/** Passes the pieces on and shows how far they are. */
export async function* withProgress(
  what: string,
  sizeBytes: number,
  pieces: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  const progress = startProgress(what, sizeBytes);
  try {
    for await (const piece of pieces) {
      yield piece;
      progress.advance(piece.length);
    }
  } finally {
    progress.stop();
  }
}
