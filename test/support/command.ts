// The real binary, run to its end, on one store.

import assert from 'node:assert/strict';
import { type Outcome, run } from './client.js';
import { MAIN } from './mounted.js';

export class Commands {
  readonly #store: string;
  readonly #environment: readonly string[];

  /** @param environment `NAME=value` words */
  constructor(store: string, environment: readonly string[] = []) {
    this.#store = store;
    this.#environment = environment;
  }

  /** The program and its arguments, to be started in another way. */
  words(...args: string[]): string[] {
    return ['/usr/bin/env', `MVFUSE_STORE=${this.#store}`, ...this.#environment, process.execPath, MAIN, ...args];
  }

  run(...args: string[]): Promise<Outcome> {
    const [program, ...words] = this.words(...args);
    return run(program!, words);
  }

  /** Standard output of a command that succeeds. */
  async done(...args: string[]): Promise<string> {
    const { status, stdout, stderr } = await this.run(...args);
    assert.equal(status, 0, `${args.join(' ')}: ${stderr}`);
    return stdout;
  }

  /** What it prints with --json. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into it
  async json(...args: string[]): Promise<any> {
    return JSON.parse(await this.done(...args, '--json'));
  }

  /** One sentence on standard error, nothing else, and that exit status. */
  async refused(status: number, message: RegExp, ...args: string[]): Promise<void> {
    const outcome = await this.run(...args);
    assert.equal(outcome.status, status, `${args.join(' ')}: ${outcome.stderr}`);
    assert.match(outcome.stderr, message);
    assert.equal(outcome.stdout, '');
    assert.doesNotMatch(outcome.stderr, /\n\s+at /, 'a stack trace is no sentence');
  }

  /** --help of each command has an example of it. */
  async explained(...commands: string[]): Promise<void> {
    for (const command of commands) {
      const help = await this.done(...command.split(' '), '--help');
      assert.match(help, new RegExp(`Examples?:\\n(.*\\n)*? +\\$ .*mvfuse ${command}`), command);
      assert.match(help, /--json/, command);
    }
  }
}
