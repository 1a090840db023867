// Clients in processes of their own: Python's sqlite3 as a long-lived client that can be killed at any moment, and
// any program run to its end.

import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

// The script is no TypeScript, so it stays in the source tree: dist/test/support → test/support.
const SCRIPT = fileURLToPath(new URL('../../../test/support/client.py', import.meta.url));

/** Clients are stock programs: a sanitizer that the daemon runs with is not for them. */
export const CLIENT_ENVIRONMENT: NodeJS.ProcessEnv = { ...process.env, LD_PRELOAD: undefined };

export type Row = unknown[];
export type Digest = Readonly<Record<string, unknown>>;

/** SQLite's own error, by its extended name: SQLITE_BUSY, SQLITE_IOERR_FSYNC, … */
export class ClientError extends Error {
  readonly code: string;

  constructor(code: string, message: string) {
    super(`${code}: ${message}`);
    this.code = code;
  }
}

/** One command of `steps`, as client.py reads it. */
export type Step = { readonly op: string; readonly c?: number } & Readonly<Record<string, unknown>>;

export interface Answer {
  readonly value?: unknown;
  readonly error?: string;
  readonly message?: string;
}

export class Client {
  readonly child: ChildProcess;
  #waiting: Array<{ resolve: (answer: Answer) => void; reject: (error: Error) => void }> = [];

  constructor() {
    this.child = spawn('python3', [SCRIPT], { env: CLIENT_ENVIRONMENT, stdio: ['pipe', 'pipe', 'inherit'] });
    createInterface({ input: this.child.stdout! }).on('line', (line) => {
      this.#waiting.shift()?.resolve(JSON.parse(line) as Answer);
    });
    this.child.stdin!.on('error', () => undefined);
    this.child.once('exit', () => {
      for (const { reject } of this.#waiting.splice(0)) reject(new Error('the client was killed'));
    });
  }

  /** Opens a connection; `c` names it in later calls. */
  async open(path: string, c = 0, options: { timeout?: number; uri?: boolean } = {}): Promise<void> {
    await this.#call({ op: 'open', path, c, ...options });
  }

  async close(c = 0): Promise<void> {
    await this.#call({ op: 'close', c });
  }

  /** Runs one statement and returns all its rows. @throws ClientError */
  async exec(sql: string, c = 0, params: unknown[] = []): Promise<Row[]> {
    return (await this.#call({ op: 'exec', sql, c, params })) as Row[];
  }

  async script(sql: string, c = 0): Promise<void> {
    await this.#call({ op: 'script', sql, c });
  }

  /** What a database holds, comparable with the digest of another: rows of every table, sizes, integrity_check. */
  async digest(c = 0, schema = 'main'): Promise<Digest> {
    return (await this.#call({ op: 'digest', c, schema })) as Digest;
  }

  /** Starts a statement and leaves it open. */
  async cursor(sql: string, cursor: string, c = 0): Promise<void> {
    await this.#call({ op: 'cursor', sql, cursor, c });
  }

  async fetch(cursor: string, count = 1, c = 0): Promise<Row[]> {
    return (await this.#call({ op: 'fetch', cursor, count, c })) as Row[];
  }

  async drop(cursor: string, c = 0): Promise<void> {
    await this.#call({ op: 'drop', cursor, c });
  }

  async inTransaction(c = 0): Promise<boolean> {
    return (await this.#call({ op: 'in_transaction', c })) as boolean;
  }

  /** A child of the client closes all descriptors that it inherited, and ends. */
  async fork(): Promise<void> {
    await this.#call({ op: 'fork' });
  }

  /** Runs several commands in one go; each answers for itself, and an error does not stop the rest. */
  async steps(steps: readonly Step[]): Promise<Answer[]> {
    return (await this.#call({ op: 'steps', steps })) as Answer[];
  }

  /** SIGKILL; calls under way reject. */
  async kill(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const exit = once(this.child, 'exit');
    this.child.kill('SIGKILL');
    await exit;
  }

  /** Ends in order, closing nothing by itself. */
  async end(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const exit = once(this.child, 'exit');
    this.child.stdin!.end();
    await exit;
  }

  async #call(command: object): Promise<unknown> {
    const answer = await new Promise<Answer>((resolve, reject) => {
      if (this.child.exitCode !== null || this.child.signalCode !== null) {
        reject(new Error('the client has ended'));
        return;
      }
      this.#waiting.push({ resolve, reject });
      this.child.stdin!.write(`${JSON.stringify(command)}\n`);
    });
    if (answer.error !== undefined) throw new ClientError(answer.error, answer.message ?? '');
    return answer.value;
  }
}

export interface Outcome {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end, with `input` on its standard input. Never throws for its exit status. */
export function run(program: string, args: readonly string[], input = '', timeoutMs = 120_000): Promise<Outcome> {
  return new Promise((resolve) => {
    const options = {
      env: CLIENT_ENVIRONMENT,
      timeout: timeoutMs,
      maxBuffer: 256 * 1024 * 1024,
      killSignal: 'SIGKILL' as const,
    };
    const child = execFile(program, args, options, (error, stdout, stderr) => {
      const status = error === null ? 0 : typeof error.code === 'number' ? error.code : null;
      resolve({ status, stdout, stderr });
    });
    child.stdin!.on('error', () => undefined);
    child.stdin!.end(input);
  });
}

/** Debian's sqlite3 on a database; its standard output. @throws when it fails */
export async function sqlite3(path: string, sql: string): Promise<string> {
  const { status, stdout, stderr } = await run('sqlite3', [path], sql);
  if (status !== 0 || stderr !== '') throw new Error(`sqlite3 ended with ${status}: ${stderr}`);
  return stdout.trim();
}
