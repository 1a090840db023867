// A bar on the terminal for what takes longer than a second; nothing where nobody looks.

import { Presets, SingleBar } from 'cli-progress';

const SHOWN_AFTER_MS = 1_000;

export interface Progress {
  readonly advance: (bytes: number) => void;
  readonly stop: () => void;
}

export function startProgress(what: string, sizeBytes: number): Progress {
  const format = `${what} {bar} {percentage}% of ${Math.ceil(sizeBytes / 1e6)} MB, {eta_formatted} left`;
  const bar = new SingleBar({ format, stream: process.stderr, clearOnComplete: true }, Presets.shades_classic);
  const startMs = performance.now();
  let shown = false;
  let done = 0;
  return {
    advance: (bytes) => {
      done += bytes;
      if (!shown && process.stderr.isTTY && performance.now() - startMs > SHOWN_AFTER_MS) {
        bar.start(sizeBytes, done);
        shown = true;
      }
      if (shown) bar.update(done);
    },
    stop: () => {
      if (shown) bar.stop();
    },
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
