// Builds C programs with the SQLite source that better-sqlite3 brings along: static-client.c, and waiting-client.c with
// locks that are waited for. The library's object and the program are kept in the build directory, and made again when a
// source is newer.

import { existsSync, mkdirSync, renameSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { run } from './client.js';

const SOURCES = fileURLToPath(new URL('../../../test/support/', import.meta.url));
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

async function build(name: string, defines: readonly string[]): Promise<string> {
  mkdirSync(DIRECTORY, { recursive: true });
  const source = join(SOURCES, `${name}.c`);
  const amalgamation = join(SQLITE, 'sqlite3.c');
  const options = ['-O1', '-w', '-DSQLITE_THREADSAFE=0', '-DSQLITE_OMIT_LOAD_EXTENSION', `-I${SQLITE}`, ...defines];
  const object = await make(join(DIRECTORY, `${name}-sqlite3.o`), [amalgamation], [...options, '-c', amalgamation]);
  const libraries = ['-static', source, object, '-lm'];
  return make(join(DIRECTORY, name), [source, object], [...options, ...libraries]);
}

/** The path of the program. */
export function staticClient(): Promise<string> {
  return build('static-client', []);
}

/** The path of the program that waits for locks in the kernel. */
export function waitingClient(): Promise<string> {
  return build('waiting-client', ['-DSQLITE_ENABLE_SETLK_TIMEOUT=1']);
}
