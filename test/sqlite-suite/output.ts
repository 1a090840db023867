// Reads what SQLite's test interpreter prints (tester.tcl, --verbose=1): for each test its name and three dots, then "Ok",
// or lines that begin with "! NAME expected:" and "! NAME got:", or "Error: MESSAGE"; at the end the number of errors
// and tests and the names of what failed.

export interface Failure {
  readonly test: string;
  /** What was printed of it: expected and got, or the error. */
  readonly detail: string;
}

export interface SuiteOutput {
  /** The closing line was printed: the file ran to its end. */
  readonly complete: boolean;
  /** Tests that were run; the closing line counts itself, this does not. */
  readonly tests: number;
  /** In the order in which they failed; a name comes as often as it failed. */
  readonly failures: readonly Failure[];
  /** The test that was named last. */
  readonly last: string | undefined;
}

const DETAIL_LENGTH_MAX = 2_000;
const NAMED = /^(\S.*?)\.\.\.( Ok)?$/;
const EXPECTED = /^! (.+?) expected: \[/;
const CLOSING = /^(\d+) errors out of (\d+) tests/;
const FAILED = '!Failures on these tests:';

export function readSuiteOutput(text: string): SuiteOutput {
  const failures: Array<{ test: string; detail: string }> = [];
  let open: { test: string; detail: string } | undefined;
  let last: string | undefined;
  let named = 0;
  let closing: RegExpExecArray | null = null;
  let listed: string[] = [];
  for (const line of text.split('\n')) {
    closing ??= CLOSING.exec(line);
    if (line.startsWith(FAILED)) listed = line.slice(FAILED.length).trim().split(' ');
    const name = NAMED.exec(line);
    const expected = EXPECTED.exec(line);
    if (name !== null && closing === null) {
      last = name[1]!;
      named += 1;
      open = undefined;
    } else if (expected !== null) {
      open = { test: expected[1]!, detail: line };
      failures.push(open);
    } else if (line.startsWith('Error: ') && last !== undefined && closing === null) {
      open = { test: last, detail: line };
      failures.push(open);
    } else if (open !== undefined && closing === null && open.detail.length < DETAIL_LENGTH_MAX) {
      open.detail += `\n${line}`;
    }
  }
  if (closing === null) return { complete: false, tests: named, failures, last };
  // Some checks fail a test without saying what they saw.
  const shown = new Set(failures.map(({ test }) => test));
  if (Number(closing[1]) > failures.length) {
    for (const test of listed) if (!shown.has(test)) failures.push({ test, detail: '' });
  }
  return { complete: true, tests: Number(closing[2]) - 1, failures, last };
}
