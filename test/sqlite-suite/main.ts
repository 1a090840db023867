// SQLite's own test-suite with its working directory on a mount of `--namespaces '*'` (docs/testing.md).
// Arguments: SUITE (what scripts/sqlite-suite-build.sh printed) and the options below. Each file runs in a process of its
// own, on a daemon, store and mount of its own. Exit status 1: something failed that is in none of the known classes.

import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { release, tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import { startCounter } from '../../src/cli/progress.js';
import { TestMount } from '../support/mounted.js';
import { type Comparison, compare, readExpectations } from './expected.js';
import { familyFiles, type ListedFile, readList, writeList } from './families.js';
import { type FileResult, runFile, TIMED_OUT } from './fixture.js';
import { LOCK_BYTES, LOCK_BYTES_USUAL, LOCK_BYTES_VARIABLE } from './lock-bytes-of-tests.js';
import { type Outcome, outcomeLine, writeReport } from './report.js';

const LOCAL_SECONDS_MAX = 120;
/** A test that waits for round trips takes a multiple of its time on a local disk. */
const MOUNT_SECONDS_MAX = 1_800;
/** Where a test is known to wait in vain. */
const HOPELESS_SECONDS_MAX = 30;
/** Stores lie in memory where there is room for it: the store's syncs are not what is tested, and cost most of the time. */
const MEMORY = '/dev/shm';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    /** On a local disk instead of a mount. */
    local: { type: 'boolean', default: false },
    /** Runs all of the families on the local disk and lists those that pass. */
    'record-list': { type: 'boolean', default: false },
    /** Goes on with a run that was broken off. */
    resume: { type: 'boolean', default: false },
    /** Leaves directories and mounts' stores where they are, and says where. */
    keep: { type: 'boolean', default: false },
    jobs: { type: 'string', default: '2' },
    timeout: { type: 'string' },
  },
});
const [suite, ...names] = positionals;
if (suite === undefined) throw new Error('usage: main.js SUITE [FILE...]');
const sqlite = readFileSync(join(suite, 'version'), 'utf8').trim();
const local = values.local || values['record-list'];
const secondsMax = Number(values.timeout ?? (local ? LOCAL_SECONDS_MAX : MOUNT_SECONDS_MAX));
const results = join(suite, local ? 'results-local' : 'results-mount');
mkdirSync(results, { recursive: true });

const files = chooseFiles(suite);
const expectations = readExpectations();
const outcomes: Outcome[] = [];
const counter = startCounter(local ? 'on the local disk' : 'on a mount', 'files');
// The longest first.
const queue = [...files].sort((one, other) => other.tests - one.tests);
await Promise.all(Array.from({ length: Number(values.jobs) }, worker));
counter.stop();

const order = new Map(files.map(({ file }, index) => [file, index]));
outcomes.sort((one, other) => order.get(one.result.file)! - order.get(other.result.file)!);
if (values['record-list']) recordList();
else finish();

function chooseFiles(directory: string): ListedFile[] {
  if (values['record-list']) return familyFiles(directory).map((file) => ({ file, tests: 0, failing: [] }));
  const listed = readList();
  if (names.length === 0) return listed;
  return names.map((name) => {
    const known = listed.find(({ file }) => file === name || basename(file, '.test') === basename(name, '.test'));
    if (known === undefined) throw new Error(`${name} is not in test/sqlite-suite/files.txt`);
    return known;
  });
}

async function worker(): Promise<void> {
  for (let listed = queue.shift(); listed !== undefined; listed = queue.shift()) {
    const result = (values.resume ? readResult(listed.file) : undefined) ?? (await run(listed.file));
    const groups = local ? [] : (expectations[listed.file] ?? []);
    const failures = result.failures.filter(({ test }) => !listed.failing.includes(test));
    const comparison: Comparison = compare(groups, failures);
    const outcome = { result, listed, comparison };
    outcomes.push(outcome);
    if (process.stderr.isTTY) counter.update({ done: outcomes.length, total: files.length });
    else process.stdout.write(`${outcomes.length}/${files.length} ${outcomeLine(outcome)}\n`);
  }
}

