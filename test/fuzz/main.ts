// Coverage-guided fuzzing of one TypeScript target: node dist/test/fuzz/main.js TARGET SECONDS [--merge]
//
// Inputs that reach a new place in src/sqlite, or an old one more often by an order, or bring the two sides of a
// comparison nearer to each other by an order, are kept and changed further. The first input whose check fails is
// written down, and the exit status is 1. With --merge the committed corpus is written anew: the fewest small inputs
// that reach everything that was reached, its named ones (not a hash) first.

import { createHash } from 'node:crypto';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { register } from 'node:module';
import { join } from 'node:path';
import { chooseSeed, randomInteger, seededRandom } from '../support/random.js';
import { CORPUS, FINDINGS, isNamed, readCorpus } from './corpus.js';
import { type Observed, PLACES_MAX } from './instrument.js';
import { type Input, mutate } from './mutate.js';

const COMPARISONS_MAX = 64;
const ROUNDS_BETWEEN_CLOCKS = 256;

const observed: Observed = {
  counts: new Uint32Array(PLACES_MAX),
  nearest: new Float64Array(PLACES_MAX),
  onCompare: undefined,
};
Object.assign(globalThis, { mvfuseObserved: observed });
register('./instrument.js', import.meta.url);

const [name, seconds, merge] = process.argv.slice(2);
const target = (await import(`./targets/${name}.js`)) as { check(input: Buffer): void | Promise<void> };
const random = seededRandom(chooseSeed(`fuzzing ${name}`));

const ORDERS = 64;
/** 128 times is as good as more. */
const COUNT_ORDER_MAX = 7;

function order(value: number): number {
  return Math.floor(Math.log2(value));
}

/** The places that ran, each with the order of how often, and then the comparisons, each with that of its distance. */
function reached(): number[] {
  const features: number[] = [];
  for (let place = 0; place < PLACES_MAX; place += 1) {
    const count = observed.counts[place]!;
    if (count > 0) features.push(place * ORDERS + Math.min(COUNT_ORDER_MAX, order(count)));
    const distance = observed.nearest[place]!;
    if (Number.isFinite(distance)) features.push((PLACES_MAX + place) * ORDERS + order(distance + 1));
  }
  return features;
}

async function run(bytes: Buffer): Promise<void> {
  observed.counts.fill(0);
  observed.nearest.fill(Infinity);
  try {
    // The target gets memory of its own, of exactly this size.
    await target.check(Buffer.from(new Uint8Array(bytes).buffer));
  } catch (error) {
    const path = join(FINDINGS, `${name}-${createHash('sha1').update(bytes).digest('hex')}`);
    mkdirSync(FINDINGS, { recursive: true });
    writeFileSync(path, bytes);
    console.error(error);
    console.error(`${name}: FAILED with the input in ${path}`);
    process.exit(1);
  }
}

/** Runs it once more, to see what it compares. */
async function keep(bytes: Buffer): Promise<Input> {
  const compared: [number, number][] = [];
  observed.onCompare = (left, right) => {
    if (left !== right && compared.length < COMPARISONS_MAX) compared.push([left, right]);
  };
  await run(bytes);
  observed.onCompare = undefined;
  return { bytes, compared };
}

const seen = new Set<number>();
const inputs: Input[] = [];
let executions = 0;

async function attempt(bytes: Buffer, always: boolean): Promise<void> {
  await run(bytes);
  executions += 1;
  const features = reached();
  const isNew = features.some((feature) => !seen.has(feature));
  for (const feature of features) seen.add(feature);
  if (isNew || always) inputs.push(await keep(bytes));
}

/** Of the distances only those at a limit: the way there need not be committed. */
function isWorthCommitting(feature: number): boolean {
  return feature < PLACES_MAX * ORDERS || feature % ORDERS < 2;
}

async function writeCorpus(): Promise<void> {
  const directory = join(CORPUS, name!);
  const named = readCorpus(name!).filter((file) => isNamed(file.name));
  const left = inputs.map(({ bytes }) => bytes).sort((a, b) => a.length - b.length);
  rmSync(directory, { recursive: true });
  mkdirSync(directory);
  const covered = new Set<number>();
  for (const bytes of [...named.map((file) => file.bytes), ...left]) {
    await run(bytes);
    const features = reached().filter(isWorthCommitting);
    const file = named.find((seed) => seed.bytes === bytes);
    if (file === undefined && features.every((feature) => covered.has(feature))) continue;
    for (const feature of features) covered.add(feature);
    writeFileSync(join(directory, file?.name ?? createHash('sha1').update(bytes).digest('hex')), bytes);
  }
}

for (const { bytes } of readCorpus(name!)) await attempt(bytes, true);
const corpusFeatures = seen.size;
const start = performance.now();
const end = start + Number(seconds) * 1000;
while (performance.now() < end) {
  for (let round = 0; round < ROUNDS_BETWEEN_CLOCKS; round += 1) {
    const input = inputs[randomInteger(random, 0, inputs.length - 1)]!;
    const other = inputs[randomInteger(random, 0, inputs.length - 1)]!;
    await attempt(mutate(random, input, other.bytes), false);
  }
}
const perSecond = Math.round(executions / ((performance.now() - start) / 1000));
const places = new Set([...seen].map((feature) => Math.floor(feature / ORDERS)).filter((place) => place < PLACES_MAX))
  .size;
console.log(
  `${name}: ok, ${executions} executions (${perSecond}/s), ${places} places reached, ` +
    `${seen.size - corpusFeatures} new features beyond the corpus of ${readCorpus(name!).length}`,
);
if (merge === '--merge') await writeCorpus();
