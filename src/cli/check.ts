// mvfuse check NS[@version]: every stored page against its checksum, then SQLite's own integrity check, which has the
// last word.

import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { Command } from 'commander';
import { spillDirectory } from '../config.js';
import { MvfuseError } from '../errors.js';
import { exportToFile } from './export.js';
import { addServiceOptions, jsonOption, type ServiceOptions } from './options.js';
import { print, printJson } from './output.js';

export function checkCommand(): Command {
  const command = new Command('check')
    .description('verify one version: the checksum of each page, and SQLite’s integrity check')
    .argument('<namespace[@version]>', 'the newest version unless one is named');
  return addServiceOptions(command)
    .addOption(jsonOption())
    .addHelpText('after', '\nExample:\n  $ mvfuse check test\n\nEnds with status 9 when something is wrong.')
    .action(async (target: string, options: ServiceOptions & { json?: boolean }) => {
      const copy = join(spillDirectory(), `mvfuse-check-${randomUUID()}.db`);
      try {
        const head = await exportToFile(options, target, copy);
        const findings = head.sizeBytes === 0 ? [] : integrityFindings(copy);
        if (options.json) printJson({ ...head, ok: findings.length === 0, findings });
        if (findings.length > 0) throw new MvfuseError('CORRUPT', `${target}: ${findings.join('; ')}`);
        if (!options.json) print(`${target}: ok, ${head.sizeBytes} bytes of version ${head.version}`);
      } finally {
        await rm(copy, { force: true });
      }
    });
}

function integrityFindings(file: string): string[] {
  let database: Database.Database | undefined;
  try {
    database = new Database(file, { readonly: true });
    const rows = database.pragma('integrity_check') as Array<{ integrity_check: string }>;
    return rows.map((row) => row.integrity_check).filter((finding) => finding !== 'ok');
  } catch (error) {
    return [(error as Error).message];
  } finally {
    database?.close();
  }
}
