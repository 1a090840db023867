// The failures that a mount is known to have, each in one of four classes with the line that proves it (expected.json), and
// the comparison of a run with them.

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Failure } from './output.js';

const EXPECTED = fileURLToPath(new URL('../../../test/sqlite-suite/expected.json', import.meta.url));

/** How a mount differs from a local disk by design. */
export const CLASSES = {
  journal: 'the journal lies elsewhere than beside the file',
  reader: 'a reader is not blocked',
  wal: 'there is no WAL file',
  header: 'header bytes are masked',
  /** Nothing that a program can do: SQLite has to be built for testing. */
  test: 'the test moves the lock bytes while the daemon runs',
} as const;

export type FailureClass = keyof typeof CLASSES;

/** Tests of one file that fail for one reason. */
export interface ExpectedGroup {
  readonly class: FailureClass;
  /** The line of SQLite's test or source that shows it: file, line, and what it does. */
  readonly proof: string;
  /** Names; one that ends in `*` stands for all that begin so. */
  readonly tests: readonly string[];
  /** The failing test that left behind what makes these fail. */
  readonly follows?: string;
}

export type Expectations = Readonly<Record<string, readonly ExpectedGroup[]>>;

export interface ClassifiedFailure extends Failure {
  /** Undefined: in none of the classes, a bug to mend. */
  readonly group: ExpectedGroup | undefined;
}

export interface Comparison {
  readonly failures: readonly ClassifiedFailure[];
  /** Expected names that did not fail. */
  readonly passed: readonly string[];
}

/** @throws Error when the file has an unknown class, no proof, or a `follows` that it does not list */
export function readExpectations(text = readFileSync(EXPECTED, 'utf8')): Expectations {
  const expectations = JSON.parse(text) as Expectations;
  for (const [file, groups] of Object.entries(expectations)) {
    const names = new Set(groups.flatMap(({ tests }) => tests));
    for (const group of groups) {
      if (!(group.class in CLASSES)) throw new Error(`${file}: unknown class ${group.class}`);
      if (!group.proof || group.tests.length === 0) throw new Error(`${file}: a group without proof or tests`);
      if (group.follows !== undefined && !names.has(group.follows)) {
        throw new Error(`${file}: ${group.follows}, which others follow, is not listed`);
      }
    }
  }
  return expectations;
}

export function compare(groups: readonly ExpectedGroup[], failures: readonly Failure[]): Comparison {
  const met = new Set<string>();
  const classified = failures.map((failure) => {
    for (const group of groups) {
      const name = group.tests.find((pattern) => matches(pattern, failure.test));
      if (name === undefined) continue;
      met.add(name);
      return { ...failure, group };
    }
    return { ...failure, group: undefined };
  });
  const passed = groups.flatMap(({ tests }) => tests).filter((name) => !met.has(name));
  return { failures: classified, passed };
}

function matches(pattern: string, test: string): boolean {
  return pattern.endsWith('*') ? test.startsWith(pattern.slice(0, -1)) : test === pattern;
}
