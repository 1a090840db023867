// mvfuse ns list|create|stat: the namespaces of a store.

import { Command } from 'commander';
import type { NamespaceInfo } from '../store/types.js';
import { ZERO_VERSION } from '../version.js';
import { addServiceOptions, jsonOption, type ServiceOptions } from './options.js';
import { isoTime, print, printJson, table } from './output.js';
import { withService } from './store-access.js';

interface Options extends ServiceOptions {
  readonly json?: boolean;
}

export function namespacesCommand(): Command {
  const command = new Command('ns').description('list, create and look at namespaces');
  command.addCommand(
    subcommand('list', 'every namespace, by name').action(async (options: Options) => {
      const namespaces = await withService(options, (service) => service.listNamespaces());
      if (options.json) printJson(namespaces);
      else print(table(['NAME', 'VERSION', 'SIZE', 'COMMITTED'], namespaces.map(row), [2]));
    }),
  );
  command.addCommand(
    subcommand('create', 'make an empty namespace')
      .argument('<name>')
      .action(async (name: string, options: Options) => {
        const namespace = await withService(options, (service) => service.createNamespace(name));
        if (options.json) printJson(namespace);
        else print(`created ${namespace.name}`);
      }),
  );
  command.addCommand(
    subcommand('stat', 'one namespace')
      .argument('<name>')
      .action(async (name: string, options: Options) => {
        const namespace = await withService(options, (service) => service.statNamespace(name));
        if (options.json) printJson(namespace);
        else print(describe(namespace));
      }),
  );
  return command;
}

function subcommand(name: string, description: string): Command {
  return addServiceOptions(new Command(name).description(description)).addOption(jsonOption());
}

function row({ name, head }: NamespaceInfo): string[] {
  const never = head.version === ZERO_VERSION;
  return [name, never ? '-' : head.version, String(head.sizeBytes), never ? 'never' : isoTime(head.timeMs)];
}

function describe(namespace: NamespaceInfo): string {
  const { head } = namespace;
  const never = head.version === ZERO_VERSION;
  return [
    `name       ${namespace.name}`,
    `created    ${isoTime(namespace.createdMs)}`,
    `version    ${never ? '-' : head.version}`,
    `committed  ${never ? 'never' : isoTime(head.timeMs)}`,
    `size       ${head.sizeBytes} bytes`,
    `page size  ${never ? '-' : `${head.pageBytes} bytes`}`,
  ].join('\n');
}
