// mvfuse fork NS[@moment] NEW: a namespace that begins with a version of another one.

import { Command } from 'commander';
import { parseTarget } from '../config.js';
import { validateNamespaceName } from '../store/namespace-name.js';
import { addServiceOptions, jsonOption, type ServiceOptions } from './options.js';
import { print, printJson } from './output.js';
import { withService } from './store-access.js';
import { withWork } from './work.js';

const HELP = `
The fork shares the pages of that version until it writes its own, so it takes no time and no space, however large the
database is. Its parent keeps the version as long as the fork is there, also when the parent is deleted. Where the parent is
protected by an access proof, so is the fork. Its history begins now.

Examples:
  $ mvfuse fork test experiment
  $ mvfuse fork test@-1h before-the-accident
  $ mvfuse fork test@v1 test-v1 --json`;

export function forkCommand(): Command {
  return addServiceOptions(new Command('fork'))
    .description('make a new namespace of a version of another one, sharing its pages')
    .argument('<namespace[@moment]>', 'the newest version unless one is named')
    .argument('<new>', 'name of the fork; must not exist')
    .addOption(jsonOption())
    .addHelpText('after', HELP)
    .action(async (target: string, name: string, { json, ...named }: ServiceOptions & { json?: boolean }) => {
      const { namespace, moment } = parseTarget(target);
      validateNamespaceName(name);
      const work = { what: 'copy', unit: 'pages', message: 'broken off: nothing was made' };
      const fork = await withWork(work, (options) =>
        withService(named, (service) => service.fork(namespace, moment, name, options)),
      );
      if (json) return printJson(fork);
      const { parent, head } = fork;
      const from = parent === undefined ? namespace : `${parent.namespace}@${parent.version}`;
      print(`${name}: forked from ${from}, ${head.sizeBytes} bytes`);
    });
}
