// mvfuse rollback NS@moment: an older version becomes the newest one again, as a commit like any other.

import { Command } from 'commander';
import type { Rollback } from '../admin/store-service.js';
import { parseTarget } from '../config.js';
import { MvfuseError } from '../errors.js';
import type { Version } from '../version.js';
import { addServiceOptions, jsonOption, type ServiceOptions } from './options.js';
import { counted, isoTime, print, printJson } from './output.js';
import { withService } from './store-access.js';
import { withWork } from './work.js';

interface Options extends ServiceOptions {
  readonly dryRun?: boolean;
  readonly json?: boolean;
}

const HELP = `
History is kept: the versions since then stay readable, and a rollback can be rolled back. Programs that have the database
open see the new version with their next transaction. Only pages that differ are written.

Examples:
  $ mvfuse rollback test@before-upgrade --dry-run
  $ mvfuse rollback test@before-upgrade
  $ mvfuse rollback test@-10m`;

export function rollbackCommand(): Command {
  return addServiceOptions(new Command('rollback'))
    .description('make an older version the newest one again')
    .argument('<namespace@moment>', 'a version, a tag, a time or how long ago')
    .option('--dry-run', 'only say how many pages it would write')
    .addOption(jsonOption())
    .addHelpText('after', HELP)
    .action(async (target: string, { dryRun = false, json, ...named }: Options) => {
      if (!target.includes('@'))
        throw new MvfuseError('INVALID_ARGUMENT', `which version of "${target}"? Name it: ${target}@<moment>`);
      const { namespace, moment } = parseTarget(target);
      const work = { what: 'rollback', unit: 'pages', message: 'broken off: nothing was changed' };
      const { before, done } = await withWork(work, (options) =>
        withService(named, async (service) => ({
          before: (await service.statNamespace(namespace)).head.version,
          done: await service.rollback(namespace, moment, { dryRun, ...options }),
        })),
      );
      const changed = hasChanged(done, before);
      if (json) printJson({ ...done, changed });
      else print(describe(done, changed));
    });
}

/** Whether there is a new version; of a dry run, whether there would be. */
function hasChanged({ dryRun, pageCount, restored, head }: Rollback, before: Version): boolean {
  return dryRun ? pageCount > 0 || restored.sizeBytes !== head.sizeBytes : head.version !== before;
}

function describe({ namespace, dryRun, restored, pageCount, bytes, head }: Rollback, changed: boolean): string {
  const wanted = `version ${restored.version} (${isoTime(restored.timeMs)})`;
  if (!changed) return `${namespace}: is as ${wanted} already; nothing to do`;
  const pages = `${counted(pageCount, 'page')}, ${bytes} bytes`;
  if (dryRun) return `${namespace}: going back to ${wanted} would write ${pages}; nothing was changed`;
  return `${namespace}: is as ${wanted} again; ${pages} written as version ${head.version}`;
}
