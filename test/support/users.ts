// Ordinary users as clients of a mount: programs that run under another uid, which needs root.

import { type Outcome, run } from './client.js';
import { Talker } from './native-process.js';

export interface User {
  readonly uid: number;
  readonly gid: number;
  /** Other groups that the user is in. */
  readonly groups?: readonly number[];
}

/** For `test`: why other users cannot be had. */
export const NO_OTHER_USERS = process.getuid?.() === 0 ? false : 'needs root, to become other users';

// The one on the PATH may lie in a home directory.
const PYTHON = '/usr/bin/python3';

/** SQL statements by line, each answered with its rows or the error. */
const SQL_BY_LINE = `
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
for line in sys.stdin:
    try:
        print(connection.execute(line).fetchall(), flush=True)
    except sqlite3.Error as error:
        print(error.sqlite_errorname if hasattr(error, "sqlite_errorname") else error, flush=True)
`;

function become({ uid, gid, groups = [] }: User): string[] {
  const supplementary = groups.length === 0 ? '--clear-groups' : `--groups=${groups.join(',')}`;
  return [`--reuid=${uid}`, `--regid=${gid}`, supplementary];
}

/** Runs a program as that user, to its end. */
export function runAs(user: User, program: string, ...args: string[]): Promise<Outcome> {
  return run('setpriv', [...become(user), program, ...args]);
}

/** sqlite3 as that user: its output, or what it complains of. */
export async function sqlAs(user: User, path: string, sql: string): Promise<string> {
  const { stdout, stderr } = await run('setpriv', [...become(user), 'sqlite3', path], `.timeout 10000\n${sql}`);
  return (stdout + stderr).trim();
}

/** A connection of that user that stays open. */
export class UserConnection {
  readonly talker: Talker;

  constructor(user: User, path: string) {
    this.talker = new Talker('setpriv', [...become(user), PYTHON, '-c', SQL_BY_LINE, path]);
  }

  async exec(sql: string): Promise<string> {
    this.talker.say(sql);
    return (await this.talker.line()) ?? '';
  }

  /** The directory of the connection, `.c/N`, as the process has it. */
  async directory(): Promise<string> {
    const { stdout } = await run('bash', [
      '-c',
      `readlink /proc/${this.talker.child.pid}/fd/* | grep /.c/ | head -n 1`,
    ]);
    return stdout.trim().replace(/\/[^/]*$/, '');
  }

  async end(): Promise<void> {
    await this.talker.end();
  }
}
