// mvfuse ns delete NAME: a namespace with all its versions, after a question.

import { createInterface } from 'node:readline/promises';
import { Command } from 'commander';
import type { StoreService } from '../admin/store-service.js';
import { MvfuseError } from '../errors.js';
import { ZERO_VERSION } from '../version.js';
import { addServiceOptions, jsonOption, type ServiceOptions } from './options.js';
import { isoTime, print, printJson } from './output.js';
import { withService } from './store-access.js';
import { withWork } from './work.js';

interface Options extends ServiceOptions {
  readonly force?: boolean;
  readonly yes?: boolean;
  readonly json?: boolean;
}

const HELP = `
All its versions are gone at once, for good; their space is freed before the command ends. A namespace that others were forked
from, or that is locked for maintenance, is not deleted; nor is one that somebody reads, unless with --force: those get an I/O
error.

On a terminal it asks first; elsewhere --yes is needed.

Examples:
  $ mvfuse ns delete test
  $ mvfuse ns delete test --yes --force`;

export function deleteCommand(): Command {
  return addServiceOptions(new Command('delete'))
    .description('delete a namespace with all its versions')
    .argument('<name>')
    .option('--force', 'also while it is mounted or read')
    .option('--yes', 'do not ask')
    .addOption(jsonOption())
    .addHelpText('after', HELP)
    .action(async (name: string, { force = false, yes, json, ...named }: Options) => {
      const message = 'broken off; what is left of the namespace is removed later';
      await withService(named, async (service) => {
        if (yes !== true) await confirm(service, name);
        await withWork({ what: 'delete', unit: 'keys', message }, (work) =>
          service.deleteNamespace(name, { force, ...work }),
        );
      });
      if (json) printJson({ deleted: name });
      else print(`deleted ${name}`);
    });
}

/** @throws INVALID_ARGUMENT where nobody can be asked, CLOSED unless the answer is yes */
async function confirm(service: StoreService, name: string): Promise<void> {
  const { head } = await service.statNamespace(name);
  if (!process.stdin.isTTY || !process.stderr.isTTY) {
    throw new MvfuseError('INVALID_ARGUMENT', `"${name}" would be deleted with all its versions: --yes confirms it`);
  }
  const state =
    head.version === ZERO_VERSION ? 'empty' : `${head.sizeBytes} bytes, last written ${isoTime(head.timeMs)}`;
  const asking = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await asking.question(`Delete "${name}" (${state}) with all its versions? [y/N] `);
    if (!/^y(es)?$/i.test(answer.trim())) throw new MvfuseError('CLOSED', 'nothing was deleted');
  } finally {
    asking.close();
  }
}
