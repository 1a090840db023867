// mvfuse log NS: the versions of a namespace, newest first.

import { Command, InvalidArgumentError } from 'commander';
import type { LogEntry } from '../store/types.js';
import { addServiceOptions, jsonOption, type ServiceOptions } from './options.js';
import { isoTime, print, printJson, table } from './output.js';
import { withService } from './store-access.js';

const LIMIT_DEFAULT = 20;

export function logCommand(): Command {
  const command = new Command('log')
    .description('list the versions of a namespace, newest first')
    .argument('<namespace>', 'its name')
    .option('--limit <n>', 'at most this many', parseLimit, LIMIT_DEFAULT);
  return addServiceOptions(command)
    .addOption(jsonOption())
    .addHelpText('after', '\nExamples:\n  $ mvfuse log test\n  $ mvfuse log test --limit 1 --json')
    .action(async (namespace: string, options: ServiceOptions & { limit: number; json?: boolean }) => {
      const { limit } = options;
      const entries = await withService(options, (service) => service.log(namespace, { limit }));
      if (options.json) {
        printJson(entries);
        return;
      }
      print(describe(entries));
    });
}

/** The origins have a column where there are any: in what `mvfuse copy` brought. */
function describe(entries: readonly LogEntry[]): string {
  const header = ['VERSION', 'TIME', 'PAGES', 'SIZE'];
  const row = ({ version, timeMs, pageCount, sizeBytes }: LogEntry): string[] => {
    return [version, isoTime(timeMs), String(pageCount), String(sizeBytes)];
  };
  if (!entries.some(({ origin }) => origin !== undefined)) return table(header, entries.map(row), [2, 3]);
  return table(
    [...header, 'ORIGIN'],
    entries.map((entry) => [...row(entry), entry.origin ?? '-']),
    [2, 3],
  );
}

export function parseLimit(text: string): number {
  const limit = Number(text);
  if (!Number.isSafeInteger(limit) || limit < 1) throw new InvalidArgumentError('a positive number is needed.');
  return limit;
}
