// The command line: its commands, and how it ends.

import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { errorMeaning, isMvfuseError } from '../errors.js';
import { tellStarter } from './background.js';
import { checkCommand } from './check.js';
import { copyCommand } from './copy.js';
import { doctorCommand } from './doctor.js';
import { exportCommand } from './export.js';
import { importCommand } from './import.js';
import { logCommand } from './log.js';
import { mountCommand } from './mount.js';
import { MOUNT_HELPER, MOUNT_USAGE_STATUS, MountHelperError, mountHelperCommand } from './mount-helper.js';
import { namespacesCommand } from './namespaces.js';
import { statusCommand } from './status.js';

const USAGE_EXIT_STATUS = errorMeaning('INVALID_ARGUMENT').exitStatus;

function packageVersion(): string {
  const url = new URL('../../../package.json', import.meta.url);
  return (JSON.parse(readFileSync(url, 'utf8')) as { version: string }).version;
}

export function createProgram(): Command {
  const program = new Command('mvfuse')
    .description('Versioned, replicated SQLite databases, mounted as ordinary files.')
    .version(packageVersion())
    .addHelpText(
      'after',
      '\nExit status: 0 done, 2 bad input, 3 not found, 4 exists already, 5 conflict or busy, 6 read-only,\n' +
        '7 past a limit or no space, 8 the store cannot be used, 9 corrupt data, 10 cannot mount, 1 anything else.',
    )
    .addCommand(mountCommand(), { isDefault: true })
    .addCommand(logCommand())
    .addCommand(namespacesCommand())
    .addCommand(importCommand())
    .addCommand(exportCommand())
    .addCommand(checkCommand())
    .addCommand(copyCommand())
    .addCommand(statusCommand())
    .addCommand(doctorCommand())
    .addCommand(mountHelperCommand());
  return overrideExit(program);
}

/** Throw instead of exiting, down to the last subcommand. */
function overrideExit(command: Command): Command {
  command.exitOverride();
  for (const child of command.commands) overrideExit(child);
  return command;
}

/** Runs one command line and resolves to the exit status; errors are one sentence on standard error. */
export async function run(argv: readonly string[]): Promise<number> {
  try {
    await createProgram().parseAsync(argv, { from: 'user' });
    return 0;
  } catch (error) {
    const { status, message } = failureOf(error, argv[0] === MOUNT_HELPER);
    // Commander has written what it has to say.
    if (!(error instanceof CommanderError)) process.stderr.write(`${message}\n`);
    if (status !== 0) await tellStarter({ kind: 'failed', message: message.replace(/^(mvfuse|error): /, '') });
    return status;
  }
}

function failureOf(error: unknown, ofMount: boolean): { status: number; message: string } {
  if (error instanceof CommanderError) {
    const usage = ofMount ? MOUNT_USAGE_STATUS : USAGE_EXIT_STATUS;
    return { status: error.exitCode === 0 ? 0 : usage, message: error.message };
  }
  if (error instanceof MountHelperError) {
    return { status: error.exitStatus, message: `mount.fuse.mvfuse: ${error.message}` };
  }
  if (isMvfuseError(error)) return { status: errorMeaning(error.code).exitStatus, message: `mvfuse: ${error.message}` };
  return { status: 1, message: `mvfuse: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}` };
}
