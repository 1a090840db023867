// Where the unix sockets of daemons are, and that nobody else can put one there.
//
// A daemon on an embedded store has its socket in the store's directory. Daemons on stores that are elsewhere have theirs
// in a directory of the user's own, mode 0700; the name tells the store and the process. Sockets are mode 0600.

import { createHash } from 'node:crypto';
import {
  chmodSync,
  closeSync,
  constants,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmSync,
  type Stats,
} from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { isMvfuseError, MvfuseError } from '../errors.js';

/** sockaddr_un holds 108 bytes, the final NUL included. */
const SOCKET_PATH_BYTES_MAX = 107;
const EXTENSION = '.sock';

/** The socket of the daemon that owns the store in `directory`. */
export function embeddedSocketPath(directory: string): string {
  return join(directory, `control${EXTENSION}`);
}

/**
 * The socket of this process, among those of other daemons of this user, in a directory that is made if it is missing.
 * @param identity the same for all URLs of one store
 * @throws STORE_FAILED when there is no directory that only this user can write
 */
export function daemonSocketPath(identity: string): string {
  const [directory] = runtimeDirectories();
  prepareDirectory(directory!);
  return join(directory!, `${storeDigest(identity)}-${process.pid}${EXTENSION}`);
}

/** The sockets of this user's daemons on that store, those of dead ones among them. */
export function daemonSockets(identity: string): string[] {
  const prefix = `${storeDigest(identity)}-`;
  return runtimeDirectories().flatMap((directory) => {
    if (!isOwn(directory)) return [];
    const names = readdirSync(directory).filter((name) => name.startsWith(prefix) && name.endsWith(EXTENSION));
    return names.map((name) => join(directory, name));
  });
}

/** Takes away what dead daemons of this user left in the directory of `path`. */
export async function sweepSockets(path: string): Promise<void> {
  const directory = dirname(path);
  for (const name of readdirSync(directory).filter((name) => /^[0-9a-f]{16}-\d+\.sock$/.test(name))) {
    const other = join(directory, name);
    if (!(await answers(other))) rmSync(other, { force: true });
  }
}

/**
 * Takes away the socket that a dead daemon left at `path`.
 * @throws ALREADY_EXISTS when a daemon answers there, INVALID_ARGUMENT when it is somebody else's or no socket
 */
export async function claimSocket(path: string): Promise<void> {
  const found = look(path);
  if (found === undefined) return;
  if (!(found.isSocket() || found.isSymbolicLink()) || !isOwnedHere(found)) {
    throw new MvfuseError(
      'INVALID_ARGUMENT',
      `${path} is there and is no socket of this user: take it away, or choose another --admin-socket`,
    );
  }
  if (found.isSocket() && (await answers(path))) {
    throw new MvfuseError('ALREADY_EXISTS', `another daemon serves its API at ${path}: choose another --admin-socket`);
  }
  rmSync(path, { force: true });
}

/** A path that fits into the address of a socket, as long as it is not closed. */
export interface ShortPath {
  readonly path: string;
  close(): void;
}

/**
 * Names a socket with a longer path by way of its directory, opened here, so that it never has to be anywhere else.
 * @throws INVALID_ARGUMENT when its own name is too long; ENOENT
 */
export function shortPath(path: string): ShortPath {
  if (Buffer.byteLength(path) <= SOCKET_PATH_BYTES_MAX) return { path, close: () => {} };
  const absolute = resolve(path);
  const descriptor = openSync(dirname(absolute), constants.O_RDONLY | constants.O_DIRECTORY);
  const short = `/proc/self/fd/${descriptor}/${basename(absolute)}`;
  const close = (): void => closeSync(descriptor);
  if (Buffer.byteLength(short) <= SOCKET_PATH_BYTES_MAX) return { path: short, close };
  close();
  throw new MvfuseError('INVALID_ARGUMENT', `the name of the socket ${path} is too long`);
}

/** Whether a process listens on the socket; a limit of it that is reached does not matter. */
export function answers(path: string): Promise<boolean> {
  let short: ShortPath;
  try {
    short = shortPath(path);
  } catch (error) {
    if (isMvfuseError(error)) throw error;
    return Promise.resolve(false);
  }
  return new Promise<boolean>((resolve) => {
    const socket = connect(short.path);
    socket.once('connect', () => resolve(true));
    socket.once('error', ({ code }: NodeJS.ErrnoException) => {
      resolve(code !== 'ENOENT' && code !== 'ECONNREFUSED' && code !== 'ENOTDIR' && code !== 'ENOTSOCK');
    });
    socket.once('connect', () => socket.destroy());
  }).finally(short.close);
}

/** The first is where sockets are made; a daemon that was started in another environment may have made its own elsewhere. */
function runtimeDirectories(environment: NodeJS.ProcessEnv = process.env): string[] {
  const uid = process.getuid!();
  const session = `/run/user/${uid}`;
  const directories: string[] = [];
  if (environment.XDG_RUNTIME_DIR) directories.push(join(environment.XDG_RUNTIME_DIR, 'mvfuse'));
  if (uid === 0) directories.push('/run/mvfuse');
  else if (look(session)?.isDirectory()) directories.push(join(session, 'mvfuse'));
  // Anybody may take that name; then it is refused.
  if (directories.length === 0) directories.push(join(tmpdir(), `mvfuse-${uid}`));
  return [...new Set(directories)];
}

function prepareDirectory(directory: string): void {
  const advice = 'set XDG_RUNTIME_DIR to a directory of this user, or choose a path with --admin-socket';
  try {
    mkdirSync(directory, { mode: 0o700 });
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'EEXIST') {
      const message = `the directory ${directory} for the API's socket cannot be made: ${(cause as Error).message}; ${advice}`;
      throw new MvfuseError('STORE_FAILED', message, { cause });
    }
  }
  const found = lstatSync(directory);
  if (!found.isDirectory() || found.uid !== process.getuid!()) {
    throw new MvfuseError('STORE_FAILED', `${directory} is not a directory of this user: ${advice}`);
  }
  if ((found.mode & 0o077) !== 0) chmodSync(directory, 0o700);
}

function isOwn(directory: string): boolean {
  const found = look(directory);
  return found?.isDirectory() === true && isOwnedHere(found) && (found.mode & 0o022) === 0;
}

/** Root may use what belongs to anybody. */
function isOwnedHere({ uid }: Stats): boolean {
  return uid === process.getuid!() || process.getuid!() === 0;
}

function look(path: string): Stats | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false });
  } catch {
    return undefined;
  }
}

function storeDigest(identity: string): string {
  return createHash('sha256').update(identity).digest('hex').slice(0, 16);
}
