// mvfuse ns delete NAME: a namespace with all its versions, after a question; for a day it can be brought back.

import { createInterface } from 'node:readline/promises';
import { Command } from 'commander';
import type { StoreService } from '../admin/store-service.js';
import { isMvfuseError, MvfuseError } from '../errors.js';
import type { Head, NamespaceId } from '../store/types.js';
import { ZERO_VERSION } from '../version.js';
import { addServiceOptions, idOption, jsonOption, type ServiceOptions } from './options.js';
import { isoTime, print, printJson } from './output.js';
import { withService } from './store-access.js';
import { withWork } from './work.js';

interface Choice {
  readonly name: string;
  readonly id: NamespaceId | undefined;
  readonly purge: boolean;
  readonly force: boolean;
  readonly json: boolean;
}

interface Options extends ServiceOptions {
  readonly purge?: boolean;
  readonly force?: boolean;
  readonly id?: NamespaceId;
  readonly yes?: boolean;
  readonly json?: boolean;
}

const HELP = `
The name is free at once; whoever has it open goes on, and so do its forks. For 24 hours mvfuse ns undelete brings it back. Then
it is removed, once nobody reads it and it has no fork any more. One that is locked for maintenance is not deleted.

With --purge it is removed at once and for good, and its space is freed before the command ends; so is one that was deleted
before. That is refused while there are forks of it, and while somebody reads it unless with --force: those get an I/O error.

On a terminal it asks first; elsewhere --yes is needed.

Examples:
  $ mvfuse ns delete test
  $ mvfuse ns delete test --yes --json
  $ mvfuse ns delete test --purge --yes --force`;

export function deleteCommand(): Command {
  return addServiceOptions(new Command('delete'))
    .description('delete a namespace with all its versions; for a day it can be brought back')
    .argument('<name>')
    .option('--purge', 'at once and for good, also what was deleted before')
    .option('--force', 'with --purge: also while it is mounted or read')
    .addOption(idOption('which namespace is meant, also of those that were deleted by that name'))
    .option('--yes', 'do not ask')
    .addOption(jsonOption())
    .addHelpText('after', HELP)
    .action(async (name: string, { purge = false, force = false, id, yes, json = false, ...named }: Options) => {
      const choice = { name, id, purge, force, json };
      await withService(named, async (service) => {
        if (yes !== true) await confirm(service, choice);
        await (purge ? remove(service, choice) : drop(service, choice));
      });
    });
}

async function drop(service: StoreService, { name, id, json }: Choice): Promise<void> {
  const { id: found, droppedMs, removedAfterMs } = await service.deleteNamespace(name, { id });
  if (json) return printJson({ deleted: name, id: found, droppedMs, removedAfterMs });
  print(`deleted ${name}; until ${isoTime(removedAfterMs)} this brings it back: mvfuse ns undelete ${name}`);
}

async function remove(service: StoreService, { name, id, force, json }: Choice): Promise<void> {
  const message = 'broken off; what is left of the namespace is removed later';
  await withWork({ what: 'delete', unit: 'keys', message }, (work) =>
    service.purgeNamespace(name, { force, id, ...work }),
  );
  if (json) printJson({ purged: name });
  else print(`removed ${name} for good`);
}

/** @throws INVALID_ARGUMENT where nobody can be asked, CLOSED unless the answer is yes */
async function confirm(service: StoreService, choice: Choice): Promise<void> {
  const { name, purge } = choice;
  const head = await headOf(service, choice);
  if (!process.stdin.isTTY || !process.stderr.isTTY) {
    const what = `"${name}" would be deleted with all its versions${purge ? ', for good' : ''}`;
    throw new MvfuseError('INVALID_ARGUMENT', `${what}: --yes confirms it`);
  }
  const state =
    head.version === ZERO_VERSION ? 'empty' : `${head.sizeBytes} bytes, last written ${isoTime(head.timeMs)}`;
  const asking = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const how = purge ? ', at once and for good' : '';
    const answer = await asking.question(`Delete "${name}" (${state}) with all its versions${how}? [y/N] `);
    if (!/^y(es)?$/i.test(answer.trim())) throw new MvfuseError('CLOSED', 'nothing was deleted');
  } finally {
    asking.close();
  }
}

/** Of the one that is meant; what cannot be meant is refused when it is to be deleted. */
async function headOf(service: StoreService, { name, id, purge }: Choice): Promise<Head> {
  try {
    const found = await service.statNamespace(name);
    if (!purge || id === undefined || found.id === id) return found.head;
  } catch (error) {
    if (!purge || !isMvfuseError(error, 'NOT_FOUND')) throw error;
  }
  const deleted = await service.listDeleted(name);
  const found = deleted.find((one) => one.name === name && (id === undefined || one.id === id));
  if (found === undefined)
    throw new MvfuseError('NOT_FOUND', `there is no namespace "${name}", not even a deleted one`);
  return found.head;
}
