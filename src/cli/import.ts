// mvfuse import FILE NS: a local SQLite database becomes the newest version of a namespace, as one commit.

import { randomUUID } from 'node:crypto';
import { createReadStream, existsSync } from 'node:fs';
import { rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { Command } from 'commander';
import type { StoreService } from '../admin/store-service.js';
import { spillDirectory } from '../config.js';
import { isMvfuseError, MvfuseError } from '../errors.js';
import type { Commit } from '../store/types.js';
import { addServiceOptions, jsonOption, type ServiceOptions } from './options.js';
import { print, printJson } from './output.js';
import { withProgress } from './progress.js';
import { withService } from './store-access.js';

export function importCommand(): Command {
  const command = new Command('import')
    .description('make a local SQLite database the newest version of a namespace')
    .argument('<file>', 'may be in use, and in WAL mode')
    .argument('<namespace>', 'made if it does not exist');
  return addServiceOptions(command)
    .addOption(jsonOption())
    .addHelpText('after', '\nExample:\n  $ mvfuse import app.db test')
    .action(async (file: string, namespace: string, options: ServiceOptions & { json?: boolean }) => {
      if (!existsSync(file)) throw new MvfuseError('NOT_FOUND', `there is no file ${file}`);
      // SQLite's own backup sees a consistent state, whatever is in a write-ahead log or a hot journal beside it.
      const copy = join(spillDirectory(), `mvfuse-import-${randomUUID()}.db`);
      try {
        await backUp(file, copy);
        const commit = await withService(options, (service) => upload(service, namespace, copy));
        if (options.json) printJson(commit);
        else print(`${namespace}: ${commit.pageCount} pages, version ${commit.head.version}`);
      } finally {
        await rm(copy, { force: true });
      }
    });
}

async function backUp(file: string, copy: string): Promise<void> {
  let source: Database.Database | undefined;
  try {
    source = new Database(file, { readonly: true, fileMustExist: true });
    await source.backup(copy);
  } catch (cause) {
    throw new MvfuseError(
      'INVALID_ARGUMENT',
      `${file} cannot be read as a SQLite database: ${(cause as Error).message}`,
      {
        cause,
      },
    );
  } finally {
    source?.close();
  }
}

async function upload(service: StoreService, namespace: string, file: string): Promise<Commit> {
  try {
    await service.createNamespace(namespace);
  } catch (error) {
    if (!isMvfuseError(error, 'ALREADY_EXISTS')) throw error;
  }
  const { size } = await stat(file);
  return service.importDatabase(namespace, size, withProgress('import', size, createReadStream(file)));
}
