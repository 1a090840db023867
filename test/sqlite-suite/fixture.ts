// Runs one file of SQLite's tests with the interpreter that scripts/sqlite-suite-build.sh built, in a process group and a
// working directory of its own.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Failure, readSuiteOutput } from './output.js';

const ON_MOUNT = fileURLToPath(new URL('../../../test/sqlite-suite/on-mount.tcl', import.meta.url));
const STDERR_LENGTH_MAX = 4_000;

/** Failures that are not of a test: the rest of the file was not run, or something was left open at its end. */
export const ENDED_EARLY = '(ended)';
export const TIMED_OUT = '(timeout)';
export const LEFT_OPEN = '(open)';

export interface FileResult {
  /** In the unpacked source package, such as `test/lock.test`. */
  readonly file: string;
  readonly tests: number;
  readonly failures: readonly Failure[];
  readonly seconds: number;
}

export interface RunOptions {
  /** The working directory, which exists and is empty. */
  readonly directory: string;
  /** It is on a mount. */
  readonly mounted: boolean;
  readonly secondsMax: number;
}

/** @param suite what scripts/sqlite-suite-build.sh printed */
export async function runFile(
  suite: string,
  file: string,
  { directory, mounted, secondsMax }: RunOptions,
): Promise<{ result: FileResult; output: string }> {
  const startMs = performance.now();
  const script = [...(mounted ? [ON_MOUNT] : []), join(suite, 'source', file)];
  const child = spawn(join(suite, 'build/testfixture'), [...script, `--testdir=${directory}`], {
    cwd: join(suite, 'build'),
    // Tests start processes of their own, which end with it.
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, LC_ALL: 'C.UTF-8' },
  });
  let output = '';
  let errors = '';
  child.stdout.setEncoding('latin1').on('data', (chunk: string) => {
    output += chunk;
  });
  child.stderr.setEncoding('latin1').on('data', (chunk: string) => {
    errors = (errors + chunk).slice(-STDERR_LENGTH_MAX);
  });
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    process.kill(-child.pid!, 'SIGKILL');
  }, secondsMax * 1_000);
  const [status, signal] = (await once(child, 'close')) as [number | null, string | null];
  clearTimeout(timer);
  const seconds = (performance.now() - startMs) / 1_000;
  const read = readSuiteOutput(output);
  const failures = [...read.failures];
  if (timedOut) failures.push({ test: TIMED_OUT, detail: `after ${secondsMax} s in or after ${read.last}` });
  else if (!read.complete) {
    failures.push({ test: ENDED_EARLY, detail: `${status ?? signal} in or after ${read.last}: ${errors}` });
  } else if (status !== 0 && failures.length === 0) {
    failures.push({ test: LEFT_OPEN, detail: output.slice(-500) });
  }
  return { result: { file, tests: read.tests, failures, seconds }, output: output + errors };
}
