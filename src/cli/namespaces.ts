// mvfuse ns list|create|stat|rename: the namespaces of a store. The rest of `ns` is in files of its own.

import { Command } from 'commander';
import { validateNamespaceName } from '../store/namespace-name.js';
import type { DroppedNamespace, NamespaceInfo } from '../store/types.js';
import { ZERO_VERSION } from '../version.js';
import { proofCommand } from './access-proof.js';
import { deleteCommand } from './delete-namespace.js';
import { describeNamespace } from './describe-namespace.js';
import { settingsCommand } from './namespace-settings.js';
import { addServiceOptions, jsonOption, type ServiceOptions } from './options.js';
import { isoTime, print, printJson, table } from './output.js';
import { withService } from './store-access.js';
import { undeleteCommand } from './undelete-namespace.js';

interface Options extends ServiceOptions {
  readonly json?: boolean;
}

export function namespacesCommand(): Command {
  return new Command('ns')
    .description('list, create, look at, change and delete namespaces')
    .addCommand(listCommand())
    .addCommand(createCommand())
    .addCommand(statCommand())
    .addCommand(renameCommand())
    .addCommand(deleteCommand())
    .addCommand(undeleteCommand())
    .addCommand(settingsCommand())
    .addCommand(proofCommand());
}

function listCommand(): Command {
  return subcommand('list', 'every namespace, by name', [
    'mvfuse ns list',
    'mvfuse ns list --prefix app- --json',
    'mvfuse ns list --deleted',
  ])
    .option('--prefix <prefix>', 'only those whose names begin with it')
    .option('--deleted', 'those that were deleted and can be brought back, the last one first')
    .action(async ({ json, prefix, deleted, ...named }: Options & { prefix?: string; deleted?: boolean }) => {
      if (deleted === true) {
        const found = await withService(named, (service) => service.listDeleted(prefix));
        if (json) printJson(found);
        else print(table(['NAME', 'ID', 'SIZE', 'DELETED', 'KEPT UNTIL'], found.map(deletedRow), [1, 2]));
        return;
      }
      const namespaces = await withService(named, (service) => service.listNamespaces(prefix));
      if (json) printJson(namespaces);
      else print(table(['NAME', 'VERSION', 'SIZE', 'COMMITTED'], namespaces.map(row), [2]));
    });
}

function createCommand(): Command {
  const proof = `
A name that ends in ":" and 64 hex digits carries an access proof (see mvfuse ns proof): a mount of it must present the secret.`;
  return subcommand('create', 'make an empty namespace', [
    'mvfuse ns create test',
    'mvfuse ns create "test:$(mvfuse ns proof secret.txt)"',
  ])
    .argument('<name>')
    .addHelpText('after', proof)
    .action(async (name: string, { json, ...named }: Options) => {
      const namespace = await withService(named, (service) => service.createNamespace(name));
      if (json) printJson(namespace);
      else print(`created ${namespace.name}`);
    });
}

function statCommand(): Command {
  return subcommand('stat', 'one namespace: its newest version, what is kept of it and why', [
    'mvfuse ns stat test',
    'mvfuse ns stat test --json',
  ])
    .argument('<name>')
    .action(async (name: string, { json, ...named }: Options) => {
      await withService(named, async (service) => {
        const details = await service.statNamespace(name);
        if (json) printJson(details);
        else print(await describeNamespace(service, details));
      });
    });
}

function renameCommand(): Command {
  return subcommand('rename', 'give a namespace another name; mounts that have it go on', [
    'mvfuse ns rename test test-2026',
  ])
    .argument('<old>')
    .argument('<new>', 'must not exist')
    .action(async (name: string, newName: string, { json, ...named }: Options) => {
      validateNamespaceName(newName);
      const namespace = await withService(named, (service) => service.renameNamespace(name, newName));
      if (json) printJson(namespace);
      else print(`${name} is ${namespace.name} now`);
    });
}

function subcommand(name: string, description: string, examples: readonly string[]): Command {
  return addServiceOptions(new Command(name))
    .description(description)
    .addOption(jsonOption())
    .addHelpText('after', `\nExamples:\n${examples.map((example) => `  $ ${example}`).join('\n')}`);
}

function deletedRow({ name, id, head, droppedMs, removedAfterMs }: DroppedNamespace): string[] {
  return [name, String(id), String(head.sizeBytes), isoTime(droppedMs), isoTime(removedAfterMs)];
}

function row({ name, head }: NamespaceInfo): string[] {
  const never = head.version === ZERO_VERSION;
  return [name, never ? '-' : head.version, String(head.sizeBytes), never ? 'never' : isoTime(head.timeMs)];
}
