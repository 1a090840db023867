// mvfuse export NS[@version] FILE: one version as a local SQLite database.

import { randomUUID } from 'node:crypto';
import { createWriteStream, existsSync } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { Command } from 'commander';
import type { Content } from '../admin/store-service.js';
import { parseTarget } from '../config.js';
import { MvfuseError } from '../errors.js';
import type { Head } from '../store/types.js';
import { jsonOption, storeOption } from './options.js';
import { print, printJson } from './output.js';
import { withProgress } from './progress.js';
import { withService } from './store-access.js';
import { interruption } from './work.js';

interface Options {
  readonly store: string;
  readonly force?: boolean;
  readonly json?: boolean;
}

export function exportCommand(): Command {
  return new Command('export')
    .description('write one version of a namespace to a local file')
    .argument('<namespace[@version]>', 'the newest version unless one is named')
    .argument('<file>', 'must not exist')
    .option('--force', 'replace the file if it exists')
    .addOption(storeOption())
    .addOption(jsonOption())
    .addHelpText(
      'after',
      '\nExamples:\n  $ mvfuse export test backup.db\n  $ mvfuse export test@<version> old.db --force',
    )
    .action(async (target: string, file: string, options: Options) => {
      if (existsSync(file) && options.force !== true) {
        throw new MvfuseError('ALREADY_EXISTS', `${file} exists: --force replaces it`);
      }
      const head = await exportToFile(options.store, target, file);
      if (options.json) printJson({ file, ...head });
      else print(`${file}: ${head.sizeBytes} bytes of version ${head.version}`);
    });
}

/** The file appears whole, and durable, or not at all. */
export async function exportToFile(store: string, target: string, file: string): Promise<Head> {
  const { namespace, moment } = parseTarget(target);
  return withService(store, async (service) => {
    const content = await service.exportVersion(namespace, moment);
    await writeVersion(content, file);
    return content.head;
  });
}

/** As exportToFile. @throws the signal's reason */
export function writeVersion({ head, bytes }: Content, file: string, signal?: AbortSignal): Promise<void> {
  return writeWhole(file, withProgress('export', head.sizeBytes, bytes), signal);
}

/** The file appears whole, and durable, or not at all. @throws the signal's reason */
export async function writeWhole(
  file: string,
  pieces: AsyncIterable<Uint8Array>,
  signal = interruption('broken off: nothing was written'),
): Promise<void> {
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

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path);
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
