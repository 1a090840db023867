// mvfuse export NS[@moment] FILE: one version as a local SQLite database; with --since, versions as a change file.

import { randomUUID } from 'node:crypto';
import { createWriteStream, existsSync } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { Command } from 'commander';
import type { Content } from '../admin/store-service.js';
import { parseTarget } from '../config.js';
import { MvfuseError } from '../errors.js';
import { parseMoment } from '../moment.js';
import type { Head } from '../store/types.js';
import { ZERO_VERSION } from '../version.js';
import { addServiceOptions, jsonOption, type ServiceOptions } from './options.js';
import { print, printJson } from './output.js';
import { withProgress } from './progress.js';
import { withService } from './store-access.js';
import { interruption } from './work.js';

interface Options extends ServiceOptions {
  readonly since?: string;
  readonly force?: boolean;
  readonly json?: boolean;
}

const STANDARD_OUTPUT = '-';

const HELP = `
With --since the file holds the versions after that moment, up to the newest or the one that is named, for mvfuse apply: a backup
that is brought up to date with little, or a replica in another store. It begins with --since first. Each further file begins where
the one before ended: name that version, or move a tag, which also keeps retention from removing it.

Examples:
  $ mvfuse export test backup.db
  $ mvfuse export test@before-upgrade old.db --force
  $ mvfuse export test --since first test.0001
  $ mvfuse export test --since <version> test.0002
  $ mvfuse export test --since shipped - | ssh other mvfuse apply - test`;

export function exportCommand(): Command {
  return addServiceOptions(new Command('export'))
    .description('write one version of a namespace, or all since another one, to a local file')
    .argument('<namespace[@moment]>', 'the newest version unless one is named')
    .argument('<file>', 'must not exist; - is standard output')
    .option('--since <moment>', 'write a change file: the versions after this one; first: all of them')
    .option('--force', 'replace the file if it exists')
    .addOption(jsonOption())
    .addHelpText('after', HELP)
    .action(async (target: string, file: string, options: Options) => {
      if (file !== STANDARD_OUTPUT && existsSync(file) && options.force !== true)
        throw new MvfuseError('ALREADY_EXISTS', `${file} exists: --force replaces it`);
      if (file === STANDARD_OUTPUT && process.stdout.isTTY)
        throw new MvfuseError('INVALID_ARGUMENT', 'the bytes are not for a terminal: redirect standard output');
      if (options.since !== undefined) return exportChanges(target, file, options.since, options);
      const head = await exportToFile(options, target, file);
      report(file, options, { file, ...head }, `${file}: ${head.sizeBytes} bytes of version ${head.version}`);
    });
}

async function exportChanges(target: string, file: string, since: string, options: Options): Promise<void> {
  const { namespace, moment } = parseTarget(target);
  if (since !== 'first' && since !== '0') parseMoment(since);
  let bytes = 0;
  const header = await withService(options, async (service) => {
    const changes = await service.exportChanges(namespace, { since, until: moment });
    const counted = async function* (): AsyncGenerator<Uint8Array> {
      for await (const piece of changes.bytes) {
        bytes += piece.length;
        yield piece;
      }
    };
    await writeWhole(file, withProgress('export', 0, counted()));
    return changes.header;
  });
  const { from, to } = header;
  const what = from === ZERO_VERSION ? `the versions up to ${to}` : `the versions after ${from}, up to ${to}`;
  const text = from === to ? `nothing is newer than ${from}` : what;
  report(file, options, { file, namespace, from, to, bytes }, `${file}: ${text}; ${bytes} bytes`);
}

/** Beside the bytes, where those go to standard output. */
function report(file: string, { json }: Options, value: object, text: string): void {
  if (file === STANDARD_OUTPUT) process.stderr.write(`${json ? JSON.stringify(value) : text}\n`);
  else if (json) printJson(value);
  else print(text);
}

/** The file appears whole, and durable, or not at all. */
export async function exportToFile(named: ServiceOptions, target: string, file: string): Promise<Head> {
  const { namespace, moment } = parseTarget(target);
  return withService(named, async (service) => {
    const content = await service.exportVersion(namespace, moment);
    await writeVersion(content, file);
    return content.head;
  });
}

/** As exportToFile. @throws the signal's reason */
export function writeVersion({ head, bytes }: Content, file: string, signal?: AbortSignal): Promise<void> {
  return writeWhole(file, withProgress('export', head.sizeBytes, bytes), signal);
}

/** The file appears whole, and durable, or not at all; standard output gets the pieces as they come. @throws CLOSED, the signal's reason */
async function writeWhole(
  file: string,
  pieces: AsyncIterable<Uint8Array>,
  signal = interruption('broken off: nothing was written'),
): Promise<void> {
  if (file === STANDARD_OUTPUT) return writeToOutput(pieces, signal);
  const partial = `${file}.${randomUUID()}.partial`;
  try {
    await pipeline(pieces, createWriteStream(partial, { flags: 'wx', flush: true }), { signal });
    await rename(partial, file);
    await syncDirectory(dirname(file));
  } catch (error) {
    await rm(partial, { force: true });
    signal.throwIfAborted();
    throw error;
  }
}

async function writeToOutput(pieces: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<void> {
  try {
    await pipeline(pieces, process.stdout, { end: false, signal });
  } catch (error) {
    signal.throwIfAborted();
    if ((error as NodeJS.ErrnoException).code !== 'EPIPE') throw error;
    throw new MvfuseError('CLOSED', 'whoever read standard output is gone', { cause: error });
  }
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path);
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
