// The interposer (store-interposer.c): compiled when it is first needed, preloaded into a process that owns a store. It
// writes down what reaches the store's files and /dev/fuse, in one order, and lets syncs and writes fail on demand.
//
// One Interposer serves one process: the record begins with what that process did to the store first.

import { closeSync, existsSync, mkdtempSync, openSync, readSync, realpathSync, rmSync, writeSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { run } from './client.js';
import { readTrace, type StoreFile, type TraceEvent } from './store-trace.js';

// C stays in the source tree: dist/test/support → test/support.
const SOURCE = fileURLToPath(new URL('../../../test/support/store-interposer.c', import.meta.url));

/** As in store-interposer.h. */
const FAULTS = [
  'syncLeft',
  'syncErrno',
  'syncFiles',
  'writeLeft',
  'writeErrno',
  'writeFiles',
  'writeShort',
  'sticky',
  'syncDelayUs',
  'syncsFailed',
  'writesFailed',
] as const;
type Field = (typeof FAULTS)[number];

const FILE_BITS: Record<StoreFile, number> = { data: 1 << 1, wal: 1 << 2, journal: 1 << 3, directory: 1 << 4 };

export interface Fault {
  /** The how manieth call from now, 1 or more. */
  readonly nth: number;
  readonly files: readonly StoreFile[];
  /** 'EIO', 'ENOSPC': what the call fails with. Left out for a write that is only cut short. */
  readonly error?: 'EIO' | 'ENOSPC' | 'EDQUOT';
  /** For a write: half of it is written and counted first; the error comes at the next write. */
  readonly short?: boolean;
  /** All later calls fail too, until `clear`. */
  readonly sticky?: boolean;
}

let library: Promise<string> | undefined;
let built: string | undefined;
process.once('exit', () => {
  if (built !== undefined) rmSync(built, { recursive: true, force: true });
});

/** One build for each test process, in a directory of its own. */
async function build(): Promise<string> {
  built = mkdtempSync(join(tmpdir(), 'mvfuse-interposer-'));
  const target = join(built, 'interposer.so');
  const flags = ['-shared', '-fPIC', '-O1', '-Wall', '-Wextra', '-Werror'];
  const { status, stderr } = await run('cc', [...flags, '-o', target, SOURCE, '-ldl', '-lpthread']);
  if (status !== 0) throw new Error(`cc ended with ${status}: ${stderr}`);
  return target;
}

export class Interposer {
  /** What the observed process must be started with. */
  readonly environment: NodeJS.ProcessEnv;
  /** The process writes a line here to have it in the record. */
  readonly notesPath: string;
  readonly #record: string;
  readonly #faults: number;

  private constructor(store: string, preloaded: string, prefix: string) {
    this.#record = `${prefix}record`;
    this.notesPath = `${this.#record}.notes`;
    const faults = `${prefix}faults`;
    this.#faults = openSync(faults, 'w+');
    writeSync(this.#faults, Buffer.alloc(8 * FAULTS.length));
    this.environment = {
      ...process.env,
      LD_PRELOAD: preloaded,
      MVFUSE_TEST_STORE: store,
      MVFUSE_TEST_RECORD: this.#record,
      MVFUSE_TEST_FAULTS: faults,
    };
  }

  /** For the store `base`/store; the record and what else it needs lie in `base`, their names beginning with `name`. */
  static async create(base: string, name: string): Promise<Interposer> {
    library ??= build();
    const directory = realpathSync(base);
    return new Interposer(join(directory, 'store'), await library, join(directory, `${name}.`));
  }

  /** Everything so far. */
  trace(): TraceEvent[] {
    return existsSync(this.#record) ? readTrace(this.#record) : [];
  }

  failSync({ nth, files, error = 'EIO', sticky = false }: Fault): void {
    this.#set('syncFiles', maskOf(files));
    this.#set('syncErrno', constants.errno[error]);
    this.#set('sticky', Number(sticky));
    this.#set('syncLeft', nth);
  }

  failWrite({ nth, files, error, short = false, sticky = false }: Fault): void {
    this.#set('writeFiles', maskOf(files));
    this.#set('writeErrno', error === undefined ? 0 : constants.errno[error]);
    this.#set('writeShort', Number(short));
    this.#set('sticky', Number(sticky));
    this.#set('writeLeft', nth);
  }

  /** How long each sync takes at the least. */
  delaySyncs(ms: number): void {
    this.#set('syncDelayUs', ms * 1000);
  }

  clear(): void {
    for (const field of ['syncLeft', 'writeLeft', 'writeShort', 'sticky'] as const) this.#set(field, 0);
  }

  get syncsFailed(): number {
    return this.#get('syncsFailed');
  }

  get writesFailed(): number {
    return this.#get('writesFailed');
  }

  /** The files go with their directory. */
  close(): void {
    closeSync(this.#faults);
  }

  #set(field: Field, value: number): void {
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64LE(BigInt(value));
    writeSync(this.#faults, bytes, 0, 8, 8 * FAULTS.indexOf(field));
  }

  #get(field: Field): number {
    const bytes = Buffer.alloc(8);
    readSync(this.#faults, bytes, 0, 8, 8 * FAULTS.indexOf(field));
    return Number(bytes.readBigInt64LE());
  }
}

function maskOf(files: readonly StoreFile[]): number {
  return files.reduce((mask, file) => mask | FILE_BITS[file], 0);
}
