// The extended attributes of a database file: which version of which namespace its bytes are. They cannot be set.

import type { Head } from '../store/types.js';

/** By name. */
export type ExtendedAttributes = ReadonlyMap<string, string>;

export const NO_ATTRIBUTES: ExtendedAttributes = new Map();

/** Of a file that shows `head`, a version of the namespace with that name. */
export function versionAttributes(namespaceName: string, head: Head): ExtendedAttributes {
  return new Map([
    ['user.mvfuse.namespace', namespaceName],
    ['user.mvfuse.version', head.version],
    ['user.mvfuse.page_size', String(head.pageBytes)],
    ['user.mvfuse.head_time', new Date(head.timeMs).toISOString()],
  ]);
}

/** The names as listxattr(2) answers them: each with a NUL behind it. */
export function attributeNames(attributes: ExtendedAttributes): Buffer {
  return Buffer.from([...attributes.keys()].map((name) => `${name}\0`).join(''));
}
