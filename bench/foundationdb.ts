// npm run bench:fdb [-- --rounds N]: inserts by 1 to 8 writers on 1 and on 4 hosts that share a FoundationDB cluster, all
// into one database or each into one of its own; and the same on plain files, in turn. Medians go to docs/benchmarks.md.

import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, release } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { FoundationdbCluster, foundationdbUrl, TEST_CLUSTER_FILE } from '../test/support/foundationdb.js';
import { TestMount } from '../test/support/mounted.js';
import { median, writeFoundationdbPart } from './report.js';
import { measure } from './side.js';

const ROUNDS_DEFAULT = 3;
const INSERTS = 200;
/** For clients to start and make their tables. */
const SETUP_MS = 1_500;
const WRITERS = [1, 2, 4, 8];
const HOSTS = [1, 4];
const DATABASES_MAX = Math.max(...WRITERS);

/** The file of a writer on a host. */
type Place = (writer: number) => string;

interface Case {
  readonly writers: number;
  /** Undefined for the local disk. */
  readonly hosts: number | undefined;
  readonly shared: boolean;
  readonly rates: number[];
}

const { values } = parseArgs({ options: { rounds: { type: 'string' } } });
const rounds = Number(values.rounds ?? ROUNDS_DEFAULT);
const base = mkdtempSync('/var/tmp/mvfuse-bench-');
const own = TEST_CLUSTER_FILE === undefined ? await FoundationdbCluster.start() : undefined;
const storeUrl = foundationdbUrl(own?.clusterFile ?? TEST_CLUSTER_FILE!, randomUUID());
const mounts: TestMount[] = [];
try {
  const names = ['shared=shared', ...Array.from({ length: DATABASES_MAX }, (_, index) => `own${index}=own${index}`)];
  for (let host = 0; host < Math.max(...HOSTS); host += 1) {
    mounts.push(await TestMount.start({ storeUrl, namespaces: names.join(',') }, ['--log-level', 'warn']));
  }
  const cases: Case[] = [];
  for (const shared of [true, false]) {
    for (const hosts of [undefined, ...HOSTS]) {
      for (const writers of WRITERS) cases.push({ writers, hosts, shared, rates: [] });
    }
  }
  for (let round = 0; round < rounds; round += 1) {
    for (const one of cases) one.rates.push(await rate(one, placeOf(one, round)));
  }
  const text = report(cases);
  process.stdout.write(text);
  writeFoundationdbPart(text);
} finally {
  for (const mount of mounts) await mount.remove();
  await own?.stop();
  rmSync(base, { recursive: true, force: true });
}

function placeOf({ hosts, shared }: Case, round: number): Place {
  const name = (writer: number): string => (shared ? 'shared' : `own${writer}`);
  if (hosts === undefined) return (writer) => join(base, `${name(writer)}-${round}`);
  return (writer) => mounts[writer % hosts]!.path(name(writer));
}

/** Inserts per second of all writers together, by the slowest. */
async function rate({ writers }: Case, place: Place): Promise<number> {
  const startMs = Date.now() + SETUP_MS;
  const running = Array.from({ length: writers }, (_, writer) =>
    measure('insert-DELETE', place(writer), INSERTS, { startMs }),
  );
  return (writers * INSERTS) / Math.max(...(await Promise.all(running)));
}

function report(cases: readonly Case[]): string {
  const of = (writers: number, hosts: number | undefined, shared: boolean): string =>
    Math.round(
      median(cases.find((c) => c.writers === writers && c.hosts === hosts && c.shared === shared)!.rates),
    ).toLocaleString('en');
  const row = (shared: boolean, hosts: number | undefined): string => {
    const where = hosts === undefined ? 'plain files, local disk' : `${hosts} ${hosts === 1 ? 'host' : 'hosts'}`;
    const cells = [where, shared ? 'one' : 'one each', ...WRITERS.map((writers) => of(writers, hosts, shared))];
    return `| ${cells.join(' | ')} |`;
  };
  const rows = [true, false].flatMap((shared) => [undefined, ...HOSTS].map((hosts) => row(shared, hosts)));
  return `Made by \`npm run bench:fdb\`: autocommit INSERTs per second of all writers together, DELETE journal, synchronous=FULL,
${INSERTS} by each writer, begun together, medians of ${rounds} rounds. One FoundationDB process (single, ssd), the hosts' daemons and all clients run on
this one machine, Node ${process.version}, Linux ${release()}, ${availableParallelism()} processors: four hosts here are not four machines.

| where | databases | ${WRITERS.map((writers) => `${writers} ${writers === 1 ? 'writer' : 'writers'}`).join(' | ')} |
|---|---|${WRITERS.map(() => '---:').join('|')}|
${rows.join('\n')}
`;
}
