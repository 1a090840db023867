// mvfuse diff NS@a NS@b: the pages in which two versions differ, and what sqldiff makes of it.

import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Command } from 'commander';
import type { Difference, NamespaceMoment, StoreService } from '../admin/store-service.js';
import { parseTarget, spillDirectory } from '../config.js';
import type { Head } from '../store/types.js';
import { ZERO_VERSION } from '../version.js';
import { writeVersion } from './export.js';
import { addServiceOptions, jsonOption, type ServiceOptions } from './options.js';
import { counted, describeRuns, isoTime, print, toRuns } from './output.js';
import { isDatabase, type Statements, sqlDifference } from './sqldiff.js';
import { withService } from './store-access.js';
import { withWork } from './work.js';

interface Options extends ServiceOptions {
  readonly sql: boolean;
  readonly json?: boolean;
}

const HELP = `
Where sqldiff is installed (Debian: sqlite3-tools), the statements follow that make the first of the second; both versions are
written to temporary files for it. Its output is passed on as it comes.

Examples:
  $ mvfuse diff test@before-upgrade test
  $ mvfuse diff test@-1h test --no-sql
  $ mvfuse diff test@v1 experiment --json`;

export function diffCommand(): Command {
  return addServiceOptions(new Command('diff'))
    .description('show in which pages, and rows, two versions differ')
    .argument('<from[@moment]>', 'a version of a namespace')
    .argument('<to[@moment]>', 'another one, of the same namespace or not')
    .option('--no-sql', 'only the pages')
    .addOption(jsonOption())
    .addHelpText('after', HELP)
    .action(async (first: string, second: string, options: Options) => {
      const [from, to] = [parseTarget(first), parseTarget(second)];
      const work = { what: 'diff', unit: 'pages', message: 'broken off' };
      await withWork(work, async ({ onProgress, signal }) => {
        const report = options.json ? jsonReport(from, to) : textReport(from, to);
        await withService(options, async (service) => {
          const difference = await service.diff(from, to, { ...(onProgress && { onProgress }), signal: signal! });
          report.pages(difference);
          if (!options.sql) return report.end();
          await withStatements(service, [from, to], difference, signal!, (statements) => report.sql(statements));
        });
      });
    });
}

/** The statements, or why there are none; what was written for them is removed, whatever happens. */
async function withStatements(
  service: StoreService,
  [from, to]: readonly [NamespaceMoment, NamespaceMoment],
  difference: Difference,
  signal: AbortSignal,
  use: (statements: Statements) => Promise<void>,
): Promise<void> {
  if (difference.pages.length === 0) return use({ missing: 'the versions are the same' });
  const directory = await mkdtemp(join(spillDirectory(), 'mvfuse-diff-'));
  try {
    // By version: a moment may be another one by now.
    const write = (name: string, { namespace }: NamespaceMoment, { version }: Head): Promise<string> => {
      return writeFile(service, join(directory, name), namespace, version, signal);
    };
    const files = [await write('from.db', from, difference.from), await write('to.db', to, difference.to)] as const;
    if (!(await isDatabase(files[0])) || !(await isDatabase(files[1])))
      return await use({ missing: 'not both of them are SQLite databases' });
    await use(await sqlDifference(files, signal));
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function writeFile(
  service: StoreService,
  file: string,
  namespace: string,
  version: string,
  signal: AbortSignal,
): Promise<string> {
  const content = await service.exportVersion(namespace, version);
  await writeVersion(content, file, signal);
  return file;
}

interface Report {
  pages(difference: Difference): void;
  sql(statements: Statements): Promise<void>;
  end(): void;
}

function textReport(from: NamespaceMoment, to: NamespaceMoment): Report {
  return {
    pages: (difference) => {
      const { pages } = difference;
      print(`from  ${describeSide(from.namespace, difference.from)}`);
      print(`to    ${describeSide(to.namespace, difference.to)}`);
      const differ = pages.length === 1 ? 'differs' : 'differ';
      print(
        pages.length === 0 ? 'no page differs' : `${counted(pages.length, 'page')} ${differ}: ${describeRuns(pages)}`,
      );
    },
    sql: async (statements) => {
      if ('missing' in statements) return void process.stderr.write(`mvfuse: no statements: ${statements.missing}\n`);
      print('');
      for await (const piece of statements.text) await write(piece);
    },
    end: () => {},
  };
}

/** One object, the statements of which are written as they come. */
function jsonReport(from: NamespaceMoment, to: NamespaceMoment): Report {
  return {
    pages: (difference) => {
      const side = ({ namespace }: NamespaceMoment, head: Head) => ({ namespace, ...head });
      const report = {
        from: side(from, difference.from),
        to: side(to, difference.to),
        pageCount: difference.pages.length,
        /** First and last of each run. */
        pages: toRuns(difference.pages),
      };
      process.stdout.write(JSON.stringify(report, null, 2).slice(0, -2));
    },
    sql: async (statements) => {
      if ('missing' in statements)
        return print(`,\n  "sql": null,\n  "sqlMissing": ${JSON.stringify(statements.missing)}\n}`);
      process.stdout.write(',\n  "sql": "');
      try {
        for await (const piece of statements.text) await write(JSON.stringify(piece).slice(1, -1));
        print('"\n}');
      } catch (error) {
        print(`",\n  "sqlError": ${JSON.stringify((error as Error).message)}\n}`);
        throw error;
      }
    },
    end: () => print('\n}'),
  };
}

/** Waits until standard output takes more. */
async function write(text: string): Promise<void> {
  if (process.stdout.destroyed) return;
  await new Promise<void>((resolve) => process.stdout.write(text, () => resolve()));
}

function describeSide(namespace: string, { version, timeMs, sizeBytes }: Head): string {
  if (version === ZERO_VERSION) return `${namespace}, before its first version`;
  return `${namespace}@${version}  ${isoTime(timeMs)}  ${sizeBytes} bytes`;
}
