// The token that callers over TCP must present: read from a file that nobody else can read, compared in constant time.

import { createHash, timingSafeEqual } from 'node:crypto';
import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { MvfuseError } from '../../errors.js';
import { TOKEN_BYTES_MIN } from '../../limits.js';

/**
 * The file's content without white space at its ends.
 * @throws NOT_FOUND; INVALID_ARGUMENT for a token that is too short or cannot be sent, or a file that others can read
 */
export function readToken(file: string, environment: NodeJS.ProcessEnv = process.env): string {
  const descriptor = openFile(file);
  try {
    const { mode } = fstatSync(descriptor);
    // A systemd credential is let to its service by an access list, whose mask shows as the group's bits.
    const isCredential = dirname(resolve(file)) === environment.CREDENTIALS_DIRECTORY;
    if ((mode & (isCredential ? 0o007 : 0o077)) !== 0) {
      throw new MvfuseError('INVALID_ARGUMENT', `the token file ${file} can be read by others: chmod 600 ${file}`);
    }
    const token = readFileSync(descriptor, 'utf8').trim();
    if (Buffer.byteLength(token) < TOKEN_BYTES_MIN) {
      const message = `the token in ${file} has less than ${TOKEN_BYTES_MIN} bytes: make one with "openssl rand -hex 32"`;
      throw new MvfuseError('INVALID_ARGUMENT', message);
    }
    if (!/^[\x21-\x7e]+$/.test(token)) {
      throw new MvfuseError('INVALID_ARGUMENT', `the token in ${file} holds other characters than visible ASCII ones`);
    }
    return token;
  } finally {
    closeSync(descriptor);
  }
}

function openFile(file: string): number {
  try {
    return openSync(file, 'r');
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    const kind = code === 'ENOENT' ? 'NOT_FOUND' : 'INVALID_ARGUMENT';
    throw new MvfuseError(kind, `the token file ${file} cannot be read: ${message}`, { cause });
  }
}

/** Whether a request's Authorization header carries the token; takes the same time whatever it carries. */
export function tokenCheck(token: string): (authorization: string | undefined) => boolean {
  const expected = digest(token);
  return (authorization) => {
    const presented = /^Bearer +(\S+) *$/i.exec(authorization ?? '')?.[1] ?? '';
    return timingSafeEqual(digest(presented), expected);
  };
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