/** Each result is kept, to go on from when a run is broken off. */
async function run(file: string): Promise<FileResult> {
  rmSync(resultPath(file), { force: true });
  const result = local ? await runLocally(file) : await runMounted(file);
  writeFileSync(resultPath(file), JSON.stringify(result));
  return result;
}

function readResult(file: string): FileResult | undefined {
  const path = resultPath(file);
  return existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as FileResult) : undefined;
}

function resultPath(file: string): string {
  return join(results, `${basename(file)}.json`);
}

async function runLocally(file: string): Promise<FileResult> {
  const directory = mkdtempSync(join(suite!, 'local-'));
  try {
    return await runIn(file, directory);
  } finally {
    if (values.keep) process.stdout.write(`${file}: ${directory}\n`);
    else rmSync(directory, { recursive: true, force: true });
  }
}

async function runMounted(file: string): Promise<FileResult> {
  const base = mkdtempSync(join(existsSync(MEMORY) ? MEMORY : tmpdir(), 'mvfuse-suite-'));
  const environment = {
    NODE_OPTIONS: `--import ${new URL('./moved-lock-bytes.js', import.meta.url)}`,
    [LOCK_BYTES_VARIABLE]: String(LOCK_BYTES.get(file) ?? LOCK_BYTES_USUAL),
  };
  const mount = await TestMount.start({ namespaces: '*', base, environment }, ['--log-level', 'warn']);
  try {
    return await runIn(file, mount.directory);
  } finally {
    writeFileSync(join(results, `${basename(file)}.daemon`), mount.log);
    if (values.keep) process.stdout.write(`${file}: ${mount.base}\n`);
    await mount.remove({ keepFiles: values.keep });
  }
}

async function runIn(file: string, directory: string): Promise<FileResult> {
  const waitsInVain = !local && expectations[file]?.some(({ tests }) => tests.includes(TIMED_OUT)) === true;
  const seconds = waitsInVain ? Math.min(secondsMax, HOPELESS_SECONDS_MAX) : secondsMax;
  const { result, output } = await runFile(suite!, file, { directory, mounted: !local, secondsMax: seconds });
  writeFileSync(join(results, `${basename(file)}.log`), output, 'latin1');
  return result;
}

function recordList(): void {
  const timedOut = ({ result }: Outcome): boolean => result.failures.some(({ test }) => test === TIMED_OUT);
  const runs = outcomes.filter((outcome) => !timedOut(outcome) && outcome.result.tests > 0);
  const listed = runs.map(({ result: { file, tests, failures } }) => {
    return { file, tests, failing: [...new Set(failures.map(({ test }) => test))] };
  });
  writeList(listed, [
    `Files of SQLite's test-suite that run on a mount, and how many tests each has on a local disk (${sqlite}).`,
    'Written by `npm run test:sqlite-suite -- --record-list`: of the families in families.ts, every file that has tests with',
    `this build and ends within ${secondsMax} s on a local disk, as root: ${runs.length} of ${outcomes.length}. What fails on the local`,
    'disk, too, is named behind the number; most of it does because root may write everything.',
  ]);
  for (const outcome of outcomes) {
    if (!runs.includes(outcome)) process.stdout.write(`left out: ${outcomeLine(outcome)}\n`);
  }
}

function finish(): void {
  const where = local ? 'on a local disk' : "on a mount of --namespaces '*'";
  const machine = `Node ${process.version}, Linux ${release()}`;
  const { bad, summary } = writeReport({ outcomes, where, sqlite, machine, kept: names.length === 0 && !local });
  process.stdout.write(`${summary}\n`);
  if (bad > 0) process.exitCode = 1;
}
