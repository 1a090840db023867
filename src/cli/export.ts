// mvfuse export NS[@version] FILE: one version as a local SQLite database.

import { randomUUID } from 'node:crypto';
import { createWriteStream, existsSync } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { Command } from 'commander';
import { parseTarget } from '../config.js';
import { MvfuseError } from '../errors.js';
import type { Head } from '../store/types.js';
import { addServiceOptions, jsonOption, type ServiceOptions } from './options.js';
import { print, printJson } from './output.js';
import { withProgress } from './progress.js';
import { withService } from './store-access.js';

interface Options extends ServiceOptions {
  readonly force?: boolean;
  readonly json?: boolean;
}

export function exportCommand(): Command {
  const command = new Command('export')
    .description('write one version of a namespace to a local file')
    .argument('<namespace[@version]>', 'the newest version unless one is named')
    .argument('<file>', 'must not exist')
    .option('--force', 'replace the file if it exists');
  return addServiceOptions(command)
    .addOption(jsonOption())
    .addHelpText(
      'after',
      '\nExamples:\n  $ mvfuse export test backup.db\n  $ mvfuse export test@<version> old.db --force',
    )
    .action(async (target: string, file: string, options: Options) => {
      if (existsSync(file) && options.force !== true) {
        throw new MvfuseError('ALREADY_EXISTS', `${file} exists: --force replaces it`);
      }
      const head = await exportToFile(options, target, file);
      if (options.json) printJson({ file, ...head });
      else print(`${file}: ${head.sizeBytes} bytes of version ${head.version}`);
    });
}

/** The file appears whole, and durable, or not at all. */
export async function exportToFile(options: ServiceOptions, target: string, file: string): Promise<Head> {
  const { namespace, moment } = parseTarget(target);
  const partial = `${file}.${randomUUID()}.partial`;
  try {
    const head = await withService(options, async (service) => {
      const content = await service.exportVersion(namespace, moment);
      const pieces = withProgress('export', content.head.sizeBytes, content.bytes);
      await pipeline(pieces, createWriteStream(partial, { flags: 'wx', flush: true }));
      return content.head;
    });
    await rename(partial, file);
    await syncDirectory(dirname(file));
    return head;
  } catch (error) {
    await rm(partial, { force: true });
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
