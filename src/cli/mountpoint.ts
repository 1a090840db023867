// The directory to mount on: made if it is missing, and freed of a mount whose daemon is gone.
//
// A daemon that was killed leaves its mount behind: whoever has files open there gets errors, and the path cannot be
// used. Such a mount of ours is taken away at the next start. Nothing here touches the path in this process while
// something is mounted there: a daemon that does not answer would hold this one up for ever.

import { execFile } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import type { Logger } from 'pino';
import { MvfuseError } from '../errors.js';

const execute = promisify(execFile);

/** How long a mount that is there already may take to answer. */
const PROBE_MS_MAX = 5_000;

/**
 * @throws INVALID_ARGUMENT for a directory that cannot be mounted on, MOUNT_FAILED when something is mounted there
 * already that is not ours, or alive
 */
export async function prepareMountpoint(mountpoint: string, log: Logger): Promise<void> {
  for (let type = mountedType(mountpoint); type !== undefined; type = mountedType(mountpoint)) {
    if (type !== 'fuse.mvfuse') throw taken(mountpoint, `a filesystem of type ${type} is mounted there`);
    if (await answers(mountpoint))
      throw taken(mountpoint, `mvfuse is mounted there: "fusermount -u ${mountpoint}" ends it`);
    log.warn({ mountpoint }, 'taking away the mount of a daemon that is gone');
    await takeAway(mountpoint);
  }
  try {
    mkdirSync(mountpoint, { recursive: true });
    if (readdirSync(mountpoint).length === 0) return;
  } catch (cause) {
    throw new MvfuseError('INVALID_ARGUMENT', `cannot mount on ${mountpoint}: ${(cause as Error).message}`, { cause });
  }
  throw new MvfuseError('INVALID_ARGUMENT', `cannot mount on ${mountpoint}: the directory is not empty`);
}

/** Whether programs that come to the directory come to a mount of ours. */
export function isMountedOn(mountpoint: string): boolean {
  return mountedType(mountpoint) === 'fuse.mvfuse';
}

function taken(mountpoint: string, reason: string): MvfuseError {
  return new MvfuseError('MOUNT_FAILED', `cannot mount on ${mountpoint}: ${reason}`);
}

/** The type of the filesystem mounted exactly there. */
function mountedType(mountpoint: string): string | undefined {
  const lines = readFileSync('/proc/self/mountinfo', 'utf8').trim().split('\n');
  // "36 35 98:0 / /path rw,noatime shared:1 - type source options"; blanks in the path are written as \040.
  const unescaped = (text: string): string =>
    text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
  const mounts = lines.map((line) => {
    const [before = '', after = ''] = line.split(' - ');
    return { path: unescaped(before.split(' ')[4] ?? ''), type: after.split(' ')[0] };
  });
  return mounts.findLast(({ path }) => path === mountpoint)?.type;
}

/** Whether a daemon serves the mount. @throws MOUNT_FAILED when it is there and does not answer */
async function answers(mountpoint: string): Promise<boolean> {
  try {
    await execute('stat', [mountpoint], {
      timeout: PROBE_MS_MAX,
      killSignal: 'SIGKILL',
      env: { ...process.env, LC_ALL: 'C' },
    });
    return true;
  } catch (cause) {
    const { killed, stderr = '' } = cause as { killed?: boolean; stderr?: string };
    if (/Transport endpoint is not connected|Software caused connection abort/.test(stderr)) return false;
    const reason = killed === true ? 'an mvfuse is mounted there that does not answer' : stderr.trim();
    throw taken(mountpoint, `${reason}; "fusermount -uz ${mountpoint}" takes it away`);
  }
}

/** By force where that is allowed: then requests that were never answered end, too. */
async function takeAway(mountpoint: string): Promise<void> {
  try {
    if (process.getuid?.() === 0) await execute('umount', ['-f', '-l', mountpoint]);
    else await execute('fusermount3', ['-u', '-z', mountpoint]);
  } catch (cause) {
    throw new MvfuseError(
      'MOUNT_FAILED',
      `cannot take away the dead mount on ${mountpoint}: ${(cause as Error).message}`,
      {
        cause,
      },
    );
  }
}
