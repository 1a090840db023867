// mvfuse log NS: the versions of a namespace, newest first.

import { Command, InvalidArgumentError } from 'commander';
import { jsonOption, storeOption } from './options.js';
import { isoTime, print, printJson, table } from './output.js';
import { withService } from './store-access.js';

const LIMIT_DEFAULT = 20;

export function logCommand(): Command {
  return new Command('log')
    .description('list the versions of a namespace, newest first')
    .argument('<namespace>', 'its name')
    .option('--limit <n>', 'at most this many', parseLimit, LIMIT_DEFAULT)
    .addOption(storeOption())
    .addOption(jsonOption())
    .addHelpText('after', '\nExamples:\n  $ mvfuse log test\n  $ mvfuse log test --limit 1 --json')
    .action(async (namespace: string, options: { limit: number; store: string; json?: boolean }) => {
      const entries = await withService(options.store, (service) => service.log(namespace, options.limit));
      if (options.json) {
        printJson(entries);
        return;
      }
      const rows = entries.map((entry) => [
        entry.version,
        isoTime(entry.timeMs),
        String(entry.pageCount),
        String(entry.sizeBytes),
      ]);
      print(table(['VERSION', 'TIME', 'PAGES', 'SIZE'], rows, [2, 3]));
    });
}

export function parseLimit(text: string): number {
  const limit = Number(text);
  if (!Number.isSafeInteger(limit) || limit < 1) throw new InvalidArgumentError('a positive number is needed.');
  return limit;
}
