// A mount whose daemon runs with the interposer, and a second start of the same store without it.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, realpathSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Interposer } from './interposer.js';
import { MAIN, TestMount } from './mounted.js';

export class InterposedMount extends TestMount {
  #interposer: Interposer | undefined;

  get interposer(): Interposer {
    return this.#interposer!;
  }

  /** The real command on a new store. @param namespaces as in --namespaces */
  static async startInterposed(namespaces: string): Promise<InterposedMount> {
    const base = realpathSync(mkdtempSync(join(tmpdir(), 'mvfuse-test-')));
    mkdirSync(join(base, 'dbs'));
    const interposer = await Interposer.create(base, 'daemon');
    const args = ['--mountpoint', join(base, 'dbs'), '--namespaces', namespaces];
    args.push('--store', `sqlite:${join(base, 'store')}`, '--log-format', 'json');
    const stdio: ['ignore', 'inherit', 'pipe'] = ['ignore', 'inherit', 'pipe'];
    const child = spawn(process.execPath, [MAIN, ...args], { stdio, env: interposer.environment });
    const mount = new InterposedMount(base, child);
    mount.#interposer = interposer;
    await mount.logged('"mounted"');
    return mount;
  }

  /** Resolves once the daemon's log has that text. @throws when the daemon ends before */
  async logged(text: string): Promise<void> {
    const lines = createInterface({ input: this.child.stderr! });
    const found = new Promise<void>((resolve) => {
      lines.on('line', () => {
        if (this.log.includes(text)) resolve();
      });
    });
    if (this.log.includes(text)) return;
    const ended = once(this.child, 'exit').then(() => {
      throw new Error(`the daemon ended before it said ${text}: ${this.log}`);
    });
    await Promise.race([found, ended]);
    ended.catch(() => undefined);
  }

  override async remove(options: { keepFiles?: boolean } = {}): Promise<void> {
    this.interposer.close();
    await super.remove(options);
  }
}
