// mvfuse truncate and mvfuse gc: removing versions by hand, and by the policies now.

import { Command } from 'commander';
import type { Truncation } from '../admin/store-service.js';
import { parseMoment } from '../moment.js';
import { ZERO_VERSION } from '../version.js';
import { describeHeld, named } from './describe-namespace.js';
import { addServiceOptions, jsonOption, type ServiceOptions } from './options.js';
import { counted, print, printJson } from './output.js';
import { withService } from './store-access.js';
import { withWork } from './work.js';

interface Options extends ServiceOptions {
  readonly dryRun?: boolean;
  readonly json?: boolean;
}

const WORK = { what: 'remove', unit: 'versions', message: 'broken off; what is left is removed later' };

const TRUNCATE_HELP = `
The version at that moment stays, and so do those after it and those that a tag, a fork, a maintenance lock or a reader needs.
The newest version is never removed. What is removed is gone for good.

Examples:
  $ mvfuse truncate test --before -30d --dry-run
  $ mvfuse truncate test --before 2026-11-01
  $ mvfuse truncate test --before v2`;

export function truncateCommand(): Command {
  return addServiceOptions(new Command('truncate'))
    .description('remove the versions before a moment')
    .argument('<namespace>')
    .requiredOption('--before <moment>', 'a version, a tag, a time or how long ago: the oldest that stays')
    .option('--dry-run', 'only say what would be removed')
    .addOption(jsonOption())
    .addHelpText('after', TRUNCATE_HELP)
    .action(async (namespace: string, { before, dryRun = false, json, ...named }: Options & { before: string }) => {
      parseMoment(before);
      const truncation = await withWork(WORK, (work) =>
        withService(named, (service) => service.truncate(namespace, before, { dryRun, ...work })),
      );
      if (json) printJson(truncation);
      else print(describe(truncation));
    });
}

const GC_HELP = `
Applies the policies that mvfuse ns set made, frees what no kept version needs, and returns space to the disk. A daemon does so
by itself, every few seconds.

Examples:
  $ mvfuse gc --dry-run
  $ mvfuse gc test`;

export function gcCommand(): Command {
  return addServiceOptions(new Command('gc'))
    .description('apply the retention policies now, and free space')
    .argument('[namespace]', 'all of them unless one is named')
    .option('--dry-run', 'only say what would be removed')
    .addOption(jsonOption())
    .addHelpText('after', GC_HELP)
    .action(async (namespace: string | undefined, { dryRun = false, json, ...named }: Options) => {
      const truncations = await withWork(WORK, (work) =>
        withService(named, (service) => service.collect(namespace, { dryRun, ...work })),
      );
      if (json) printJson(truncations);
      else print(truncations.length === 0 ? 'the store has no namespaces' : truncations.map(describe).join('\n'));
    });
}

function describe({ namespace, dryRun, versions, bytes, truncatedBefore, held }: Truncation): string {
  const removed = `${counted(versions, 'version')} ${dryRun ? 'would be removed' : 'removed'} (${bytes} bytes)`;
  const oldest = truncatedBefore === ZERO_VERSION ? '' : `; kept from ${truncatedBefore} on`;
  const older = named(describeHeld(held));
  return `${namespace}: ${removed}${oldest}${older === undefined ? '' : `, and before it ${older}`}`;
}
