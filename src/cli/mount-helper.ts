// mvfuse mount-helper: what mount(8) calls for `mount -t fuse.mvfuse` and for lines of fstab, by way of
// /sbin/mount.fuse.mvfuse. Starts a daemon in the background, waits until it has mounted or failed, and leaves it running:
// umount(8) ends it.
//
// Its exit status is one of those that mount(8) documents. What is mounted is what the line says: the variables that stand
// for flags of `mvfuse mount` are not passed on.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fstatSync, openSync } from 'node:fs';
import { resolve } from 'node:path';
import { Command } from 'commander';
import { parseNamespaces } from '../config.js';
import { isMvfuseError, MvfuseError } from '../errors.js';
import type { StartOutcome } from './background.js';
import { mountCommand } from './mount.js';
import { parseMountOptions } from './mount-options.js';

export const MOUNT_HELPER = 'mount-helper';
/** Of mount(8): incorrect invocation, and mount failure. */
export const MOUNT_USAGE_STATUS = 1;
const MOUNT_FAILURE_STATUS = 32;

/** A failure with mount(8)'s exit status; the message is for standard error. */
export class MountHelperError extends Error {
  readonly exitStatus: number;

  constructor(exitStatus: number, message: string) {
    super(message);
    this.exitStatus = exitStatus;
  }
}

interface Options {
  readonly o?: string[];
  readonly r?: boolean;
  readonly s?: boolean;
  readonly f?: boolean;
}

export function mountHelperCommand(): Command {
  return new Command(MOUNT_HELPER)
    .description('what mount(8) runs for the type fuse.mvfuse, as /sbin/mount.fuse.mvfuse')
    .argument('<source>', 'file=namespace[@version],…, as in --namespaces')
    .argument('<directory>', 'where to mount')
    .option('-o <options>', 'as in fstab', (text: string, before: string[] = []) => [...before, text])
    .option('-t <type>', 'the type, which is known')
    .option('-r', 'read-only')
    .option('-w', 'read and write')
    .option('-s', 'ignore options that are unknown')
    .option('-f', 'check only, mount nothing')
    .option('-n', 'accepted, as there is no /etc/mtab to write')
    .option('-v', 'accepted')
    .addHelpText(
      'after',
      '\nExamples:\n  # mount -t fuse.mvfuse mydb=test /mnt/dbs -o store=sqlite:/var/lib/mvfuse/store,allow_other\n' +
        '  /etc/fstab: mydb=test  /mnt/dbs  fuse.mvfuse  store=sqlite:/var/lib/mvfuse/store,allow_other,nofail  0  0\n\n' +
        'Every flag of "mvfuse mount" is an option, with underscores; log_file=PATH says where the log goes.\n' +
        'Exit status, as of mount(8): 0 mounted, 1 bad options, 32 the mount failed.',
    )
    .action(mount);
}

async function mount(source: string, directory: string, options: Options): Promise<void> {
  const { flags, logFile } = checked(source, options);
  if (options.f) return;
  const log = openLog(logFile);
  const args = [
    'mount',
    `--mountpoint=${resolve(directory)}`,
    `--namespaces=${source}`,
    `--source=${source}`,
    ...flags,
  ];
  let daemon: ChildProcess | undefined;
  // Before there is a daemon that could be left behind.
  const stop = (signal: NodeJS.Signals): void => void daemon?.kill(signal);
  process.once('SIGINT', stop).once('SIGTERM', stop);
  daemon = spawn(process.execPath, [...process.execArgv, process.argv[1]!, ...args], {
    cwd: '/',
    detached: true,
    env: daemonEnvironment(),
    stdio: ['ignore', log, log, 'ipc'],
  });
  const outcome = await outcomeOf(daemon);
  if (outcome.kind === 'failed') throw new MountHelperError(MOUNT_FAILURE_STATUS, outcome.message);
  process.removeListener('SIGINT', stop).removeListener('SIGTERM', stop);
  daemon.unref();
}

function checked(source: string, { o = [], r, s }: Options): ReturnType<typeof parseMountOptions> {
  try {
    parseNamespaces(source);
    return parseMountOptions([...o, ...(r ? ['ro'] : [])].join(','), mountCommand().options, s === true);
  } catch (error) {
    if (isMvfuseError(error)) throw new MountHelperError(MOUNT_USAGE_STATUS, error.message);
    throw error;
  }
}

/** What the daemon's standard output and error are: a file, the journal when this process writes there, or nothing. */
function openLog(path: string | undefined): number | 'inherit' | 'ignore' {
  if (path !== undefined) {
    try {
      return openSync(path, 'a', 0o600);
    } catch (cause) {
      throw new MountHelperError(MOUNT_FAILURE_STATUS, `cannot write log_file: ${(cause as Error).message}`);
    }
  }
  // A terminal or a pipe must not be kept open by what stays behind.
  return isJournal(2) ? 2 : 'ignore';
}

/** Whether a descriptor is the stream to the journal that systemd gave the process (JOURNAL_STREAM in systemd.exec(5)). */
function isJournal(fd: number): boolean {
  try {
    const { dev, ino } = fstatSync(fd);
    return process.env.JOURNAL_STREAM === `${dev}:${ino}`;
  } catch {
    return false;
  }
}

function daemonEnvironment(): NodeJS.ProcessEnv {
  const flagVariables = mountCommand().options.flatMap(({ envVar }) => envVar ?? []);
  // The service manager waits for mount(8) here, not for the daemon.
  const left = [...flagVariables, 'NOTIFY_SOCKET', 'WATCHDOG_USEC', 'WATCHDOG_PID'];
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !left.includes(name)));
}

async function outcomeOf(daemon: ChildProcess): Promise<StartOutcome> {
  const told = once(daemon, 'message').then(([message]) => message as StartOutcome);
  // The channel is closed after its last message, by the end of the process at the latest.
  const gone = once(daemon, 'disconnect').then((): StartOutcome => {
    return { kind: 'failed', message: 'the daemon ended before it had mounted' };
  });
  try {
    return await Promise.race([told, gone]);
  } catch (cause) {
    throw new MvfuseError('MOUNT_FAILED', `the daemon could not be started: ${(cause as Error).message}`, { cause });
  }
}
