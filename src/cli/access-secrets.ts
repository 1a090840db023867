// Where the secrets of protected namespaces come from: files, and one environment variable.
//
// Never from the command line, which everybody on the machine can read. The variable is taken out of the environment
// before anything else happens, so no child process and no report of this one has it; the bytes that the process
// was started with stay readable to its own user and root in /proc/<pid>/environ, which no process can change. A file has no such trace.

import { fstatSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { Option } from 'commander';
import { AccessSecrets } from '../access-proof.js';
import { MvfuseError } from '../errors.js';
import { ACCESS_SECRET_BYTES_MAX } from '../limits.js';

const SECRET_VARIABLE = 'MVFUSE_ACCESS_SECRET';
const FILES_VARIABLE = 'MVFUSE_ACCESS_SECRET_FILE';
const LINE_FEED = 0x0a;
const READABLE_BY_OTHERS = 0o004;

let ofEnvironment: string | undefined;

/** To be called before anything else, in every command. */
export function withdrawSecret(): void {
  ofEnvironment = process.env[SECRET_VARIABLE];
  delete process.env[SECRET_VARIABLE];
}

export function secretFileOption(): Option {
  return new Option(
    '--access-secret-file <file>',
    `a secret of protected namespaces; may be given several times (env: ${FILES_VARIABLE}, separated by ":"; ${SECRET_VARIABLE} is a secret itself)`,
  ).argParser((file: string, files: readonly string[] | undefined) => [...(files ?? []), file]);
}

/**
 * All secrets that were given; the variable is forgotten.
 * @param files of the option, which replaces the variable of its name
 * @param warn hears of files that others may read
 * @throws INVALID_ARGUMENT, NOT_FOUND, ACCESS_DENIED naming the file; never with anything of what is in it
 */
export async function presentSecrets(
  files: readonly string[] | undefined,
  warn: (message: string) => void,
): Promise<AccessSecrets> {
  const secrets: Buffer[] = [];
  if (ofEnvironment !== undefined) secrets.push(decodeSecret(Buffer.from(ofEnvironment), SECRET_VARIABLE));
  ofEnvironment = undefined;
  const named = files ?? (process.env[FILES_VARIABLE] ?? '').split(':').filter((file) => file !== '');
  for (const file of named) secrets.push(await readSecretFile(file, warn));
  return AccessSecrets.present(secrets);
}

/** @throws as presentSecrets */
export async function readSecretFile(file: string, warn: (message: string) => void): Promise<Buffer> {
  const handle = await open(file).catch((cause: NodeJS.ErrnoException) => {
    const code = cause.code === 'ENOENT' ? 'NOT_FOUND' : 'ACCESS_DENIED';
    throw new MvfuseError(code, `the secret file ${file} cannot be read: ${cause.code ?? 'it cannot be opened'}`, {
      cause,
    });
  });
  try {
    // Not an error: container runtimes put secrets into files of mode 0444 that only the container sees.
    const { mode } = fstatSync(handle.fd);
    if ((mode & READABLE_BY_OTHERS) !== 0) warn(`the secret file ${file} can be read by every user: chmod 600 ${file}`);
    return await readSecret(handle, file);
  } finally {
    await handle.close();
  }
}

/** The secret that a stream or a file holds. @param name for messages @throws as presentSecrets */
export async function readSecret(source: FileHandle | AsyncIterable<Uint8Array>, name: string): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  try {
    for await (const piece of 'createReadStream' in source ? source.createReadStream({ autoClose: false }) : source) {
      pieces.push(piece as Uint8Array);
      bytes += piece.length;
      if (bytes > ACCESS_SECRET_BYTES_MAX) break;
    }
  } catch (cause) {
    const { code = 'it cannot be read' } = cause as NodeJS.ErrnoException;
    throw new MvfuseError('ACCESS_DENIED', `${name} cannot be read: ${code}`, { cause });
  }
  if (bytes > ACCESS_SECRET_BYTES_MAX)
    throw new MvfuseError(
      'INVALID_ARGUMENT',
      `${name} is no secret: it has more than ${ACCESS_SECRET_BYTES_MAX} bytes`,
    );
  const content = Buffer.concat(pieces);
  return decodeSecret(content.at(-1) === LINE_FEED ? content.subarray(0, -1) : content, name);
}

/** Hex digits after `hex:`, otherwise the bytes themselves. @throws INVALID_ARGUMENT */
function decodeSecret(content: Buffer, name: string): Buffer {
  const isHex = content.subarray(0, 4).toString() === 'hex:';
  const digits = isHex ? content.subarray(4).toString().trim() : '';
  if (isHex && !/^(?:[0-9a-f]{2})+$/i.test(digits))
    throw new MvfuseError(
      'INVALID_ARGUMENT',
      `${name} begins with "hex:", but what follows is not an even number of hex digits`,
    );
  const secret = isHex ? Buffer.from(digits, 'hex') : content;
  if (secret.length === 0) throw new MvfuseError('INVALID_ARGUMENT', `${name} is no secret: it is empty`);
  return secret;
}
