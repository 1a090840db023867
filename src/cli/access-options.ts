// The options of `mvfuse mount` that say whose the files are, and who may do what with them.

import { execFileSync } from 'node:child_process';
import type { Option } from 'commander';
import { parseFileMode, parseId } from '../config.js';
import { MvfuseError } from '../errors.js';
import { type Access, ownAccess } from '../fuse/access.js';
import { parsedOption } from './options.js';

export interface AccessOptions {
  readonly uid?: number;
  readonly gid?: number;
  readonly mode?: number;
}

export function accessOptions(): Option[] {
  return [
    parsedOption('--uid <user>', "the files' owner, by number or name (default: who runs the daemon)", 'MVFUSE_UID', {
      parse: (text) => parseOwner('passwd', 'user', text),
    }),
    parsedOption('--gid <group>', "the files' group, by number or name", 'MVFUSE_GID', {
      parse: (text) => parseOwner('group', 'group', text),
    }),
    parsedOption('--mode <octal>', 'who may read and write the databases (default: 644)', 'MVFUSE_MODE', {
      parse: parseFileMode,
    }),
  ];
}

/** Undefined where none of the options is given: then only others are held to what the files show. */
export function accessOf(options: AccessOptions): Access | undefined {
  const { uid, gid, mode } = options;
  if (uid === undefined && gid === undefined && mode === undefined) return undefined;
  const own = ownAccess();
  return { uid: uid ?? own.uid, gid: gid ?? own.gid, fileMode: mode ?? own.fileMode };
}

/** @throws INVALID_ARGUMENT for a number out of range, and a name that the system does not know */
function parseOwner(database: 'passwd' | 'group', what: string, text: string): number {
  if (/^\d+$/.test(text)) return parseId(text);
  try {
    // It knows the users of every directory service that the system is set up with.
    const line = execFileSync('getent', [database, '--', text], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    return parseId(line.split(':')[2] ?? '');
  } catch (cause) {
    throw new MvfuseError('INVALID_ARGUMENT', `"${text}" is neither a number nor the name of a ${what}`, { cause });
  }
}
