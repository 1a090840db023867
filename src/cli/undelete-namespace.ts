// mvfuse ns undelete NAME: brings a deleted namespace back.

import { Command } from 'commander';
import { validateNamespaceName } from '../store/namespace-name.js';
import type { NamespaceId } from '../store/types.js';
import { addServiceOptions, idOption, jsonOption, type ServiceOptions } from './options.js';
import { print, printJson } from './output.js';
import { withService } from './store-access.js';

interface Options extends ServiceOptions {
  readonly as?: string;
  readonly id?: NamespaceId;
  readonly json?: boolean;
}

const HELP = `
It comes back with all its versions, tags and settings, and with what was written to it after it was deleted by whoever had it
open. Where several were deleted by the same name it is the last one, unless --id says which: mvfuse ns list --deleted.

Examples:
  $ mvfuse ns undelete test
  $ mvfuse ns undelete test --as test-recovered --json
  $ mvfuse ns undelete test --id 17 --as test-before`;

export function undeleteCommand(): Command {
  return addServiceOptions(new Command('undelete'))
    .description('bring a deleted namespace back')
    .argument('<name>', 'what it was called')
    .option('--as <name>', 'another name for it')
    .addOption(idOption('which of those that were deleted by that name'))
    .addOption(jsonOption())
    .addHelpText('after', HELP)
    .action(async (name: string, { as, id, json, ...named }: Options) => {
      if (as !== undefined) validateNamespaceName(as);
      const namespace = await withService(named, (service) => service.undeleteNamespace(name, { as, id }));
      if (json) printJson(namespace);
      else print(`${namespace.name} is back`);
    });
}
