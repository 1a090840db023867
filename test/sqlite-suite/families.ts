// Which of SQLite's test files are run: families by name, less what does not run on a local disk (files.txt).

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const LIST = fileURLToPath(new URL('../../../test/sqlite-suite/files.txt', import.meta.url));

const WHOLE_FAMILIES =
  /^(lock|pager|journal|jrnlmode|crash|savepoint|trans|vacuum|incrvacuum|autovacuum|attach|backup|exclusive|shared|temp|tkt|ioerr|corrupt|mmap|insert|update|delete|index).*\.test$/;
const FAMILIES: ReadonlyArray<readonly [directory: string, name: RegExp]> = [
  ['test', WHOLE_FAMILIES],
  ['test', /^select[1-9]\.test$/],
  ['test', /^fts(3a[a-o]|4aa)\.test$/],
  ['ext/fts5/test', /^fts5a[a-l]\.test$/],
  ['ext/rtree', /^rtree[1-9]\.test$/],
];

export interface ListedFile {
  readonly file: string;
  /** Tests that it runs on a local disk. */
  readonly tests: number;
  /** Those that fail there, too: nothing is asked of them on a mount. */
  readonly failing: readonly string[];
}

/** Every file of the families, as paths in the source package. */
export function familyFiles(suite: string): string[] {
  return FAMILIES.flatMap(([directory, name]) =>
    readdirSync(join(suite, 'source', directory))
      .filter((file) => name.test(file))
      .sort()
      .map((file) => join(directory, file)),
  );
}

export function readList(): ListedFile[] {
  return readFileSync(LIST, 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => {
      const [file, tests, ...failing] = line.split(' ');
      return { file: file!, tests: Number(tests), failing };
    });
}

/** @param comment lines without their mark */
export function writeList(files: readonly ListedFile[], comment: readonly string[]): void {
  const lines = files.map(({ file, tests, failing }) => [file, tests, ...failing].join(' '));
  writeFileSync(LIST, `${[...comment.map((line) => `# ${line}`), ...lines].join('\n')}\n`);
}
