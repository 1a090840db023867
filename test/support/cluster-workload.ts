// Clients on several hosts that mount one database: started, left to faults, and their history checked. The database
// must be reached through child processes only, so that a process may run this and serve a mount at once.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { CLIENT_ENVIRONMENT, Client, type Row } from './client.js';
import { checkHistory } from './history/checker.js';
import { type Completion, type History, type Invocation, Recorder } from './history/operations.js';
import type { Report } from './history/report.js';

// Not TypeScript, so it stays in the source tree: dist/test/support → test/support.
const SCRIPT = fileURLToPath(new URL('../../../test/support/cluster-client.py', import.meta.url));

const ROWS = 16;
const BALANCE = 1_000;
/** Several rows to a page, several pages to the table: rows of two versions can get mixed. */
const PAD_BYTES = 1_200;

export interface ClusterHost {
  readonly name: string;
  /** Where it mounts the database. They must not change when the host is started anew. */
  readonly paths: readonly string[];
}

export interface ClusterOptions {
  readonly hosts: readonly ClusterHost[];
  readonly mode: 'register' | 'bank';
  readonly seed: number;
  readonly clientsPerPath: number;
  /** Of each client. Without it and `seconds` they go on until the faults are over. */
  readonly operations?: number;
  readonly seconds?: number;
  readonly rows?: number;
  /** How long SQLite waits for a lock. */
  readonly busyTimeoutSeconds?: number;
  /** How long a mount may be away before its clients give up. */
  readonly patienceSeconds?: number;
  /** Between the operations of a client, at most. */
  readonly pauseSeconds?: number;
  /** All of them together, without the checking. */
  readonly limitSeconds?: number;
}

export interface ClusterResult {
  readonly history: History;
  readonly report: Report;
}

/** Goes on beside the clients; when it resolves, every path must work again. */
export type Faults = (run: ClusterRun) => Promise<void>;

/**
 * Makes the database, which must be empty, through the first path; runs the clients; reads through every path at the
 * end, and the order of all transactions through the first.
 * @throws when a client ended by itself with an error, or did not end in time; anomalies are in the report
 */
export async function runClusterWorkload(options: ClusterOptions, faults?: Faults): Promise<ClusterResult> {
  const paths = options.hosts.flatMap((host) => host.paths);
  await createDatabase(paths[0]!, options);
  const run = new ClusterRun(options);
  const limit = limitOf(options.limitSeconds ?? 120);
  try {
    for (const host of options.hosts) {
      for (const path of host.paths) for (let i = 0; i < options.clientsPerPath; i++) run.start(host.name, path);
    }
    const isEndless = options.operations === undefined && options.seconds === undefined;
    const faultsOver = Promise.resolve(faults?.(run)).then(() => isEndless && run.stop());
    await Promise.race([limit.reached, Promise.all([run.ended(), faultsOver])]);
    // Those that the faults started.
    await Promise.race([limit.reached, run.ended()]);
  } finally {
    limit.clear();
    await run.killAll();
  }
  return readBack(options, run.recorder);
}

/** The clients of a run, for faults to meet. */
export class ClusterRun {
  readonly recorder = new Recorder();
  readonly clients: ClusterClient[] = [];
  readonly #options: ClusterOptions;
  #watchers: Array<{ readonly at: number; readonly reached: () => void }> = [];

  constructor(options: ClusterOptions) {
    this.#options = options;
  }

