// sqldiff, the program that SQLite's authors provide for this: the statements that make one database of another.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { open } from 'node:fs/promises';
import { MvfuseError } from '../errors.js';
import { HEADER_BYTES, readHeader } from '../sqlite/header.js';

/** The statements, to be read once; or why there are none. */
export type Statements = { readonly text: AsyncIterable<string> } | { readonly missing: string };

const STDERR_BYTES_MAX = 4_096;
const NOT_INSTALLED = 'sqldiff is not installed (Debian: apt-get install sqlite3-tools)';

export async function isDatabase(file: string): Promise<boolean> {
  const handle = await open(file);
  try {
    const start = Buffer.alloc(HEADER_BYTES);
    await handle.read(start, 0, HEADER_BYTES, 0);
    return readHeader(start) !== undefined;
  } finally {
    await handle.close();
  }
}

/** The files must stay until the statements have been read. Then: INVALID_ARGUMENT with what sqldiff says, the signal's reason. */
export async function sqlDifference([from, to]: readonly [string, string], signal: AbortSignal): Promise<Statements> {
  const child = spawn('sqldiff', [from, to], { stdio: ['ignore', 'pipe', 'pipe'], signal });
  const exited = once(child, 'close') as Promise<[number | null]>;
  exited.catch(() => undefined);
  try {
    await once(child, 'spawn');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { missing: NOT_INSTALLED };
    throw error;
  }
  return { text: readStatements(child, exited, signal) };
}

async function* readStatements(
  child: ReturnType<typeof spawn>,
  exited: Promise<[number | null]>,
  signal: AbortSignal,
): AsyncGenerator<string> {
  let complaint = '';
  child.stderr!.setEncoding('utf8').on('data', (text: string) => {
    complaint = (complaint + text).slice(0, STDERR_BYTES_MAX);
  });
  try {
    yield* child.stdout!.setEncoding('utf8') as AsyncIterable<string>;
    const [status] = await exited;
    if (status !== 0)
      throw new MvfuseError(
        'INVALID_ARGUMENT',
        `sqldiff cannot compare them (it ended with ${status}): ${complaint.trim()}`,
      );
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  } finally {
    child.kill();
  }
}
