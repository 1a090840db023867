// mvfuse tag add|list|rm: names for versions. A version that has one is kept.

import { Command } from 'commander';
import { parseTarget } from '../config.js';
import { validateTagName } from '../moment.js';
import { addServiceOptions, jsonOption, type ServiceOptions } from './options.js';
import { isoTime, print, printJson, table } from './output.js';
import { withService } from './store-access.js';

interface Options extends ServiceOptions {
  readonly json?: boolean;
}

export function tagCommand(): Command {
  return new Command('tag')
    .description('name versions, which keeps them from being removed')
    .addCommand(addCommand())
    .addCommand(listCommand())
    .addCommand(removeCommand());
}

function addCommand(): Command {
  return subcommand('add', 'name a version', [
    'mvfuse tag add test before-upgrade',
    'mvfuse tag add test@-1h known-good',
    'mvfuse tag add test nightly --move',
    'sqlite3 dbs/mydb@before-upgrade .dump',
  ])
    .argument('<namespace[@moment]>', 'the newest version unless one is named')
    .argument('<name>', 'begins with a letter')
    .option('--move', 'take the name from the version that has it')
    .action(async (target: string, name: string, { json, move, ...named }: Options & { move?: boolean }) => {
      const { namespace, moment } = parseTarget(target);
      validateTagName(name);
      const options = move === undefined ? {} : { move };
      const tag = await withService(named, (service) => service.addTag(namespace, name, moment, options));
      if (json) printJson({ namespace, ...tag });
      else print(`${namespace}@${tag.name} is version ${tag.version}`);
    });
}

function listCommand(): Command {
  return subcommand('list', 'the tags of a namespace, by name', ['mvfuse tag list test --json'])
    .argument('<namespace>')
    .action(async (namespace: string, { json, ...named }: Options) => {
      const tags = await withService(named, (service) => service.listTags(namespace));
      const rows = tags.map(({ name, version, createdMs }) => [name, version, isoTime(createdMs)]);
      if (json) printJson(tags);
      else print(table(['NAME', 'VERSION', 'TAGGED'], rows, []));
    });
}

function removeCommand(): Command {
  return subcommand('rm', 'take a name away; the version stays as long as anything else keeps it', [
    'mvfuse tag rm test before-upgrade',
  ])
    .argument('<namespace>')
    .argument('<name>')
    .action(async (namespace: string, name: string, { json, ...named }: Options) => {
      await withService(named, (service) => service.removeTag(namespace, name));
      if (json) printJson({ namespace, removed: name });
      else print(`${namespace} has no tag ${name} any more`);
    });
}

function subcommand(name: string, description: string, examples: readonly string[]): Command {
  return addServiceOptions(new Command(name))
    .description(description)
    .addOption(jsonOption())
    .addHelpText('after', `\nExamples:\n${examples.map((example) => `  $ ${example}`).join('\n')}`);
}
