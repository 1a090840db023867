// The options that several commands share, each with its environment variable.

import { InvalidArgumentError, Option } from 'commander';
import { defaultStoreUrl } from '../config.js';

export function storeOption(): Option {
  return new Option('--store <url>', 'where the data is: sqlite:<directory>, fdb:<cluster file> or memory:')
    .env('MVFUSE_STORE')
    .default(defaultStoreUrl(), defaultStoreUrl());
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
  const parse = (text: string): T => {
    try {
      return value.parse(text);
    } catch (error) {
      throw new InvalidArgumentError((error as Error).message);
    }
  };
  const option = new Option(flags, description).env(variable).argParser(parse);
  return value.default === undefined ? option : option.default(value.default, value.shown);
}
