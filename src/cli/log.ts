// mvfuse log NS: the versions of a namespace, newest first.

import { Command, InvalidArgumentError } from 'commander';
import type { LogLine } from '../admin/store-service.js';
import { parseMoment } from '../moment.js';
import { addServiceOptions, jsonOption, type ServiceOptions } from './options.js';
import { describeRuns, isoTime, print, printJson, table } from './output.js';
import { withService } from './store-access.js';

interface Options extends ServiceOptions {
  readonly limit: number;
  readonly since?: string;
  readonly pages?: boolean;
  readonly json?: boolean;
}

const LIMIT_DEFAULT = 20;
/** Of each version, in the table; JSON has them all. */
const RUNS_SHOWN_MAX = 8;

const HELP = `
A moment is a version, a tag, a time (2026-11-20T10:00:00Z) or how long ago (-5m, -2h30m, -1d).

Examples:
  $ mvfuse log test
  $ mvfuse log test --since -1h --pages
  $ mvfuse log test --since before-upgrade --limit 1000
  $ mvfuse log test --limit 1 --json`;

export function logCommand(): Command {
  return addServiceOptions(new Command('log'))
    .description('list the versions of a namespace, newest first')
    .argument('<namespace>', 'its name')
    .option('--limit <n>', 'at most this many', parseLimit, LIMIT_DEFAULT)
    .option('--since <moment>', 'only those after it')
    .option('--pages', 'tell which pages each of them wrote')
    .addOption(jsonOption())
    .addHelpText('after', HELP)
    .action(async (namespace: string, { limit, since, pages, json, ...named }: Options) => {
      if (since !== undefined) parseMoment(since);
      const lines = await withService(named, (service) => service.log(namespace, { limit, since, pages }));
      if (json) printJson(lines);
      else print(describe(lines, pages === true));
    });
}

/** Tags, and the origins of what `mvfuse copy` and `apply` brought, have a column where there are any. */
function describe(lines: readonly LogLine[], withPages: boolean): string {
  const columns: Array<[title: string, cell: (line: LogLine) => string]> = [
    ['VERSION', ({ version }) => version],
    ['TIME', ({ timeMs }) => isoTime(timeMs)],
    ['PAGES', ({ pageCount }) => String(pageCount)],
    ['SIZE', ({ sizeBytes }) => String(sizeBytes)],
  ];
  if (lines.some(({ origin }) => origin !== undefined)) columns.push(['ORIGIN', ({ origin }) => origin ?? '-']);
  if (lines.some(({ tags }) => tags.length > 0)) columns.push(['TAGS', ({ tags }) => tags.join(', ') || '-']);
  if (withPages) columns.push(['WRITTEN', ({ pages }) => describePages(pages)]);
  const rows = lines.map((line) => columns.map(([, cell]) => cell(line)));
  return table(
    columns.map(([title]) => title),
    rows,
    [2, 3],
  );
}

function describePages(pages: LogLine['pages']): string {
  if (pages === undefined) return 'not listed: too many';
  return pages.length === 0 ? '-' : describeRuns(pages, RUNS_SHOWN_MAX);
}

export function parseLimit(text: string): number {
  const limit = Number(text);
  if (!Number.isSafeInteger(limit) || limit < 1) throw new InvalidArgumentError('a positive number is needed.');
  return limit;
}
