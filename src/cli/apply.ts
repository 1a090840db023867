// mvfuse apply FILE NS: the versions of a change file become versions of a namespace.

import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { Command } from 'commander';
import type { AppliedChanges } from '../admin/apply-changes.js';
import { MvfuseError } from '../errors.js';
import { validateNamespaceName } from '../store/namespace-name.js';
import { addServiceOptions, jsonOption, type ServiceOptions } from './options.js';
import { counted, print, printJson } from './output.js';
import { withProgress } from './progress.js';
import { withService } from './store-access.js';
import { interruption } from './work.js';

const STANDARD_INPUT = '-';

const HELP = `
Each version is committed when all of it was read and its checksum was right, with the time that it has in its own store;
mvfuse log shows its number there as ORIGIN. Broken off by anything, it goes on from there when the same file is applied again;
what is there already is only verified. A file that does not fit what the namespace has is refused: a link of the chain that is
missing, another history, versions of its own. Readers see each version as any other commit; nobody else may write the namespace.

A damaged file ends it with status 9, after the last version that was right.

Examples:
  $ mvfuse apply test.0001 test
  $ mvfuse apply test.0002 test
  $ ssh other mvfuse export test --since <version> - | mvfuse apply - test`;

export function applyCommand(): Command {
  return addServiceOptions(new Command('apply'))
    .description('replay a change file of mvfuse export --since onto a namespace')
    .argument('<file>', '- is standard input')
    .argument('<namespace>', 'made when the file begins a chain')
    .addOption(jsonOption())
    .addHelpText('after', HELP)
    .action(async (file: string, namespace: string, { json, ...named }: ServiceOptions & { json?: boolean }) => {
      validateNamespaceName(namespace);
      const bytes = await openFile(file);
      const signal = interruption('broken off: the same command goes on from here');
      const applied = await withService(named, (service) => service.applyChanges(namespace, bytes, { signal }));
      if (json) printJson(applied);
      else print(describe(applied));
    });
}

/** @throws NOT_FOUND, INVALID_ARGUMENT */
async function openFile(file: string): Promise<AsyncIterable<Uint8Array>> {
  if (file === STANDARD_INPUT) {
    if (process.stdin.isTTY)
      throw new MvfuseError('INVALID_ARGUMENT', 'standard input is a terminal: pipe a change file into it');
    return withProgress('apply', 0, process.stdin);
  }
  const found = await stat(file).catch((cause: NodeJS.ErrnoException) => {
    throw new MvfuseError('NOT_FOUND', `${file} cannot be read: ${cause.code}`, { cause });
  });
  if (found.isDirectory()) throw new MvfuseError('INVALID_ARGUMENT', `${file} is a directory, not a change file`);
  return withProgress('apply', found.size, createReadStream(file, { highWaterMark: 1024 * 1024 }));
}

function describe({ namespace, created, appliedVersions, presentVersions, bytes, to, head }: AppliedChanges): string {
  const present = presentVersions === 0 ? '' : `, ${presentVersions} were there already`;
  const name = created ? `${namespace} (new)` : namespace;
  return `${name}: ${counted(appliedVersions, 'version')} applied (${bytes} bytes)${present}; newest ${to}, here ${head.version}`;
}
