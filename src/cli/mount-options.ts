// The option string of mount(8) and fstab lines, as flags of `mvfuse mount`: `store=sqlite:/srv/store,allow_other,ro`.

import { isAbsolute } from 'node:path';
import type { Option } from 'commander';
import { MvfuseError } from '../errors.js';

/**
 * What is for mount(8) and systemd alone, what is so anyway (nosuid, nodev; nothing in a mount can be executed, and no access
 * times are kept), and what stands for the defaults.
 */
const IGNORED = new Set(
  (
    'defaults rw auto noauto nofail _netdev user nouser users owner noowner group nogroup async exec noexec nosuid nodev ' +
    'atime noatime diratime nodiratime relatime norelatime strictatime nostrictatime lazytime nolazytime'
  ).split(' '),
);
/** Also systemd's own, and comments. */
const IGNORED_PREFIX = /^(x-|X-|comment=)/;
/** They are said otherwise: as source, as directory and as `ro`. */
const SAID_OTHERWISE = new Set(['mountpoint', 'namespaces', 'read_only', 'source']);

export interface ParsedMountOptions {
  /** Flags of `mvfuse mount`. */
  readonly flags: readonly string[];
  /** Where the daemon's log goes. */
  readonly logFile: string | undefined;
}

/**
 * @param known the options of `mvfuse mount`; each may be given with underscores in place of dashes
 * @param sloppy ignore what is unknown, as `mount -s` asks
 * @throws INVALID_ARGUMENT naming the option that is unknown or wrong
 */
export function parseMountOptions(text: string, known: readonly Option[], sloppy: boolean): ParsedMountOptions {
  const byName = new Map(known.map((option) => [underscored(option.long ?? ''), option]));
  for (const name of SAID_OTHERWISE) byName.delete(name);
  const flags: string[] = [];
  let logFile: string | undefined;
  let readOnly = false;
  for (const part of text.split(',')) {
    if (part === '' || IGNORED_PREFIX.test(part)) continue;
    const equals = part.indexOf('=');
    const name = underscored(equals === -1 ? part : part.slice(0, equals));
    const value = equals === -1 ? undefined : part.slice(equals + 1);
    const option = byName.get(name);
    if (name === 'ro' || name === 'rw') readOnly = name === 'ro';
    else if (name === 'log_file') logFile = absolutePath(name, value);
    else if (option !== undefined) flags.push(...flagOf(option, name, value));
    else if (!IGNORED.has(name) && !sloppy) throw unknown(part, byName);
  }
  if (readOnly) flags.push('--read-only');
  return { flags, logFile };
}

function underscored(name: string): string {
  return name.replace(/^--/, '').replaceAll('-', '_');
}

function flagOf(option: Option, name: string, value: string | undefined): string[] {
  const takesValue = option.required || option.optional;
  if (takesValue && (value === undefined || value === '')) wrong(`${name} needs a value: ${name}=…`);
  if (!takesValue && value !== undefined) wrong(`${name} takes no value`);
  // The daemon's directory is the root, and a line of fstab has none.
  if (name === 'store' && value!.startsWith('sqlite:')) absolutePath(name, value!.slice('sqlite:'.length));
  return takesValue ? [`${option.long}=${value}`] : [option.long!];
}

function absolutePath(name: string, path: string | undefined): string {
  if (path === undefined || !isAbsolute(path)) wrong(`${name} needs an absolute path`);
  return path!;
}

function unknown(part: string, byName: ReadonlyMap<string, Option>): MvfuseError {
  const names = [...byName.keys()].filter((name) => name !== '').sort();
  return new MvfuseError(
    'INVALID_ARGUMENT',
    `unknown mount option "${part}"; there are ${names.join(', ')}, log_file and ro`,
  );
}

function wrong(message: string): never {
  throw new MvfuseError('INVALID_ARGUMENT', `mount option ${message}`);
}
