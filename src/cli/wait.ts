// mvfuse wait NS: for scripts and containers that start something once a namespace is there.

import { setTimeout as sleep } from 'node:timers/promises';
import { Command } from 'commander';
import type { Check } from '../admin/api/health.js';
import { parseDuration } from '../config.js';
import { errorMeaning, isMvfuseError, MvfuseError } from '../errors.js';
import { LIMIT_RANGES } from '../limits.js';
import { addServiceOptions, checked, jsonOption, type ServiceOptions } from './options.js';
import { print, printJson } from './output.js';
import { connectDaemons, withService } from './store-access.js';

interface Options extends ServiceOptions {
  readonly ready?: boolean;
  readonly timeout: number;
  readonly json?: boolean;
}

const TIMEOUT_MS_DEFAULT = 30_000;
const PAUSE_MS = 200;

export function waitCommand(): Command {
  const command = new Command('wait')
    .description('wait until a namespace exists or, with --ready, can be used through a mount')
    .argument('<namespace>', 'its name')
    .option('--ready', 'until it can be read and written through a mount of a running daemon')
    .option(
      '--timeout <time>',
      'how long at the most',
      checked((text) => parseDuration(text, LIMIT_RANGES.waitMs)),
      TIMEOUT_MS_DEFAULT,
    );
  return addServiceOptions(command)
    .addOption(jsonOption())
    .addHelpText(
      'after',
      '\nEnds with status 13 when the time is over.\n\nExamples:\n  $ mvfuse wait test --ready --timeout 30s\n  $ mvfuse wait test --json',
    )
    .action(async (namespace: string, options: Options) => {
      const startMs = performance.now();
      const found = () => (options.ready ? readyProblem(options, namespace) : absence(options, namespace));
      const deadlineMs = startMs + options.timeout;
      for (;;) {
        const problem = await found();
        if (problem === undefined) break;
        if (performance.now() + PAUSE_MS > deadlineMs) throw timeOut(namespace, options, problem);
        await sleep(PAUSE_MS);
      }
      const { ready = false, json } = options;
      if (json) printJson({ namespace, ready, waitedMs: Math.round(performance.now() - startMs) });
      else print(`${namespace} ${ready ? 'is ready' : 'exists'}`);
    });
}

function timeOut(namespace: string, { ready, timeout }: Options, problem: string): MvfuseError {
  const what = ready ? 'is not ready' : 'does not exist';
  return new MvfuseError('NOT_READY', `namespace "${namespace}" ${what} after ${timeout / 1000} s: ${problem}`);
}

/** Why it cannot be used through any mount; undefined when it can. */
async function readyProblem(options: Options, namespace: string): Promise<string | undefined> {
  try {
    const daemons = await connectDaemons(options);
    if (daemons.length === 0) return 'no daemon runs on the store';
    const asked = daemons.map((daemon) => daemon.readiness().finally(() => daemon.close()));
    const problems = (await Promise.all(asked)).map(({ checks }) => problemOf(checks, namespace));
    if (problems.every((problem) => problem !== undefined)) return problems.join('; ');
    return absence(options, namespace);
  } catch (error) {
    return passing(error);
  }
}

function problemOf(checks: readonly Check[], namespace: string): string | undefined {
  const own =
    checks.find(({ kind, name }) => kind === 'namespace' && name === namespace) ??
    checks.find(({ prefix }) => prefix !== undefined && namespace.startsWith(prefix));
  if (own === undefined) return 'the daemon does not have it mounted';
  const general = checks.find(({ kind, ready }) => !ready && (kind === 'store' || kind === 'lease'));
  if (!own.ready) return own.reason;
  return own.writable ? general?.reason : 'it is mounted to be read only';
}

async function absence(options: Options, namespace: string): Promise<string | undefined> {
  try {
    await withService(options, (service) => service.statNamespace(namespace));
    return undefined;
  } catch (error) {
    return passing(error);
  }
}

/** What may be otherwise in a moment: the message. @throws anything else */
function passing(error: unknown): string {
  if (isMvfuseError(error) && (error.code === 'NOT_FOUND' || errorMeaning(error.code).retryable)) return error.message;
  throw error;
}
