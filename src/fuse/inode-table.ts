// Every inode that the kernel knows, by number, with how often it was told of it.

import { RequestError } from './errno.js';
import type { InodeNumber, Node } from './node.js';

/** The kernel's number for the root of a mount. */
export const ROOT_INO = 1 as InodeNumber;

export class InodeTable {
  readonly #nodes = new Map<number, Node>();
  #last: number = ROOT_INO;

  /** A number that was never used before. */
  next(): InodeNumber {
    this.#last += 1;
    return this.#last as InodeNumber;
  }

  get count(): number {
    return this.#nodes.size;
  }

  /** Keeps a node that the kernel never forgets. */
  addPermanent(node: Node): void {
    node.lookups = Number.POSITIVE_INFINITY;
    this.#nodes.set(node.ino, node);
  }

  /** @throws ESTALE for an inode that the kernel should not know */
  get(ino: number): Node {
    const node = this.#nodes.get(ino);
    if (node === undefined) throw new RequestError('ESTALE');
    return node;
  }

  /** The kernel is being told of the node once more. */
  remember(node: Node): void {
    node.lookups += 1;
    this.#nodes.set(node.ino, node);
  }

  forget(ino: number, count: number): void {
    const node = this.#nodes.get(ino);
    if (node === undefined) return;
    node.lookups -= count;
    if (node.lookups > 0) return;
    this.#nodes.delete(ino);
    node.forgotten();
  }
}
