// Who moves a file to another filesystem, as mv(1) and Python's shutil.move do, copies what they find at its path and then
// removes it. That is a symlink here: the copy would lead nowhere, and the database would be gone. Like that they are
// told apart from everybody else: the symlink is read, and nothing is asked of what it leads to before it is removed.

import type { Request } from '../native/binding.js';
import type { InodeNumber } from './node.js';

/** Threads that are remembered; those that only list a directory are soon of no interest. */
const THREADS_MAX = 64;

export class LinkReads {
  /** By thread: the symlink that it read, if it went no further since. */
  readonly #last = new Map<number, InodeNumber>();

  /**
   * To be told of each request before it is served.
   * @param inDirectory whether it is one to a directory of databases
   */
  came({ op, nodeid, pid }: Request, inDirectory: boolean): void {
    if (this.#last.size === 0) return;
    // The path is looked up from the root each time it is used.
    if (inDirectory && (op === 'lookup' || op === 'unlink')) return;
    if (this.#last.get(pid) !== nodeid) this.#last.delete(pid);
  }

  read(link: InodeNumber, pid: number): void {
    this.#last.delete(pid);
    this.#last.set(pid, link);
    const [oldest] = this.#last.keys();
    if (this.#last.size > THREADS_MAX) this.#last.delete(oldest!);
  }

  /** Whether a thread is about to remove what it did no more than copy the symlink of. */
  isCopied(link: InodeNumber, pid: number): boolean {
    const copied = this.#last.get(pid) === link;
    // Who tries again means it.
    this.#last.delete(pid);
    return copied;
  }
}
