// npm run bench [-- --rounds N] [--only TEXT]: every scenario on a mount and on the local disk, in turn within one
// run, so that the machine's noise meets both. Medians and ratios go to docs/benchmarks.md.

import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, release } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import Database from 'better-sqlite3';
import { type Cost, countCosts } from './costs.js';
import { median, writeMainPart } from './report.js';
import { SCENARIOS, type Scenario } from './scenarios.js';
import { localSide, measure, mountedSide, type Side } from './side.js';

const ROUNDS_DEFAULT = 5;
/** Not a filesystem in memory, whose syncs cost nothing. */
const BASE = '/var/tmp';

interface Result {
  readonly scenario: Scenario;
  readonly mounted: readonly number[];
  readonly local: readonly number[];
}

const { values } = parseArgs({ options: { rounds: { type: 'string' }, only: { type: 'string' } } });
const rounds = Number(values.rounds ?? ROUNDS_DEFAULT);
const chosen = SCENARIOS.filter(({ name }) => name.includes(values.only ?? ''));
const base = mkdtempSync(join(BASE, 'mvfuse-bench-'));
try {
  const seed = seedDatabase(join(base, 'seed.db'));
  const results: Result[] = [];
  for (const scenario of chosen) {
    const result = await runScenario(scenario, seed);
    results.push(result);
    process.stdout.write(`${row(result)}\n`);
  }
  if (values.only === undefined) {
    const costs = await countCosts();
    process.stdout.write(`${costs.map(costRow).join('\n')}\n`);
    writeMainPart(report(results, costs));
  }
} finally {
  rmSync(base, { recursive: true, force: true });
}

/** About 200 MB in rows of 1 KiB. */
function seedDatabase(path: string): string {
  const database = new Database(path);
  database.exec('CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT)');
  const insert = database.prepare('INSERT INTO t(b) VALUES(?)');
  database.transaction(() => {
    for (let row = 0; row < 190_000; row += 1) insert.run('x'.repeat(1024));
  })();
  database.close();
  return path;
}

async function runScenario(scenario: Scenario, seed: string): Promise<Result> {
  const directory = join(base, 'run');
  mkdirSync(directory);
  const local = localSide(join(directory, 'local'));
  const mounted = await mountedSide(join(directory, 'mounted'), scenario.clients);
  try {
    if (scenario.seedMegabytes > 0) for (const side of [local, mounted]) await side.load(0, seed);
    const figures = { mounted: [] as number[], local: [] as number[] };
    for (let round = 0; round < rounds; round += 1) {
      figures.mounted.push(await runRound(scenario, mounted, directory));
      figures.local.push(await runRound(scenario, local, directory));
    }
    return { scenario, ...figures };
  } finally {
    await mounted.close();
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Operations per second, by the slowest client. */
async function runRound(scenario: Scenario, side: Side, directory: string): Promise<number> {
  const target = join(directory, 'backup.db');
  rmSync(target, { force: true });
  const clients = Array.from({ length: scenario.clients }, (_, index) =>
    measure(scenario.workload, side.path(index), scenario.count, { target }),
  );
  const seconds = Math.max(...(await Promise.all(clients)));
  return (scenario.count * scenario.clients) / seconds;
}

function row({ scenario, mounted, local }: Result): string {
  const ratios = mounted.map((figure, round) => figure / local[round]!);
  const [low, high] = [Math.min(...ratios), Math.max(...ratios)];
  const figure = (value: number): string => (value < 10 ? value.toFixed(1) : Math.round(value).toLocaleString('en'));
  const cells = [scenario.name, `${figure(median(mounted))}`, `${figure(median(local))}`, scenario.unit];
  return `| ${cells.join(' | ')} | ${median(ratios).toFixed(2)} | ${low.toFixed(2)}-${high.toFixed(2)} |`;
}

function costRow({ what, requests, commit }: Cost): string {
  const of = (value: number | undefined): string =>
    value === undefined ? '-' : Math.round(value).toLocaleString('en');
  const cells = [what, requests.toFixed(1), commit?.pages.toFixed(1) ?? '-', of(commit?.bytes), of(commit?.storeBytes)];
  return `| ${cells.join(' | ')} |`;
}

function report(results: readonly Result[], costs: readonly Cost[]): string {
  return `# Benchmarks

Made by \`npm run bench\`: ${rounds} rounds of each scenario, on the mount and on plain files of the same disk in turn; medians,
and the ratio mount / disk within each round as median and range. Both sides run the same Python client. Node
${process.version}, Linux ${release()}, ${availableParallelism()} processors shared with others: trust the ratios.

| scenario | mount | disk | unit | ratio | range |
|---|---:|---:|---|---:|---|
${results.map(row).join('\n')}

## Counted

For one transaction on a warm connection, as the mean of 200: requests of the kernel, each of them one call into JavaScript
while one client is at work; pages and bytes of page images in its commit; bytes by which the store has grown.

| transaction | requests | pages | bytes of pages | bytes of store |
|---|---:|---:|---:|---:|
${costs.map(costRow).join('\n')}
`;
}
