// Which names a namespace may have: they become file names, URLs and words in flags.

import { MvfuseError } from '../errors.js';
import { NAMESPACE_NAME_BYTES_MAX } from '../limits.js';

// "@" begins a version in a file name; "," and "=" separate mappings in flags.
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
const REFUSED = /[\u0000-\u001f\u007f-\u009f@,=]/u;
const LONE_SURROGATE = /\p{Surrogate}/u;

/** @throws INVALID_ARGUMENT, saying what is wrong with `name` */
export function validateNamespaceName(name: string): void {
  const bytes = Buffer.byteLength(name);
  if (bytes === 0) throw refused(name, 'it is empty');
  if (bytes > NAMESPACE_NAME_BYTES_MAX)
    throw refused(name, `it is ${bytes} bytes long, at most ${NAMESPACE_NAME_BYTES_MAX} are allowed`);
  if (REFUSED.test(name)) throw refused(name, 'control characters, "@", "," and "=" are not allowed');
  if (LONE_SURROGATE.test(name)) throw refused(name, 'it is no valid Unicode');
}

/** The access proof that a name carries: it is the namespace's from its creation on. */
export function proofInName(name: string): string | undefined {
  return /:([0-9a-f]{64})$/.exec(name)?.[1];
}

function refused(name: string, reason: string): MvfuseError {
  return new MvfuseError('INVALID_ARGUMENT', `${JSON.stringify(name)} cannot name a namespace: ${reason}`);
}
