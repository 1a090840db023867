// Mounts for tests. Each is a daemon in a process of its own, on a store in a temporary directory; the test itself
// must reach the mount only through child processes (client.ts), or it would wait for itself.

import { type ChildProcess, execFile, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { ErrorCode } from '../../src/errors.js';
import { testStoreUrl } from './foundationdb.js';
import type { StoreAccess, StoreFault } from './store-faults.js';

export const MAIN = fileURLToPath(new URL('../../src/main.js', import.meta.url));
const FAULT_DAEMON = fileURLToPath(new URL('./fault-daemon.js', import.meta.url));
const READY_MS_MAX = 20_000;

const execute = promisify(execFile);

export type FaultCommand =
  | { readonly type: 'trace' | 'stop-trace' | 'clear' }
  | {
      readonly type: 'rule';
      /** As in fuse/describe.ts; any request when left out. */
      readonly label?: string | undefined;
      /** Which of them, from 1. */
      readonly nth: number;
      readonly errno?: number | undefined;
      readonly hold?: boolean | undefined;
      /** A second rule, in force once this one was met; counts from there. */
      readonly next?: { readonly label?: string | undefined; readonly nth: number; readonly errno: number } | undefined;
    }
  | { readonly type: 'fail-commit'; readonly code: ErrorCode }
  | {
      readonly type: 'store-fault';
      readonly namespace: string;
      readonly access: StoreAccess;
      readonly fault: StoreFault;
    }
  | { readonly type: 'only'; readonly pid: number | undefined }
  | { readonly type: 'fail-transaction'; readonly nth: number; readonly code: ErrorCode }
  | { readonly type: 'release'; readonly errno?: number | undefined };

export type FaultReply =
  | { readonly type: 'ready' | 'ok' }
  | { readonly type: 'hit'; readonly label: string }
  | { readonly type: 'trace'; readonly labels: string[] };

export interface MountOptions {
  readonly namespaces?: string;
  /** A directory with a store of an earlier mount; a new one by default. */
  readonly base?: string;
  /** A store elsewhere, for hosts that share one. */
  readonly storeUrl?: string;
  /** The group that the daemon runs as; the test's own by default. */
  readonly gid?: number;
  /** Variables that the daemon has besides the test's own. */
  readonly environment?: NodeJS.ProcessEnv;
  readonly logLevel?: string;
  /** Off where every page that SQLite reads must be a request. */
  readonly kernelCache?: boolean;
}

/** A mounted directory and its daemon. */
export class TestMount {
  readonly base: string;
  readonly directory: string;
  readonly storeUrl: string;
  readonly child: ChildProcess;
  #stderr = '';

  protected constructor(base: string, child: ChildProcess, storeUrl = testStoreUrl(base)) {
    this.base = base;
    this.directory = join(base, 'dbs');
    this.storeUrl = storeUrl;
    this.child = child;
    child.stderr?.on('data', (chunk: Buffer) => {
      this.#stderr += chunk.toString();
    });
  }

  /** The real command: `mvfuse --mountpoint … --namespaces … --store …`. */
  static async start(options: MountOptions = {}, flags: readonly string[] = []): Promise<TestMount> {
    const base = prepareBase(options.base);
    const storeUrl = options.storeUrl ?? testStoreUrl(base);
    const args = ['--mountpoint', join(base, 'dbs'), '--namespaces', options.namespaces ?? 'mydb=test'];
    args.push('--store', storeUrl, '--log-format', 'json', ...flags);
    const stale = isMounted(join(base, 'dbs'));
    const { gid, environment } = options;
    const child = spawn(process.execPath, [MAIN, ...args], {
      stdio: ['ignore', 'inherit', 'pipe'],
      ...(gid === undefined ? {} : { gid }),
      ...(environment === undefined ? {} : { env: { ...process.env, ...environment } }),
    });
    const mount = new TestMount(base, child, storeUrl);
    await mount.#untilMounted(stale);
    return mount;
  }

  /** What the daemon logged so far (JSON lines). */
  get log(): string {
    return this.#stderr;
  }

  path(name = 'mydb'): string {
    return join(this.directory, name);
  }

  get mounted(): boolean {
    return isMounted(this.directory);
  }

  /** Unmounts and waits for the daemon; its exit status. */
  async unmount(): Promise<number | null> {
    await execute('fusermount3', ['-u', this.directory]);
    return this.exited();
  }

  async exited(): Promise<number | null> {
    if (this.child.exitCode === null && this.child.signalCode === null) await once(this.child, 'exit');
    return this.child.exitCode;
  }

  /** SIGKILL, and the dead mount taken away. */
  async kill(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.exited();
    await execute('fusermount3', ['-uz', this.directory]).catch(() => undefined);
  }

  /** For `after`: nothing of the mount stays, whatever happened. */
  async remove(options: { keepFiles?: boolean } = {}): Promise<void> {
    await execute('fusermount3', ['-uz', this.directory]).catch(() => undefined);
    if (this.child.exitCode === null && this.child.signalCode === null) {
      const timer = setTimeout(() => this.child.kill('SIGKILL'), 5_000);
      await this.exited();
      clearTimeout(timer);
    }
    if (options.keepFiles !== true) rmSync(this.base, { recursive: true, force: true });
  }

  async #untilMounted(stale: boolean): Promise<void> {
    const deadlineMs = Date.now() + READY_MS_MAX;
    // A dead mount on the same path looks like a living one, so only the daemon's word counts there.
    while (!(stale ? this.log.includes('"msg":"mounted"') : this.mounted)) {
      if (this.child.exitCode !== null) throw new Error(`the daemon ended: ${this.#stderr}`);
      if (Date.now() > deadlineMs) throw new Error(`not mounted after ${READY_MS_MAX} ms: ${this.#stderr}`);
      await sleep(20);
    }
  }
}

