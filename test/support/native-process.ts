// Child processes as clients of a mount: a process must never touch its own mount synchronously, so whatever a test does
// in a mount is done by one of these. Every wait has a limit.

import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

const WAIT_MS_MAX = 20_000;

export interface Outcome {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

const talkers: Talker[] = [];

/** Ends what a failed test has left running; call it after each test. */
export function killTalkers(): void {
  for (const talker of talkers.splice(0)) talker.child.kill('SIGKILL');
}

/** A child that a test talks with line by line. */
export class Talker {
  readonly child: ChildProcessWithoutNullStreams;
  readonly #lines: AsyncIterator<string>;
  readonly #exit: Promise<unknown[]>;

  constructor(command: string, args: readonly string[]) {
    this.child = spawn(command, args);
    talkers.push(this);
    this.#exit = once(this.child, 'exit');
    this.#lines = createInterface(this.child.stdout)[Symbol.asyncIterator]();
  }

  /** The next line of its output; undefined at the end. */
  async line(): Promise<string | undefined> {
    const result = await within(this.#lines.next(), `a line of ${this.child.spawnargs.join(' ')}`);
    return result.done === true ? undefined : result.value;
  }

  say(line: string): void {
    this.child.stdin.write(`${line}\n`);
  }

  /** Ends its input and waits for its exit status. */
  async end(): Promise<number | null> {
    this.child.stdin.end();
    const [code] = await within(this.#exit, `the exit of ${this.child.spawnargs.join(' ')}`);
    return code as number | null;
  }
}

export async function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<Outcome> {
  const child = spawn(command, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (part: string) => {
    stdout += part;
  });
  child.stderr.setEncoding('utf8').on('data', (part: string) => {
    stderr += part;
  });
  const closed = once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>;
  const [code, signal] = await within(closed, `${command} ${args.join(' ')}`, () => child.kill('SIGKILL'));
  return { code, signal, stdout, stderr };
}

interface RunOptions {
  readonly env?: NodeJS.ProcessEnv;
  readonly uid?: number;
  readonly gid?: number;
  readonly cwd?: string;
}

/** Runs a shell script; throws with its error output unless it ends with status 0. Returns its output. */
export async function shell(script: string, cwd: string): Promise<string> {
  const outcome = await run('bash', ['-c', `cd "$0" && ${script}`, cwd]);
  if (outcome.code !== 0) throw new Error(`${script}: status ${outcome.code}: ${outcome.stderr}`);
  return outcome.stdout.trimEnd();
}

/** Waits until the condition holds. */
export async function until(condition: () => boolean, what: string): Promise<void> {
  const deadline = Date.now() + WAIT_MS_MAX;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`waited in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

export async function within<T>(promise: Promise<T>, what: string, onLate = () => {}): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      onLate();
      reject(new Error(`waited in vain for ${what}`));
    }, WAIT_MS_MAX);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
