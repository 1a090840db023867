// The command line: its commands, and how it ends.

import { Command, CommanderError } from 'commander';
import { errorMeaning, isMvfuseError } from '../errors.js';
import { withdrawSecret } from './access-secrets.js';
import { applyCommand } from './apply.js';
import { tellStarter } from './background.js';
import { checkCommand } from './check.js';
import { copyCommand } from './copy.js';
import { diffCommand } from './diff.js';
import { doctorCommand } from './doctor.js';
import { exportCommand } from './export.js';
import { forkCommand } from './fork.js';
import { importCommand } from './import.js';
import { logCommand } from './log.js';
import { lockCommand, unlockCommand } from './maintenance.js';
import { mountCommand } from './mount.js';
import { MOUNT_HELPER, MOUNT_USAGE_STATUS, MountHelperError, mountHelperCommand } from './mount-helper.js';
import { namespacesCommand } from './namespaces.js';
import { chooseService } from './options.js';
import { packageVersion } from './package-version.js';
import { gcCommand, truncateCommand } from './retention.js';
import { rollbackCommand } from './rollback.js';
import { statusCommand } from './status.js';
import { tagCommand } from './tag.js';
import { waitCommand } from './wait.js';

const USAGE_EXIT_STATUS = errorMeaning('INVALID_ARGUMENT').exitStatus;

export function createProgram(): Command {
  const program = new Command('mvfuse')
    .description('Versioned, replicated SQLite databases, mounted as ordinary files.')
    .version(packageVersion())
    .addHelpText(
      'after',
      '\nExit status: 0 done, 2 bad input, 3 not found, 4 exists already, 5 conflict or busy, 6 read-only,\n' +
        '7 past a limit or no space, 8 the store cannot be used, 9 corrupt data, 10 cannot mount, 11 broken off,\n' +
        '12 a secret or token is missing or wrong, 13 not ready in time, 1 anything else.',
    )
    .hook('preAction', (_program, command) => chooseService(command))
    .addCommand(mountCommand(), { isDefault: true })
    .addCommand(logCommand())
    .addCommand(tagCommand())
    .addCommand(diffCommand())
    .addCommand(rollbackCommand())
    .addCommand(forkCommand())
    .addCommand(lockCommand())
    .addCommand(unlockCommand())
    .addCommand(truncateCommand())
    .addCommand(gcCommand())
    .addCommand(namespacesCommand())
    .addCommand(importCommand())
    .addCommand(exportCommand())
    .addCommand(applyCommand())
    .addCommand(checkCommand())
    .addCommand(copyCommand())
    .addCommand(statusCommand())
    .addCommand(waitCommand())
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
  withdrawSecret();
  // Whoever reads the output may stop early (head); the command still ends in order, and removes its temporary files.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
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
