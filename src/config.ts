// What the flags and environment variables say, checked: from here on nothing is text that might be wrong.

import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { isAbsolute, join, relative, resolve } from 'node:path';
import { MvfuseError } from './errors.js';
import { NAMESPACE_NAME_BYTES_MAX } from './limits.js';
import { type Moment, parseMoment } from './moment.js';
import { LOCK_PREFIX, validateOwner } from './store/maintenance-lock.js';
import { validateNamespaceName } from './store/namespace-name.js';

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];
export const LOG_FORMATS = ['json', 'pretty'] as const;
export type LogFormat = (typeof LOG_FORMATS)[number];

/** One name in the mounted directory. */
export interface NamespaceMapping {
  readonly fileName: string;
  readonly namespace: string;
  /** Set where the file shows one version for ever: that of this moment. */
  readonly moment: Moment | undefined;
  /** Set where it is for the owner of a maintenance lock. */
  readonly owner: string | undefined;
}

/** What a mount shows. */
export interface NamespaceMappings {
  readonly files: NamespaceMapping[];
  /** Set where all namespaces are shown whose names begin with this, under the rest of their names. */
  readonly prefix: string | undefined;
}

/** `sqlite:` under the user's data directory. */
export function defaultStoreUrl(environment: NodeJS.ProcessEnv = process.env): string {
  const data = environment.XDG_DATA_HOME || join(homedir(), '.local', 'share');
  return `sqlite:${join(data, 'mvfuse', 'store')}`;
}

/**
 * `file=namespace[@moment],…`; a lone name stands for both. `*` is a directory of all namespaces, `*=prefix*` one of
 * those whose names begin so.
 * @throws INVALID_ARGUMENT naming the part that is wrong
 */
export function parseNamespaces(text: string): NamespaceMappings {
  const parts = text.split(',').map((part) => part.trim());
  const prefixes = parts.flatMap((part) => parsePrefix(part) ?? []);
  if (prefixes.length > 1) throw new MvfuseError('INVALID_ARGUMENT', 'the directory "*" is given twice');
  const files = parts.filter((part) => parsePrefix(part) === undefined).map(parseMapping);
  const seen = new Set<string>();
  for (const { fileName } of files) {
    if (seen.has(fileName)) throw new MvfuseError('INVALID_ARGUMENT', `the file name "${fileName}" is given twice`);
    seen.add(fileName);
  }
  return { files, prefix: prefixes[0] };
}

/** Of `*` or `*=prefix*`; undefined for what maps one file. */
function parsePrefix(part: string): string | undefined {
  if (!part.startsWith('*')) return undefined;
  const [, prefix = ''] = /^\*(?:=(.*)\*)?$/.exec(part) ?? [undefined, '*'];
  if (prefix.includes('*')) {
    const message = `"${part}" is no directory of namespaces: "*", or "*=prefix*" as in "*=app/*", is needed`;
    throw new MvfuseError('INVALID_ARGUMENT', message);
  }
  if (prefix !== '') validateNamespaceName(prefix);
  return prefix;
}

function parseMapping(part: string): NamespaceMapping {
  const equals = part.indexOf('=');
  const target = equals === -1 ? part : part.slice(equals + 1);
  if (part === '' || target === '') {
    throw new MvfuseError('INVALID_ARGUMENT', `"${part}" is no namespace mapping: file=namespace[@moment] is needed`);
  }
  const { namespace, moment } = splitTarget(target);
  const fileName = equals === -1 ? namespace : part.slice(0, equals);
  validateFileName(fileName);
  const owner = moment?.startsWith(LOCK_PREFIX) === true ? moment.slice(LOCK_PREFIX.length) : undefined;
  if (owner !== undefined) validateOwner(owner);
  const shown = moment === undefined || owner !== undefined ? undefined : parseMoment(moment);
  return { fileName, namespace, moment: shown, owner };
}

/** `namespace[@moment]`; without one, the latest. @throws INVALID_ARGUMENT */
export function parseTarget(text: string): { namespace: string; moment: string } {
  const { namespace, moment = 'latest' } = splitTarget(text);
  parseMoment(moment);
  return { namespace, moment };
}

function splitTarget(text: string): { namespace: string; moment: string | undefined } {
  const at = text.indexOf('@');
  const namespace = at === -1 ? text : text.slice(0, at);
  validateNamespaceName(namespace);
  return { namespace, moment: at === -1 ? undefined : text.slice(at + 1) };
}

