// The engine's side of the writer's thread: sends commits, matches the answers, knows when all is lost.
//
// The thread keeps the process alive while commits are under way, not while it is idle.

import { Worker } from 'node:worker_threads';
import { MvfuseError } from '../../errors.js';
import { KV_PENDING_COMMITS_MAX } from '../../limits.js';
import type { PendingCommit } from '../embedded-engine.js';
import { CONFLICT } from '../retry.js';
import { encodeCommit } from './commit-message.js';
import type { CommitOutcome } from './group-commit.js';
import type { Reclaimed } from './reclaim.js';
import type { WriterData, WriterReply, WriterRequest } from './writer-protocol.js';

interface Waiter {
  readonly resolve: (counter: number | typeof CONFLICT) => void;
  readonly reject: (error: MvfuseError) => void;
}

export class Writer {
  readonly #worker: Worker;
  readonly #waiters = new Map<number, Waiter>();
  readonly #reclaims = new Map<number, { resolve: (reclaimed: Reclaimed) => void; reject: Waiter['reject'] }>();
  readonly #exited: Promise<void>;
  #nextId = 1;
  #closing = false;
  #failure: MvfuseError | undefined;

  private constructor(worker: Worker) {
    this.#worker = worker;
    this.#exited = new Promise((resolve) => worker.once('exit', () => resolve()));
    worker.on('message', (reply: WriterReply) => this.#receive(reply));
    worker.on('error', (cause) => this.#fail(`the writer of the store failed: ${cause.message}`, cause));
    worker.on('exit', () => this.#fail('the writer of the store has ended'));
    worker.unref();
  }

  /** Creates the store's tables when there are none. @throws STORE_FORMAT, STORE_FAILED, NO_SPACE */
  static async start(data: WriterData): Promise<Writer> {
    // Node's own flags of this process (--input-type, …) need not suit a worker's file.
    const worker = new Worker(new URL('./writer-worker.js', import.meta.url), { workerData: data, execArgv: [] });
    const first = await new Promise<WriterReply>((resolve, reject) => {
      worker.once('message', resolve);
      worker.once('error', reject);
      worker.once('exit', reject);
    }).catch((cause) => {
      throw new MvfuseError('STORE_FAILED', `the writer of the store did not start: ${cause}`, { cause });
    });
    if (first.kind === 'refused') throw new MvfuseError(first.code, first.message);
    return new Writer(worker);
  }

  /** Why the store must not be used any more, for reads neither; undefined while it is sound. */
  get failure(): MvfuseError | undefined {
    return this.#failure;
  }

  /** Resolves once the commit is durable. @throws BUSY when too many are waiting */
  commit(commit: PendingCommit): Promise<number | typeof CONFLICT> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    if (this.#waiters.size >= KV_PENDING_COMMITS_MAX) {
      return Promise.reject(new MvfuseError('BUSY', `${KV_PENDING_COMMITS_MAX} commits are waiting already`));
    }
    const id = this.#nextId++;
    const message = encodeCommit(commit);
    this.#worker.ref();
    return new Promise((resolve, reject) => {
      this.#waiters.set(id, { resolve, reject });
      this.#worker.postMessage({ id, commit: message } satisfies WriterRequest, [message]);
    });
  }

  /** One step of giving space back to the disk. */
  reclaim(): Promise<Reclaimed> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    const id = this.#nextId++;
    this.#worker.ref();
    return new Promise((resolve, reject) => {
      this.#reclaims.set(id, { resolve, reject });
      this.#worker.postMessage({ id, reclaim: true } satisfies WriterRequest);
    });
  }

  /** Resolves when the thread has ended. */
  async close(): Promise<void> {
    this.#closing = true;
    this.#worker.ref();
    this.#worker.postMessage('close' satisfies WriterRequest);
    await this.#exited;
  }

  #receive(reply: WriterReply): void {
    if (reply.kind === 'answers') {
      for (const { id, outcome } of reply.answers) {
        const waiter = this.#waiters.get(id);
        this.#waiters.delete(id);
        if (waiter !== undefined) settle(waiter, outcome);
        if (reply.fatal && 'error' in outcome) this.#fail(outcome.error.message);
      }
    } else if (reply.kind === 'reclaimed') {
      this.#reclaims.get(reply.id)?.resolve(reply);
      this.#reclaims.delete(reply.id);
    }
    // After a failure answers still come in that nobody waits for; they must not let the process end before the thread.
    if (this.#waiters.size === 0 && this.#reclaims.size === 0 && !this.#closing) this.#worker.unref();
  }

  #fail(message: string, cause?: unknown): void {
    const refusal = `the store is refused until it is opened again: ${message}`;
    this.#failure ??= new MvfuseError('STORE_FAILED', refusal, { cause });
    for (const waiter of [...this.#waiters.values(), ...this.#reclaims.values()]) waiter.reject(this.#failure);
    this.#waiters.clear();
    this.#reclaims.clear();
  }
}

function settle({ resolve, reject }: Waiter, outcome: CommitOutcome): void {
  if ('error' in outcome) reject(new MvfuseError(outcome.error.code, outcome.error.message));
  else resolve('conflict' in outcome ? CONFLICT : outcome.counter);
}
