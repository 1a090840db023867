// mvfuse lock and unlock: one owner writes a namespace, while everybody else reads one version of it.

import { Command } from 'commander';
import { MvfuseError } from '../errors.js';
import { parseMoment } from '../moment.js';
import { LOCK_PREFIX, validateOwner } from '../store/maintenance-lock.js';
import { addServiceOptions, jsonOption, type ServiceOptions } from './options.js';
import { isoTime, print, printJson } from './output.js';
import { withService } from './store-access.js';

interface Options extends ServiceOptions {
  readonly owner: string;
  readonly json?: boolean;
}

const LOCK_HELP = `
While a namespace is locked, its owner alone writes it, by a name of its own: in any mount of it that is <file>@lock:<owner>.
All others read the version it was locked at, and get SQLITE_BUSY when they write. The same owner may lock it again, which
changes nothing; mvfuse unlock ends it.

Examples:
  $ mvfuse lock test --owner upgrade
  $ sqlite3 dbs/mydb@lock:upgrade < upgrade.sql
  $ mvfuse unlock test --owner upgrade --commit`;

export function lockCommand(): Command {
  return addServiceOptions(new Command('lock'))
    .description('lock a namespace for maintenance: its owner writes, all others read one version')
    .argument('<namespace>')
    .requiredOption('--owner <name>', 'who writes meanwhile')
    .option('--at <moment>', 'what the others read: a version, a tag, a time or how long ago', 'latest')
    .addOption(jsonOption())
    .addHelpText('after', LOCK_HELP)
    .action(async (namespace: string, { owner, at, json, ...named }: Options & { at: string }) => {
      validateOwner(owner);
      parseMoment(at);
      const lock = await withService(named, (service) => service.lock(namespace, owner, at));
      if (json) return printJson({ namespace, ...lock });
      print(`${namespace}: locked by ${lock.owner} since ${isoTime(lock.sinceMs)}; all others read ${lock.version}`);
      print(
        `${owner} writes it as <file>${suffix(owner)} in any mount of it, or --namespaces file=${namespace}${suffix(owner)}`,
      );
    });
}

function suffix(owner: string): string {
  return `@${LOCK_PREFIX}${owner}`;
}

const UNLOCK_HELP = `
With --commit everybody sees what the owner has written; with --rollback the namespace is as it was when it was locked, and what
was written meanwhile stays in its history.

Examples:
  $ mvfuse unlock test --owner upgrade --commit
  $ mvfuse unlock test --owner upgrade --rollback`;

export function unlockCommand(): Command {
  return addServiceOptions(new Command('unlock'))
    .description('end a maintenance lock')
    .argument('<namespace>')
    .requiredOption('--owner <name>', 'who has it')
    .option('--commit', 'keep what the owner has written')
    .option('--rollback', 'go back to what it was when it was locked')
    .addOption(jsonOption())
    .addHelpText('after', UNLOCK_HELP)
    .action(
      async (
        namespace: string,
        { owner, commit, rollback, json, ...named }: Options & { commit?: boolean; rollback?: boolean },
      ) => {
        if ((commit === true) === (rollback === true))
          throw new MvfuseError('INVALID_ARGUMENT', 'what becomes of what was written? --commit or --rollback says it');
        const how = commit === true ? 'commit' : 'rollback';
        const head = await withService(named, (service) => service.unlock(namespace, owner, how));
        if (json) printJson({ namespace, how, head });
        else print(`${namespace}: unlocked (${how}); the newest version is ${head.version}`);
      },
    );
}
