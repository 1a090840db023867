// The options that several commands share, each with its environment variable.

import { type Command, InvalidArgumentError, Option } from 'commander';
import { defaultStoreUrl, parseCount } from '../config.js';
import { MvfuseError } from '../errors.js';
import { NAMESPACE_ID_MAX } from '../limits.js';
import type { NamespaceId } from '../store/types.js';

/** Which store a command works on, and by way of which daemon. */
export interface ServiceOptions {
  readonly store: string;
  /** The API of the daemon whose store it is. */
  readonly api?: string;
  readonly apiTokenFile?: string;
}

/** --store, --api and --api-token-file: for commands that call withService (store-access.ts). */
export function addServiceOptions(command: Command): Command {
  return command
    .addOption(storeOption())
    .addOption(
      new Option('--api <url>', 'work through the daemon there, on its store: unix:<path> or http://<host>:<port>').env(
        'MVFUSE_API',
      ),
    )
    .addOption(
      new Option('--api-token-file <file>', 'holds the token that the daemon wants over TCP').env(
        'MVFUSE_API_TOKEN_FILE',
      ),
    );
}

/** A flag counts for more than a variable: which of --api and --store is meant. @throws INVALID_ARGUMENT for both */
export function chooseService(command: Command): void {
  const isFlag = (name: string): boolean => command.getOptionValueSource(name) === 'cli';
  if (command.getOptionValue('api') === undefined || !isFlag('store')) return;
  if (isFlag('api')) {
    const message = '--api and --store exclude each other: the daemon there has its own store';
    throw new MvfuseError('INVALID_ARGUMENT', message);
  }
  command.setOptionValue('api', undefined);
}

export function storeOption(): Option {
  return new Option('--store <url>', 'where the data is: sqlite:<directory>, fdb:<cluster file> or memory:')
    .env('MVFUSE_STORE')
    .default(defaultStoreUrl(), defaultStoreUrl());
}

/** A namespace by its id, where a name is not enough. */
export function idOption(description: string): Option {
  return new Option('--id <id>', description).argParser(
    checked((text) => parseCount(text, { min: 1, max: NAMESPACE_ID_MAX }) as NamespaceId),
  );
}

export function jsonOption(): Option {
  return new Option('--json', 'print JSON, for scripts');
}

/** A switch that an environment variable can turn on; 0, false, no and off leave it as it is. */
export function switchOption(flags: string, description: string, variable: string): Option {
  const option = new Option(flags, description);
  if (/^(|0|false|no|off)$/i.test(process.env[variable] ?? '')) {
    option.description = `${description} (env: ${variable})`;
    return option;
  }
  return option.env(variable);
}

/**
 * An option with a value that `parse` checks; what it throws is the reason that the user is told.
 * @param value `default` and how it is `shown`; without them the option may be left out
 */
export function parsedOption<T>(
  flags: string,
  description: string,
  variable: string,
  value: { readonly parse: (text: string) => T; readonly default?: T; readonly shown?: string },
): Option {
  const option = new Option(flags, description).env(variable).argParser(checked(value.parse));
  return value.default === undefined ? option : option.default(value.default, value.shown);
}

/** What `parse` throws becomes the reason that the user is told. */
export function checked<T>(parse: (text: string) => T): (text: string) => T {
  return (text) => {
    try {
      return parse(text);
    } catch (error) {
      throw new InvalidArgumentError((error as Error).message);
    }
  };
}
