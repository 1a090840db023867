// Builds static-client.c with the SQLite source that better-sqlite3 brings along. The library's object and the program
// are kept in the build directory, and made again when a source is newer.

import { existsSync, mkdirSync, renameSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { run } from './client.js';

const SOURCE = fileURLToPath(new URL('../../../test/support/static-client.c', import.meta.url));
const SQLITE = fileURLToPath(new URL('../../../node_modules/better-sqlite3/deps/sqlite3/', import.meta.url));
const DIRECTORY = fileURLToPath(new URL('../../static-client/', import.meta.url));
const COMPILE_MS_MAX = 300_000;

/** Whoever needs it first builds it; the result appears at once, complete. */
async function make(target: string, sources: readonly string[], args: readonly string[]): Promise<string> {
  const fresh = existsSync(target) && sources.every((source) => statSync(source).mtimeMs <= statSync(target).mtimeMs);
  if (fresh) return target;
  const partial = `${target}.${process.pid}`;
  const { status, stderr } = await run('gcc', [...args, '-o', partial], '', COMPILE_MS_MAX);
  if (status !== 0) throw new Error(`gcc ended with ${status}: ${stderr}`);
  renameSync(partial, target);
  return target;
}

/** The path of the program. */
export async function staticClient(): Promise<string> {
  mkdirSync(DIRECTORY, { recursive: true });
  const amalgamation = join(SQLITE, 'sqlite3.c');
  const options = ['-O1', '-w', '-DSQLITE_THREADSAFE=0', '-DSQLITE_OMIT_LOAD_EXTENSION', `-I${SQLITE}`];
  const object = await make(join(DIRECTORY, 'sqlite3.o'), [amalgamation], [...options, '-c', amalgamation]);
  const libraries = ['-static', SOURCE, object, '-lm'];
  return make(join(DIRECTORY, 'client'), [SOURCE, object], [...options, ...libraries]);
}
