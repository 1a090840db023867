// FoundationDB clusters for tests: real server processes on this machine, in a temporary directory, which can be
// killed and started again.

import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

const execute = promisify(execFile);
const CONFIGURE_MS_MAX = 30_000;

/** The cluster file that all suites run against; set by `npm run test:fdb`. */
export const TEST_CLUSTER_FILE = process.env.MVFUSE_TEST_FDB || undefined;

/** Why tests that start clusters of their own cannot run here; undefined where they can. */
export function foundationdbMissing(): string | undefined {
  if (TEST_CLUSTER_FILE === undefined) return 'needs FoundationDB: npm run test:fdb';
  return undefined;
}

/** The store of a cluster that belongs to whoever calls, alone. */
export function foundationdbUrl(clusterFile: string, name: string): string {
  return `fdb:${clusterFile}?prefix=${encodeURIComponent(name)}`;
}

/** The URL of the store in a test's directory: there, or in the cluster that all suites run against. */
export function testStoreUrl(base: string): string {
  return TEST_CLUSTER_FILE === undefined
    ? `sqlite:${join(base, 'store')}`
    : foundationdbUrl(TEST_CLUSTER_FILE, basename(base));
}

/** Paths; the same for servers and clients. */
export interface TlsPaths {
  readonly certificate: string;
  readonly key: string;
  readonly ca: string;
}

export interface ClusterOptions {
  readonly processes?: number;
  readonly redundancy?: 'single' | 'double';
  readonly tls?: TlsPaths;
}

export class FoundationdbCluster {
  readonly clusterFile: string;
  readonly #directory: string;
  readonly ports: readonly number[];
  readonly #servers: ChildProcess[] = [];
  /** Of every address. */
  readonly #suffix: string;
  readonly #env: NodeJS.ProcessEnv;

  private constructor(directory: string, ports: readonly number[], tls: TlsPaths | undefined) {
    this.#directory = directory;
    this.ports = ports;
    this.#suffix = tls === undefined ? '' : ':tls';
    this.#env = {
      ...process.env,
      ...(tls && {
        FDB_TLS_CERTIFICATE_FILE: tls.certificate,
        FDB_TLS_KEY_FILE: tls.key,
        FDB_TLS_CA_FILE: tls.ca,
      }),
    };
    this.clusterFile = join(directory, 'fdb.cluster');
  }

  /** Whether the programs are there. */
  static get installed(): boolean {
    try {
      for (const program of ['fdbserver', 'fdbcli']) execFileSync(program, ['--version'], { stdio: 'ignore' });
      return true;
    } catch {
      return false;
    }
  }

  static async start({ processes = 1, redundancy = 'single', tls }: ClusterOptions = {}): Promise<FoundationdbCluster> {
    const ports = await Promise.all(Array.from({ length: processes }, freePort));
    const cluster = new FoundationdbCluster(mkdtempSync(join(tmpdir(), 'mvfuse-fdb-')), ports, tls);
    const coordinators = ports.map((port) => cluster.#address(port)).join(',');
    writeFileSync(cluster.clusterFile, `mvfuse:test@${coordinators}\n`);
    for (const index of ports.keys()) cluster.restart(index);
    try {
      await cluster.command(`configure new ${redundancy} ssd`, CONFIGURE_MS_MAX);
    } catch (error) {
      await cluster.stop();
      throw error;
    }
    return cluster;
  }

  get processes(): number {
    return this.ports.length;
  }

  /** What fdbcli answers. */
  async command(text: string, timeoutMs = 10_000): Promise<string> {
    const args = ['-C', this.clusterFile, '--exec', text, '--timeout', String(Math.ceil(timeoutMs / 1000))];
    return (await execute('fdbcli', args, { env: this.#env })).stdout;
  }

  /** SIGKILL. */
  async kill(index: number): Promise<void> {
    const server = this.#servers[index]!;
    server.kill('SIGKILL');
    if (server.exitCode === null && server.signalCode === null) await once(server, 'exit');
  }

  restart(index: number): void {
    const data = join(this.#directory, `data-${index}`);
    const logs = join(this.#directory, 'logs');
    for (const directory of [data, logs]) mkdirSync(directory, { recursive: true });
    const args = ['-C', this.clusterFile, '-p', this.#address(this.ports[index]!), '-d', data, '-L', logs];
    // Each stands for a machine: copies of data go to different ones.
    args.push(`--locality-zoneid=zone-${index}`, `--locality-machineid=machine-${index}`);
    this.#servers[index] = spawn('fdbserver', args, { stdio: 'ignore', env: this.#env });
  }

  pause(index: number): void {
    this.#servers[index]!.kill('SIGSTOP');
  }

  resume(index: number): void {
    this.#servers[index]!.kill('SIGCONT');
  }

  /** Resolves when the cluster takes commits again. */
  async available(timeoutMs = 60_000): Promise<void> {
    const deadlineMs = Date.now() + timeoutMs;
    for (;;) {
      const answer = await this.command('status minimal', 5_000).catch(() => '');
      if (answer.includes('is available')) return;
      if (Date.now() > deadlineMs) throw new Error(`the cluster is not available: ${answer}`);
      await sleep(200);
    }
  }

  #address(port: number): string {
    return `127.0.0.1:${port}${this.#suffix}`;
  }

  async stop(): Promise<void> {
    await Promise.all(this.#servers.map((_, index) => this.kill(index)));
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port was given');
  return address.port;
}