/** @throws INVALID_ARGUMENT for a name that SQLite or the mount itself gives a meaning */
export function validateFileName(name: string): void {
  const wrong = (reason: string): never => {
    throw new MvfuseError('INVALID_ARGUMENT', `"${name}" cannot be a file name in the mount: ${reason}`);
  };
  if (name === '') wrong('it is empty');
  if (name.startsWith('.')) wrong('names with a leading dot are kept for mvfuse itself');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  if (/[/@\u0000-\u001f\u007f]/.test(name)) wrong('it holds a "/", an "@" or a control character');
  if (/-(journal|wal|shm|mj[0-9A-F]{9})$/.test(name)) wrong("SQLite's own files end like this");
  if (Buffer.byteLength(name) > NAMESPACE_NAME_BYTES_MAX) wrong(`it is longer than ${NAMESPACE_NAME_BYTES_MAX} bytes`);
}

/** The absolute mount point. @throws INVALID_ARGUMENT when the store would lie inside it */
export function resolveMountpoint(mountpoint: string, storeDirectory: string | undefined): string {
  const absolute = resolve(mountpoint);
  if (storeDirectory !== undefined) {
    const inside = relative(absolute, resolve(storeDirectory));
    if (!inside.startsWith('..') && !isAbsolute(inside)) {
      throw new MvfuseError('INVALID_ARGUMENT', `the store ${storeDirectory} lies inside the mount point ${absolute}`);
    }
  }
  return absolute;
}

const SIZE_FACTORS: Readonly<Record<string, number>> = { '': 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30, T: 2 ** 40 };

/** Bytes: `4096`, `64M`, `1.5G`; K, M, G and T are powers of 1,024. @throws INVALID_ARGUMENT */
export function parseSize(text: string, { min, max }: Range): number {
  const [, digits, unit] = /^(\d+(?:\.\d+)?)([KMGT]?)(?:i?B)?$/i.exec(text.trim()) ?? [];
  const bytes = digits === undefined ? Number.NaN : Math.floor(Number(digits) * SIZE_FACTORS[unit!.toUpperCase()]!);
  if (!(bytes >= min && bytes <= max)) {
    const range = `from ${formatSize(min)} to ${formatSize(max)}`;
    throw new MvfuseError('INVALID_ARGUMENT', `"${text}" is not a size ${range}, such as 64M or 1G`);
  }
  return bytes;
}

/** As parseSize reads it, in the largest unit that divides it. */
export function formatSize(bytes: number): string {
  const [unit, factor] = Object.entries(SIZE_FACTORS).findLast(([, by]) => bytes > 0 && bytes % by === 0) ?? ['', 1];
  return `${bytes / factor}${unit}`;
}

/** A whole number. @throws INVALID_ARGUMENT */
export function parseCount(text: string, { min, max }: Range): number {
  const count = /^\d+$/.test(text.trim()) ? Number(text) : Number.NaN;
  if (!(count >= min && count <= max)) {
    throw new MvfuseError('INVALID_ARGUMENT', `"${text}" is not a whole number from ${min} to ${max}`);
  }
  return count;
}

/** Milliseconds: `500ms`, `10s`, `2m`. @throws INVALID_ARGUMENT */
export function parseDuration(text: string, { min, max }: Range): number {
  const [, digits, unit] = /^(\d+(?:\.\d+)?)(ms|s|m)$/.exec(text.trim()) ?? [];
  const ms = digits === undefined ? Number.NaN : Math.round(Number(digits) * { ms: 1, s: 1_000, m: 60_000 }[unit!]!);
  if (!(ms >= min && ms <= max)) {
    throw new MvfuseError(
      'INVALID_ARGUMENT',
      `"${text}" is not a time from ${min / 1000}s to ${max / 1000}s, such as 500ms or 10s`,
    );
  }
  return ms;
}

/** Of a user or group. @throws INVALID_ARGUMENT */
export function parseId(text: string): number {
  const id = /^\d+$/.test(text.trim()) ? Number(text) : Number.NaN;
  // The last one stands for "none".
  if (!(id < 2 ** 32 - 1)) {
    throw new MvfuseError('INVALID_ARGUMENT', `"${text}" is not a user or group number below ${2 ** 32 - 1}`);
  }
  return id;
}

/** Who may read and write a database, as chmod has it: `644`, `0660`. @throws INVALID_ARGUMENT */
export function parseFileMode(text: string): number {
  const mode = /^0?[0-7]{3}$/.test(text.trim()) ? Number.parseInt(text, 8) : Number.NaN;
  // What the owner cannot read, nobody can; and databases are not run.
  if (!((mode & 0o400) !== 0 && (mode & 0o111) === 0)) {
    throw new MvfuseError(
      'INVALID_ARGUMENT',
      `"${text}" is not the mode of a database: three octal digits, such as 644 or 660, each a sum of 4 (read) and 2 (write), and the first with 4`,
    );
  }
  return mode;
}

/** Both ends included. */
export interface Range {
  readonly min: number;
  readonly max: number;
}

/** Where temporary files of large transactions go. */
export function spillDirectory(environment: NodeJS.ProcessEnv = process.env): string {
  const directory = environment.TMPDIR;
  return directory !== undefined && existsSync(directory) ? directory : '/var/tmp';
}