  /** One more client, as for one that was killed. */
  start(host: string, path: string): ClusterClient {
    const number = this.clients.length + 1;
    const { mode, rows = ROWS, operations, seconds, seed } = this.#options;
    const job = {
      ...{ path, mode, rows, operations, seconds, number },
      client: `${host}/${number}`,
      seed: `${seed}/${number}`,
      timeout: this.#options.busyTimeoutSeconds ?? 5,
      patience: this.#options.patienceSeconds ?? 60,
      pause: this.#options.pauseSeconds ?? 0,
    };
    const client = new ClusterClient(job, host, (record) => this.#record(record, job.client, host));
    this.clients.push(client);
    return client;
  }

  get completed(): number {
    return this.recorder.completed;
  }

  /** Resolves after that many operations of all clients, or when the clients have ended. */
  async untilCompleted(count: number): Promise<void> {
    if (this.completed >= count) return;
    const reached = new Promise<void>((resolve) => this.#watchers.push({ at: count, reached: resolve }));
    await Promise.race([reached, this.ended()]);
  }

  /** Resolves when no client runs any more. @throws as `ClusterClient.ended` */
  async ended(): Promise<void> {
    for (let count = 0; count < this.clients.length; ) {
      count = this.clients.length;
      await Promise.all(this.clients.map((client) => client.ended()));
    }
  }

  stop(): void {
    for (const client of this.clients) client.stop();
  }

  async killAll(): Promise<void> {
    await Promise.all(this.clients.map((client) => client.kill()));
  }

  #record(record: ClientRecord, client: string, host: string): void {
    if ('action' in record) {
      this.recorder.invoke({ ...record, client, host });
      return;
    }
    const { op, ...completion } = record;
    this.recorder.complete(op, completion);
    for (const { at, reached } of this.#watchers) if (this.completed >= at) reached();
  }
}

/** A line of cluster-client.py. */
type ClientRecord = Omit<Invocation, 'client' | 'host'> | (Completion & { readonly op: string });

export class ClusterClient {
  readonly host: string;
  readonly child: ChildProcess;
  readonly #exit: Promise<unknown>;
  #isKilled = false;
  #stderr = '';
  #partialLine = '';

  constructor(job: object, host: string, record: (record: ClientRecord) => void) {
    this.host = host;
    this.child = spawn('python3', [SCRIPT, JSON.stringify(job)], { env: CLIENT_ENVIRONMENT, stdio: 'pipe' });
    this.#exit = once(this.child, 'close');
    this.child.stdin!.on('error', () => undefined);
    this.child.stderr!.on('data', (chunk: Buffer) => {
      this.#stderr += chunk.toString();
    });
    this.child.stdout!.on('data', (chunk: Buffer) => {
      const lines = (this.#partialLine + chunk.toString()).split('\n');
      // What a killed client wrote in part stays here.
      this.#partialLine = lines.pop()!;
      for (const line of lines) record(JSON.parse(line) as ClientRecord);
    });
  }

  /** @throws when it ended with an error by itself */
  async ended(): Promise<void> {
    await this.#exit;
    if (this.child.exitCode === 0 || this.#isKilled) return;
    throw new Error(`a client on ${this.host} ended with ${this.child.exitCode}: ${this.#stderr}`);
  }

  /** In order, after the operation in progress. */
  stop(): void {
    this.child.stdin!.end();
  }

  /** SIGKILL: what it was doing is indeterminate. */
  async kill(): Promise<void> {
    this.#isKilled = true;
    this.child.kill('SIGKILL');
    await this.#exit;
  }
}

/** Version 0 of the database, in an empty one. */
export async function createDatabase(path: string, { mode, rows = ROWS }: ClusterOptions): Promise<void> {
  await withClient(path, (client) =>
    client.script(`
      CREATE TABLE seq(one INTEGER PRIMARY KEY, n INTEGER NOT NULL);
      CREATE TABLE state(id INTEGER PRIMARY KEY, value INTEGER NOT NULL, pad BLOB);
      CREATE TABLE ops(n INTEGER PRIMARY KEY, op TEXT NOT NULL, target, value, source, amount);
      CREATE TRIGGER write_at_once AFTER INSERT ON ops WHEN NEW.value IS NOT NULL BEGIN
        UPDATE seq SET n = NEW.n;
        UPDATE state SET value = NEW.value WHERE id = NEW.target;
      END;
      CREATE TRIGGER transfer_at_once AFTER INSERT ON ops WHEN NEW.amount IS NOT NULL BEGIN
        UPDATE seq SET n = NEW.n;
        UPDATE state SET value = value - NEW.amount WHERE id = NEW.source;
        UPDATE state SET value = value + NEW.amount WHERE id = NEW.target;
      END;
      INSERT INTO seq VALUES(1, 0);
      WITH RECURSIVE row(id) AS (SELECT 0 UNION ALL SELECT id + 1 FROM row WHERE id < ${rows - 1})
      INSERT INTO state SELECT id, ${initialValue(mode)}, zeroblob(${PAD_BYTES}) FROM row;
    `),
  );
}

function initialValue(mode: ClusterOptions['mode']): number {
  return mode === 'bank' ? BALANCE : 0;
}

async function readBack(options: ClusterOptions, recorder: Recorder): Promise<ClusterResult> {
  const { seed, mode, rows = ROWS, hosts } = options;
  const [first, ...others] = hosts.flatMap(({ name, paths }) => paths.map((path) => ({ name, path })));
  const found = await withClient(first!.path, async (client) => {
    const order = await readEverything(client, first!.name, first!.path, recorder);
    return { order, integrity: (await client.exec('PRAGMA integrity_check')).map(([line]) => String(line)) };
  });
  for (const { name, path } of others) {
    await withClient(path, (client) => readEverything(client, name, path, recorder));
  }
  const initial = new Array<number>(rows).fill(initialValue(mode));
  const total = mode === 'bank' && { total: rows * BALANCE };
  const history: History = { seed, initial, ...total, operations: recorder.operations(), ...found };
  return { history, report: checkHistory(history) };
}

/** The table `ops`; what else is there becomes one more read of the history. */
async function readEverything(
  client: Client,
  host: string,
  path: string,
  recorder: Recorder,
): Promise<History['order']> {
  const op = `end of ${path}`;
  const invokedNs = Number(process.hrtime.bigint());
  await client.exec('BEGIN');
  const [[n]] = (await client.exec('SELECT n FROM seq')) as [Row];
  const ops = (await client.exec('SELECT n, op FROM ops ORDER BY n')) as Array<[number, string]>;
  const values = (await client.exec('SELECT id, value FROM state ORDER BY id')) as Array<[number, number]>;
  await client.exec('COMMIT');
  const respondedNs = Number(process.hrtime.bigint());
  const ids = values.map(([id]) => id);
  recorder.invoke({ op, client: 'end', host, action: { kind: 'read', ids }, invokedNs });
  const last = ops.at(-1)?.[1] ?? null;
  recorder.complete(op, { outcome: 'ok', respondedNs, n: n as number, wrote: false, last, values });
  return ops.map(([n, op]) => ({ n, op }));
}

async function withClient<T>(path: string, use: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client();
  try {
    await client.open(path);
    return await use(client);
  } finally {
    await client.kill();
  }
}

function limitOf(seconds: number): { readonly reached: Promise<never>; readonly clear: () => void } {
  let timer: NodeJS.Timeout | undefined;
  const reached = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done after ${seconds} s`)), seconds * 1_000);
  });
  return { reached, clear: () => clearTimeout(timer) };
}