/** A mount whose requests can be traced, held and answered with errors. */
export class FaultMount extends TestMount {
  #replies: FaultReply[] = [];
  #waiting: Array<{ type: FaultReply['type']; resolve: (reply: FaultReply) => void }> = [];

  /** @param memoryBytesMax dirty bytes that one file keeps in memory before they spill */
  static async startFaulty(options: MountOptions = {}, memoryBytesMax = 64 * 1024): Promise<FaultMount> {
    const base = prepareBase(options.base);
    const args = [join(base, 'dbs'), testStoreUrl(base), options.namespaces ?? 'mydb=test'];
    args.push(options.logLevel ?? 'error', String(memoryBytesMax), String(options.kernelCache ?? true));
    const child = fork(FAULT_DAEMON, args, { stdio: ['ignore', 'inherit', 'pipe', 'ipc'] });
    const mount = new FaultMount(base, child);
    child.on('message', (reply: FaultReply) => mount.#receive(reply));
    const ended = once(child, 'exit').then(() => {
      throw new Error(`the daemon ended: ${mount.log}`);
    });
    await Promise.race([mount.#next('ready'), ended]);
    ended.catch(() => undefined);
    return mount;
  }

  /**
   * Answers the nth request with that label (any label when undefined) with an errno, once; with `next`, also the nth of any
   * label after it.
   */
  async inject(
    label: string | undefined,
    nth: number,
    errno: number,
    next?: { readonly nth: number; readonly errno: number },
  ): Promise<void> {
    this.#forgetHits();
    await this.#command({ type: 'rule', label, nth, errno, next });
  }

  /** Lets the store's next commit fail, once, whoever asks for it; `hit` then says 'commit'. */
  async failCommit(code: ErrorCode): Promise<void> {
    this.#forgetHits();
    await this.#command({ type: 'fail-commit', code });
  }

  /** Lets all reads or commits of a namespace meet a fault until `clear`; `hit` then says which access it was. */
  async failStore(namespace: string, access: StoreAccess, fault: StoreFault): Promise<void> {
    this.#forgetHits();
    await this.#command({ type: 'store-fault', namespace, access, fault });
  }

  /**
   * From now on traces and rules are about the requests of one thread: others may be at work. RELEASE, for which nobody waits, is
   * no thread's.
   */
  async only(pid: number | undefined): Promise<void> {
    await this.#command({ type: 'only', pid });
  }

  /** Lets the store's nth transaction from now on fail, once, whatever it is for; `hit` then says 'transaction'. */
  async failTransaction(nth: number, code: ErrorCode): Promise<void> {
    this.#forgetHits();
    await this.#command({ type: 'fail-transaction', nth, code });
  }

  /** Holds the nth request with that label; `hit` tells when it came, `release` lets it go on. */
  async hold(label: string | undefined, nth: number): Promise<void> {
    this.#forgetHits();
    await this.#command({ type: 'rule', label, nth, hold: true });
  }

  /** The label of the request that the last rule met, or undefined when none came within `waitMs`. */
  async hit(waitMs: number): Promise<string | undefined> {
    const hit = await Promise.race([this.#next('hit'), sleep(waitMs, undefined, { ref: false })]);
    this.#waiting = this.#waiting.filter((waiter) => waiter.type !== 'hit');
    return hit?.type === 'hit' ? hit.label : undefined;
  }

  async release(errno?: number): Promise<void> {
    await this.#command({ type: 'release', errno });
  }

  async clear(): Promise<void> {
    await this.#command({ type: 'clear' });
  }

  async startTrace(): Promise<void> {
    await this.#command({ type: 'trace' });
  }

  /** The labels of every request since startTrace, in the order in which they were served. */
  async stopTrace(): Promise<string[]> {
    const reply = this.#next('trace');
    this.child.send({ type: 'stop-trace' });
    const trace = await reply;
    return trace.type === 'trace' ? trace.labels : [];
  }

  async #command(command: FaultCommand): Promise<void> {
    const reply = this.#next('ok');
    this.child.send(command);
    await reply;
  }

  #forgetHits(): void {
    this.#replies = this.#replies.filter((reply) => reply.type !== 'hit');
    this.#waiting = this.#waiting.filter((waiter) => waiter.type !== 'hit');
  }

  #next(type: FaultReply['type']): Promise<FaultReply> {
    const index = this.#replies.findIndex((reply) => reply.type === type);
    if (index !== -1) return Promise.resolve(this.#replies.splice(index, 1)[0]!);
    return new Promise((resolve) => this.#waiting.push({ type, resolve }));
  }

  #receive(reply: FaultReply): void {
    const index = this.#waiting.findIndex((waiter) => waiter.type === reply.type);
    if (index === -1) this.#replies.push(reply);
    else this.#waiting.splice(index, 1)[0]!.resolve(reply);
  }
}

function prepareBase(base: string | undefined): string {
  // The directory of an earlier daemon may still be its dead mount.
  if (base !== undefined && isMounted(join(base, 'dbs'))) return base;
  const directory = base ?? mkdtempSync(join(tmpdir(), 'mvfuse-test-'));
  mkdirSync(join(directory, 'dbs'), { recursive: true });
  return directory;
}

function isMounted(path: string): boolean {
  const lines = readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
  return lines.some((line) => line.split(' ')[4] === path);
}
