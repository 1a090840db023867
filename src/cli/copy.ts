// mvfuse copy SOURCE TARGET [NS…]: namespaces with their history from one store into another.

import { existsSync } from 'node:fs';
import { Command } from 'commander';
import { type CopyPlan, copyNamespace, planCopy } from '../admin/copy.js';
import { type VersionRange, versionRange } from '../admin/history.js';
import { verifyCopy } from '../admin/verify-copy.js';
import { isMvfuseError, MvfuseError } from '../errors.js';
import { storeDirectory } from '../kv/open.js';
import type { PageStore } from '../store/page-store.js';
import { jsonOption } from './options.js';
import { print, printJson } from './output.js';
import { startProgress } from './progress.js';
import { openStore } from './store-access.js';
import { interruption } from './work.js';

interface Options {
  readonly as?: string;
  readonly verify: boolean;
  readonly json?: boolean;
}

interface Result {
  readonly namespace: string;
  readonly targetNamespace: string;
  readonly copiedVersions: number;
  /** Those that the target had before. */
  readonly presentVersions: number;
  /** Bytes of page images written. */
  readonly copiedBytes: number;
  readonly source: VersionRange;
  readonly target: VersionRange;
  readonly verified: boolean;
}

const HELP = `
Each version becomes a commit of the target with the same content, size and time. Versions are numbered by the store that
commits them, so the target's differ; \`mvfuse log\` shows the source's as ORIGIN. A version that several databases share
becomes one for each of them.

The copy ends with the versions that were the newest when it began. Run again, it goes on after what the target has: after
it was broken off in any way, and to catch up with a source that has moved on. So a store moves with a short stop: copy
while it is in use (if it may be opened by several processes), stop its writers, copy again, start them on the target.
A namespace of the target that is no beginning of the source's history is refused; --as gives the copy another name.

A sqlite: store belongs to one process: end the daemon that has it mounted first.

The verification compares every version byte for byte, those of earlier runs too, and ends with status 9 at the first
difference. SIGINT and SIGTERM end a copy with status 11.

Examples:
  $ mvfuse copy sqlite:/var/lib/mvfuse sqlite:/mnt/new/store
  $ mvfuse copy sqlite:old sqlite:new app users --no-verify
  $ mvfuse copy sqlite:old sqlite:new app --as app-2026 --json`;

export function copyCommand(): Command {
  return new Command('copy')
    .description('copy namespaces with their history into another store')
    .argument('<source>', 'URL of a store: sqlite:<directory>')
    .argument('<target>', 'URL of another one, made if it does not exist')
    .argument('[namespaces...]', 'all of them unless some are named')
    .option('--as <name>', 'the name of the copy, when one namespace is named')
    .option('--no-verify', 'do not read both stores again and compare them')
    .addOption(jsonOption())
    .addHelpText('after', HELP)
    .action(async (source: string, target: string, namespaces: string[], options: Options) => {
      validate(source, target, namespaces, options);
      const signal = interruption('broken off: the same command goes on from here');
      const results = await withStore('source', source, async (from) => {
        const names = await chooseNamespaces(from, namespaces);
        return withStore('target', target, (to) => copyAll(from, to, names, options, signal));
      });
      if (options.json) printJson({ source, target, namespaces: results });
      else print(results.length === 0 ? 'the source has no namespaces' : results.map(describe).join('\n'));
    });
}

function validate(source: string, target: string, namespaces: readonly string[], { as }: Options): void {
  const invalid = (message: string) => new MvfuseError('INVALID_ARGUMENT', message);
  const directory = storeDirectory(source);
  if ((directory ?? source) === (storeDirectory(target) ?? target))
    throw invalid('source and target are the same store');
  if (new Set(namespaces).size < namespaces.length) throw invalid('a namespace is named twice');
  if (as !== undefined && namespaces.length !== 1) throw invalid('--as needs exactly one namespace');
  // It would be made, and then be found empty.
  if (directory !== undefined && !existsSync(directory)) {
    throw new MvfuseError('NOT_FOUND', `there is no store ${source}`);
  }
}

/** Without a page cache: every page is read once, and the verification wants what is stored. */
async function withStore<T>(side: string, url: string, use: (store: PageStore) => Promise<T>): Promise<T> {
  const store = await openStore(url, { cacheBytesMax: 0 }).catch((error: unknown) => {
    if (!isMvfuseError(error, 'STORE_OWNED')) throw error;
    const message = `the ${side} cannot be opened: ${error.message}, which must be stopped first`;
    throw new MvfuseError('STORE_OWNED', message, { cause: error });
  });
  try {
    return await use(store);
  } finally {
    await store.close();
  }
}

/** @throws NOT_FOUND */
async function chooseNamespaces(source: PageStore, named: readonly string[]): Promise<string[]> {
  if (named.length === 0) return (await source.listNamespaces()).map(({ name }) => name);
  return Promise.all(named.map(async (name) => (await source.statNamespace(name)).name));
}

/** Nothing is written before all of them may be. */
async function copyAll(
  source: PageStore,
  target: PageStore,
  names: readonly string[],
  options: Options,
  signal: AbortSignal,
): Promise<Result[]> {
  const plans: CopyPlan[] = [];
  for (const namespace of names) {
    plans.push(await planCopy({ source, namespace, target, targetNamespace: options.as ?? namespace }));
  }
  const results: Result[] = [];
  for (const plan of plans) results.push(await copyOne(plan, options, signal));
  return results;
}

async function copyOne(plan: CopyPlan, { verify }: Options, signal: AbortSignal): Promise<Result> {
  const { source, from, target, namespace, targetNamespace, presentVersions, missingBytes, totalBytes } = plan;
  const withBar = async <T>(what: string, bytes: number, work: (advance: (bytes: number) => void) => Promise<T>) => {
    const progress = startProgress(`${what} ${namespace}`, bytes);
    return work(progress.advance).finally(progress.stop);
  };
  const { to, versions, bytes } = await withBar('copy', missingBytes, (advance) => {
    return copyNamespace(plan, { advance, signal });
  });
  if (verify) {
    await withBar('verify', totalBytes + from.head.sizeBytes, (advance) => verifyCopy(plan, to, { advance, signal }));
  }
  return {
    namespace,
    targetNamespace,
    copiedVersions: versions,
    presentVersions,
    copiedBytes: bytes,
    source: await versionRange(source, from),
    target: await versionRange(target, to),
    verified: verify,
  };
}

function describe(result: Result): string {
  const { namespace, targetNamespace, copiedVersions, presentVersions, copiedBytes, source, target } = result;
  const name = namespace === targetNamespace ? namespace : `${namespace} as ${targetNamespace}`;
  const present = presentVersions === 0 ? '' : `, ${presentVersions} were there already`;
  const newest = source.last === null ? '' : `; newest ${source.last}, there ${target.last}`;
  const verified = result.verified ? 'verified' : 'not verified';
  return `${name}: ${copiedVersions} versions copied (${copiedBytes} bytes)${present}; ${verified}${newest}`;
}
