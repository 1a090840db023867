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
