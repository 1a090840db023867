// The Django project in test/support/django: its manage.py, and gunicorn with several processes that serve it.

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { Agent, type IncomingMessage, request } from 'node:http';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { CLIENT_ENVIRONMENT, type Outcome, run } from './client.js';

const PYTHON = '/usr/bin/python3';
const GUNICORN = '/usr/bin/gunicorn';
const PROJECT = fileURLToPath(new URL('../../../test/support/django', import.meta.url));
const DJANGO = '/usr/lib/python3/dist-packages/django';

/** Why tests of the project are skipped. */
export function djangoMissing(): string | false {
  return existsSync(DJANGO) ? false : 'Django is not installed (python3-django)';
}

/** Why tests of its server are. */
export function serverMissing(): string | false {
  return djangoMissing() || (existsSync(GUNICORN) ? false : 'gunicorn is not installed');
}

export function manage(database: string, ...args: string[]): Promise<Outcome> {
  const environment = [`DATABASE=${database}`, 'PYTHONDONTWRITEBYTECODE=1'];
  return run('env', [...environment, PYTHON, `${PROJECT}/manage.py`, ...args]);
}

/** What it prints. @throws when it fails */
export async function managed(database: string, ...args: string[]): Promise<string> {
  const { status, stdout, stderr } = await manage(database, ...args);
  assert.equal(status, 0, `manage.py ${args.join(' ')}: ${stderr}`);
  return stdout;
}

/** Everything that the project keeps, as loaddata takes it. */
export async function dumpdata(database: string): Promise<string> {
  const options = ['--natural-foreign', '--exclude=contenttypes', '--exclude=auth.permission'];
  const dump = await managed(database, 'dumpdata', ...options);
  // Microseconds are cut to milliseconds; where nothing is left, the time is written shorter once it was loaded.
  return dump.replaceAll('.000Z"', 'Z"');
}

export interface Answer {
  readonly status: number;
  readonly body: string;
  /** Which of the server's processes gave it, where the page says so. */
  readonly process: string | undefined;
}

export class WebServer {
  readonly #child: ChildProcess;
  readonly #agent: Agent;
  readonly #socketPath: string;
  #log = '';

  private constructor(child: ChildProcess, socketPath: string, connectionCount: number) {
    this.#child = child;
    this.#socketPath = socketPath;
    this.#agent = new Agent({ maxSockets: connectionCount });
  }

  /** @param connectionCount requests that are under way at once */
  static async start(
    database: string,
    socketPath: string,
    workerCount: number,
    connectionCount: number,
  ): Promise<WebServer> {
    const args = ['--chdir', PROJECT, '--workers', String(workerCount), '--bind', `unix:${socketPath}`, 'mysite.wsgi'];
    const env = { ...CLIENT_ENVIRONMENT, DATABASE: database, PYTHONDONTWRITEBYTECODE: '1' };
    const child = spawn(GUNICORN, args, { env, stdio: ['ignore', 'ignore', 'pipe'] });
    const server = new WebServer(child, socketPath, connectionCount);
    await new Promise<void>((resolve, reject) => {
      child.once('exit', () => reject(new Error(server.log)));
      createInterface({ input: child.stderr! }).on('line', (line) => {
        server.#log += `${line}\n`;
        if (line.includes('Listening at')) resolve();
      });
    });
    return server;
  }

  get log(): string {
    return this.#log;
  }

  get(path: string): Promise<Answer> {
    return this.#ask('GET', path, '');
  }

  post(path: string, form: string): Promise<Answer> {
    return this.#ask('POST', path, form);
  }

  /** Lets requests end; resolves when every process has. */
  async stop(): Promise<void> {
    this.#agent.destroy();
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, 'exit');
    this.#child.kill('SIGTERM');
    await exited;
  }

  async #ask(method: string, path: string, form: string): Promise<Answer> {
    const headers = { 'content-type': 'application/x-www-form-urlencoded', 'content-length': form.length };
    const asked = request({ socketPath: this.#socketPath, agent: this.#agent, method, path, headers });
    asked.end(form);
    const [response] = (await once(asked, 'response')) as [IncomingMessage];
    let body = '';
    for await (const chunk of response) body += chunk;
    const process = response.headers['x-process'];
    return { status: response.statusCode!, body, process: typeof process === 'string' ? process : undefined };
  }
}
