// Where a benchmark runs: a mount of its own, or a directory on the same disk. Both run the same client program.

import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { TestMount } from '../test/support/mounted.js';

const CLIENT = fileURLToPath(new URL('../../bench/client.py', import.meta.url));
const execute = promisify(execFile);

export interface Side {
  /** The path of the nth database. */
  path(index: number): string;
  /** Makes the nth database a copy of a local file. */
  load(index: number, source: string): Promise<void>;
  close(): Promise<void>;
}

/** A directory of plain files. */
export function localSide(directory: string): Side {
  mkdirSync(directory, { recursive: true });
  const path = (index: number): string => join(directory, `db${index}`);
  return {
    path,
    load: async (index, source) => cpSync(source, path(index)),
    close: async () => rmSync(directory, { recursive: true, force: true }),
  };
}

/** A mount of `count` namespaces on an embedded store in `base`. */
export async function mountedSide(base: string, count: number): Promise<Side & { readonly mount: TestMount }> {
  const namespaces = Array.from({ length: count }, (_, index) => `db${index}=n${index}`).join(',');
  const mount = await TestMount.start({ base, namespaces }, ['--log-level', 'warn']);
  return {
    mount,
    path: (index) => mount.path(`db${index}`),
    load: async (index, source) => {
      await execute('cp', [source, mount.path(`db${index}`)]);
    },
    close: () => mount.remove(),
  };
}

export interface MeasureOptions {
  /** Where a backup goes. */
  readonly target?: string;
  /** Clients with the same moment (ms since 1970) begin together, set-up aside. */
  readonly startMs?: number;
}

/** Runs one workload to its end; the seconds that it took, set-up aside. */
export async function measure(
  workload: string,
  path: string,
  count: number,
  { target, startMs }: MeasureOptions = {},
): Promise<number> {
  const env = {
    ...process.env,
    ...(target === undefined ? {} : { BENCH_TARGET: target }),
    ...(startMs === undefined ? {} : { BENCH_START: String(startMs / 1000) }),
  };
  const { stdout } = await execute('python3', [CLIENT, workload, path, String(count)], { env });
  return Number(stdout);
}
