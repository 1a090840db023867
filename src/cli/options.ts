// The options that several commands share, each with its environment variable.

import { Option } from 'commander';
import { defaultStoreUrl } from '../config.js';

export function storeOption(): Option {
  return new Option('--store <url>', 'where the data is: sqlite:<directory> or memory:')
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
