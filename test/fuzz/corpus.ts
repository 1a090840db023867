// The committed inputs of each fuzz target: test/fuzz/corpus/TARGET. A file named by its SHA-1 was found by fuzzing;
// one with another name was written by SQLite, or came from the kernel, or shows a bug that was.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
export const CORPUS = join(ROOT, 'test/fuzz/corpus');
export const FINDINGS = join(ROOT, 'dist-fuzz/findings');

export interface CorpusFile {
  readonly name: string;
  readonly bytes: Buffer;
}

export function readCorpus(target: string): CorpusFile[] {
  const directory = join(CORPUS, target);
  const names = readdirSync(directory).sort();
  return names.map((name) => ({ name, bytes: readFileSync(join(directory, name)) }));
}

export function isNamed(name: string): boolean {
  return !/^[0-9a-f]{40}$/.test(name);
}
