// The lock of `vfs=unix-dotfile`: SQLite makes the directory `x.lock` beside its database `x` before it reads or writes, and
// removes it when it is done. Here that is the exclusive lock, which ends with the process, too.

import type { Attributes } from '../native/binding.js';
import { PENDING_BYTE, SHARED_FIRST, SHARED_LAST } from '../sqlite/lock-bytes.js';
import type { Owner } from './access.js';
import type { Lock } from './lock-table.js';
import { directoryAttributes, type InodeNumber, Node } from './node.js';

export const DOTFILE_LOCK_SUFFIX = '.lock';

/** None of the kernel's lock owners, and no handle: the directory belongs to the path. */
const HELD = { owner: -1n, fh: 0 } as const;

/** SHARED and EXCLUSIVE, as they are taken one after the other. */
export function dotfileLocks(pid: number): readonly [Lock, Lock] {
  return [
    { ...HELD, pid, type: 'read', start: SHARED_FIRST, end: SHARED_LAST },
    { ...HELD, pid, type: 'write', start: PENDING_BYTE, end: SHARED_LAST },
  ];
}

export class DotfileLock extends Node {
  /** It may end with the process. */
  override readonly entryTtlMs = 0;
  readonly #owner: Owner;

  constructor(ino: InodeNumber, owner: Owner) {
    super(ino);
    this.#owner = owner;
  }

  override async attributes(): Promise<Attributes> {
    return directoryAttributes(this.ino, this.#owner, 0o700, 0);
  }
}
