// docs/benchmarks.md: one part for each program that measures, so that each can be run alone.

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const REPORT = fileURLToPath(new URL('../../docs/benchmarks.md', import.meta.url));
/** What the part on FoundationDB begins with. */
const FOUNDATIONDB = '## On FoundationDB\n';

/** What is measured on the embedded store: everything but the part on FoundationDB. */
export function writeMainPart(text: string): void {
  const { foundationdb } = readParts();
  writeFileSync(REPORT, foundationdb === '' ? text : `${text}\n${foundationdb}`);
}

/** @param text what follows its heading */
export function writeFoundationdbPart(text: string): void {
  writeFileSync(REPORT, `${readParts().main.trimEnd()}\n\n${FOUNDATIONDB}\n${text}`);
}

function readParts(): { main: string; foundationdb: string } {
  const text = existsSync(REPORT) ? readFileSync(REPORT, 'utf8') : '';
  const at = text.indexOf(FOUNDATIONDB);
  return at === -1 ? { main: text, foundationdb: '' } : { main: text.slice(0, at), foundationdb: text.slice(at) };
}

export function median(figures: readonly number[]): number {
  const sorted = [...figures].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
