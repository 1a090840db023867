// Mounts the memory filesystem for a test in this process, and takes it away afterwards whatever happened.

import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { type MountOptions, Session } from '../../src/native/binding.js';
import { NativeMemoryFilesystem } from './native-memory-filesystem.js';
import { killTalkers, run, within } from './native-process.js';

/** The source tree, three folders up from the compiled test/support. */
const SOURCE_ROOT = fileURLToPath(new URL('../../../', import.meta.url));
/** A compiler beside other work on few processors takes its time. */
const COMPILE_MS_MAX = 120_000;

export interface Mounted {
  readonly directory: string;
  readonly fs: NativeMemoryFilesystem;
  readonly session: Session;
  /** Resolves when the session has ended. */
  readonly ended: Promise<Error | undefined>;
  readonly endCount: () => number;
}

const open: Mounted[] = [];
const directories: string[] = [];

export function makeDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'mvfuse-native-'));
  directories.push(directory);
  return directory;
}

export function mountMemory(overrides: Partial<MountOptions> = {}): Mounted {
  const directory = makeDirectory();
  const fs = new NativeMemoryFilesystem();
  let endCount = 0;
  let resolveEnded: (error: Error | undefined) => void = () => {};
  const ended = new Promise<Error | undefined>((resolve) => {
    resolveEnded = resolve;
  });
  const session = Session.mount(
    {
      mountpoint: directory,
      fsName: 'mvfuse-test',
      subtype: 'mvfuse',
      allowOther: false,
      defaultPermissions: true,
      readOnly: false,
      writeBytesMax: 1 << 20,
      cachesLists: true,
      queueLengthMax: 128,
      ...overrides,
    },
    fs.onRequests,
    (error) => {
      endCount++;
      resolveEnded(error);
    },
  );
  fs.session = session;
  const mounted = { directory, fs, session, ended, endCount: () => endCount };
  open.push(mounted);
  return mounted;
}

/** For `afterEach`: ends every client and session, unmounts what is left of a failed test, and removes the directories. */
export async function cleanUpMounts(): Promise<void> {
  killTalkers();
  for (const { session, ended } of open.splice(0)) {
    session.close();
    await within(ended, 'the end of a session');
  }
  for (const directory of directories.splice(0)) {
    try {
      execFileSync('fusermount3', ['-u', '-z', '-q', directory], { stdio: 'ignore' });
    } catch {
      // It was not mounted any more, as it should be.
    }
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Compiles test/support/<name of the program>.cc and whatever else it needs from the source tree. */
export async function compile(
  program: string,
  flags: readonly string[] = [],
  sources: readonly string[] = [],
): Promise<void> {
  await compileSources(program, flags, [`test/support/${basename(program)}.cc`, ...sources]);
}

/** Compiles a program from files of the source tree. */
export async function compileSources(
  program: string,
  flags: readonly string[],
  sources: readonly string[],
): Promise<void> {
  const inTree = (path: string) => join(SOURCE_ROOT, path);
  const files = sources.map(inTree);
  const args = ['-std=c++17', '-O1', `-I${inTree('native-shim/src')}`, ...flags, '-o', program, ...files];
  await promisify(execFile)('g++', args, { env: withoutPreload(), timeout: COMPILE_MS_MAX });
}

/** The sanitizer that a test run may be preloaded with has no business in a compiler or in another sanitized program. */
export function withoutPreload(): NodeJS.ProcessEnv {
  const { LD_PRELOAD: _preloaded, ...env } = process.env;
  return env;
}

/** Whether the mount table has it. */
export async function isMounted(directory: string): Promise<boolean> {
  return (await run('grep', ['-q', ` ${directory} fuse.mvfuse `, '/proc/self/mounts'])).code === 0;
}
