// What is measured, and how much of it in one round.

export interface Scenario {
  readonly name: string;
  readonly workload: string;
  /** Operations in one round; what is counted is `unit`. */
  readonly count: number;
  readonly unit: string;
  /** Clients at once, each on a database of its own. */
  readonly clients: number;
  /** Megabytes of a database that is there before. */
  readonly seedMegabytes: number;
}

const INSERTS = ['DELETE', 'TRUNCATE', 'PERSIST', 'MEMORY', 'OFF', 'WAL'];

export const SCENARIOS: readonly Scenario[] = [
  ...INSERTS.map((mode) => ({
    name: `autocommit INSERT, ${mode}, synchronous=FULL`,
    workload: `insert-${mode}`,
    count: 200,
    unit: 'inserts/s',
    clients: 1,
    seedMegabytes: 0,
  })),
  {
    name: 'autocommit INSERT, DELETE, FULL, 8 writers on 8 databases',
    workload: 'insert-DELETE',
    count: 100,
    unit: 'inserts/s',
    clients: 8,
    seedMegabytes: 0,
  },
  {
    name: '100-row transactions, DELETE, FULL',
    workload: 'transactions',
    count: 50,
    unit: 'transactions/s',
    clients: 1,
    seedMegabytes: 0,
  },
  {
    name: 'point SELECTs in one transaction, 200 MB',
    workload: 'point-selects',
    count: 20_000,
    unit: 'selects/s',
    clients: 1,
    seedMegabytes: 200,
  },
  {
    name: 'short read transactions',
    workload: 'short-reads',
    count: 2_000,
    unit: 'transactions/s',
    clients: 1,
    seedMegabytes: 200,
  },
  { name: 'full scan of 200 MB', workload: 'scan', count: 200, unit: 'MB/s', clients: 1, seedMegabytes: 200 },
  { name: 'bulk load of 100 MB', workload: 'bulk', count: 100_000, unit: 'rows/s', clients: 1, seedMegabytes: 0 },
  { name: '.backup of 200 MB', workload: 'backup', count: 200, unit: 'MB/s', clients: 1, seedMegabytes: 200 },
  { name: 'open and first query', workload: 'open', count: 100, unit: 'opens/s', clients: 1, seedMegabytes: 200 },
  { name: 'wOnly', workload: 'wOnly', count: 15_000, unit: 'operations/s', clients: 1, seedMegabytes: 0 },
  { name: 'rOnly', workload: 'rOnly', count: 15_000, unit: 'operations/s', clients: 1, seedMegabytes: 0 },
  { name: 'wHeavy', workload: 'wHeavy', count: 5_100, unit: 'operations/s', clients: 1, seedMegabytes: 0 },
  { name: 'rHeavy', workload: 'rHeavy', count: 5_100, unit: 'operations/s', clients: 1, seedMegabytes: 0 },
];
