// A bar on the terminal for what takes longer than a second; nothing where nobody looks.

import { Presets, SingleBar } from 'cli-progress';

const SHOWN_AFTER_MS = 1_000;

/** Passes the pieces on and shows how far they are. */
export async function* withProgress(
  what: string,
  sizeBytes: number,
  pieces: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  const format = `${what} {bar} {percentage}% of ${Math.ceil(sizeBytes / 1e6)} MB, {eta_formatted} left`;
  const bar = new SingleBar({ format, stream: process.stderr, clearOnComplete: true }, Presets.shades_classic);
  const startMs = performance.now();
  let shown = false;
  let bytes = 0;
  try {
    for await (const piece of pieces) {
      yield piece;
      bytes += piece.length;
      if (!shown && process.stderr.isTTY && performance.now() - startMs > SHOWN_AFTER_MS) {
        bar.start(sizeBytes, bytes);
        shown = true;
      }
      if (shown) bar.update(bytes);
    }
  } finally {
    if (shown) bar.stop();
  }
}
