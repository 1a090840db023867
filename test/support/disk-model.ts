// A disk that loses power: what of a store's files may be left, given the calls made until then.
//
// Certain is what was written before a sync of the file began that returned without error; names (a file made or
// unlinked) what happened before such a sync of the directory. All else may be there or not, in any order, torn at
// sectors. The write-ahead log's index (-shm) is memory: it is never left.
//
// After a sync that failed, what it was to write is in doubt for good, although every process still reads it: the kernel
// takes the pages for written, and a later sync leaves them out unless they were written to again (fsync(2), ERRORS).

import { type Random, randomInteger } from './random.js';
import type { StoreFile, TraceEvent } from './store-trace.js';

export const SECTOR_BYTES = 512;
/** Of the kernel's cache. */
const PAGE_BYTES = 4096;

/**
 * What becomes of uncertain calls: none or all of them survive; whole ones at random, in random order; or every sector
 * has what it had at a random moment.
 */
export const SURVIVALS = ['none', 'all', 'some', 'torn'] as const;
export type Survival = (typeof SURVIVALS)[number];

export type NamedFile = Exclude<StoreFile, 'directory'>;

interface Change {
  readonly order: number;
  readonly offset: number;
  /** Undefined for a truncation to `offset`. */
  readonly data: Buffer | undefined;
}

interface NameChange {
  readonly order: number;
  readonly name: NamedFile;
  readonly inode: Inode | undefined;
}

/** The bytes of a file, growing. */
class Content {
  #bytes: Buffer;
  length: number;

  constructor(bytes = Buffer.alloc(0)) {
    this.#bytes = bytes;
    this.length = bytes.length;
  }

  get bytes(): Buffer {
    return this.#bytes.subarray(0, this.length);
  }

  write(offset: number, data: Buffer): void {
    const end = offset + data.length;
    if (end > this.#bytes.length) this.#bytes = Buffer.concat([this.#bytes, Buffer.alloc(end)]);
    this.length = Math.max(this.length, end);
    data.copy(this.#bytes, offset);
  }

  apply({ offset, data }: Change): void {
    if (data !== undefined) {
      this.write(offset, data);
      return;
    }
    if (offset < this.length) this.#bytes.fill(0, offset, this.length);
    else this.write(offset, Buffer.alloc(0));
    this.length = offset;
  }

  copy(): Content {
    return new Content(Buffer.from(this.bytes));
  }
}

class Inode {
  readonly certain = new Content();
  uncertain: Change[] = [];
  /** By page: left out by a sync that failed. */
  readonly #doubtful = new Map<number, Change[]>();

  settle(before: number): void {
    for (const change of this.#take(before)) {
      const end = change.data === undefined ? Number.POSITIVE_INFINITY : change.offset + change.data.length;
      for (const [page, pieces] of this.#doubtful) {
        if (page * PAGE_BYTES >= end || (page + 1) * PAGE_BYTES <= change.offset) continue;
        for (const piece of pieces) this.certain.apply(piece);
        this.#doubtful.delete(page);
      }
      this.certain.apply(change);
    }
  }

  doubt(before: number): void {
    for (const change of this.#take(before)) {
      for (const piece of cutAt(change, PAGE_BYTES)) {
        const page = Math.floor(piece.offset / PAGE_BYTES);
        this.#doubtful.set(page, [...(this.#doubtful.get(page) ?? []), piece]);
      }
    }
  }

  survive(survival: Survival, random: Random): Buffer {
    const content = this.certain.copy();
    for (const pieces of this.#doubtful.values()) {
      for (const piece of choose(pieces, survival === 'torn' ? 'some' : survival, random)) content.apply(piece);
    }
    if (survival === 'torn') applyTorn(content, this.uncertain, random);
    else for (const change of choose(this.uncertain, survival, random)) content.apply(change);
    return content.bytes;
  }

  #take(before: number): Change[] {
    const taken = this.uncertain.filter(({ order }) => order < before);
    this.uncertain = this.uncertain.filter(({ order }) => order >= before);
    return taken;
  }
}

export class DiskModel {
  #order = 0;
  /** As the process sees them, and as they certainly are. */
  readonly #names = new Map<NamedFile, Inode>();
  readonly #certainNames = new Map<NamedFile, Inode>();
  #uncertainNames: NameChange[] = [];
  readonly #syncs = new Map<number, { readonly inode: Inode | undefined; readonly order: number }>();

  apply(event: TraceEvent): void {
    this.#order += 1;
    switch (event.kind) {
      case 'create':
        if (event.file !== 'directory' && !this.#names.has(event.file)) this.#name(event.file, new Inode());
        return;
      case 'unlink':
        if (event.file !== 'directory') this.#name(event.file, undefined);
        return;
      case 'write':
        this.#inode(event.file)!.uncertain.push({ order: this.#order, offset: event.offset, data: event.data });
        return;
      case 'truncate':
        this.#inode(event.file)!.uncertain.push({ order: this.#order, offset: event.size, data: undefined });
        return;
      case 'syncBegin':
        this.#syncs.set(event.id, { inode: this.#inode(event.file), order: this.#order });
        return;
      case 'syncEnd':
        if (event.errno === 0) this.#settle(event.id);
        else this.#doubt(event.id);
    }
  }

  /** The files that a power cut now may leave. */
  cut(survival: Survival, random: Random): Map<NamedFile, Buffer> {
    const names = new Map(this.#certainNames);
    // The changes of one name keep their order; those of different names need not.
    for (const name of new Set(this.#uncertainNames.map((change) => change.name))) {
      const changes = this.#uncertainNames.filter((change) => change.name === name);
      const kept =
        survival === 'none' ? 0 : survival === 'all' ? changes.length : randomInteger(random, 0, changes.length);
      if (kept > 0) setName(names, changes[kept - 1]!);
    }
    return new Map([...names].map(([name, inode]) => [name, inode.survive(survival, random)]));
  }

  /** Calls that a cut now may undo. */
  get uncertainCount(): number {
    const inodes = new Set([...this.#names.values(), ...this.#certainNames.values()]);
    return [...inodes].reduce((count, { uncertain }) => count + uncertain.length, this.#uncertainNames.length);
  }

  #name(name: NamedFile, inode: Inode | undefined): void {
    const change = { order: this.#order, name, inode };
    this.#uncertainNames.push(change);
    setName(this.#names, change);
  }

  #inode(file: StoreFile): Inode | undefined {
    return file === 'directory' ? undefined : this.#names.get(file);
  }

  #doubt(id: number): void {
    const { inode, order } = this.#syncs.get(id)!;
    inode?.doubt(order);
  }

  #settle(id: number): void {
    const { inode, order } = this.#syncs.get(id)!;
    if (inode !== undefined) {
      inode.settle(order);
      return;
    }
    for (const change of this.#uncertainNames) if (change.order < order) setName(this.#certainNames, change);
    this.#uncertainNames = this.#uncertainNames.filter((change) => change.order >= order);
  }
}

/** The parts of a write that lie in different blocks of that size; a truncation as it is. */
function cutAt(change: Change, bytes: number): Change[] {
  const { order, offset, data } = change;
  if (data === undefined) return [change];
  const pieces: Change[] = [];
  for (let from = offset; from < offset + data.length; ) {
    const to = Math.min(offset + data.length, (Math.floor(from / bytes) + 1) * bytes);
    pieces.push({ order, offset: from, data: data.subarray(from - offset, to - offset) });
    from = to;
  }
  return pieces;
}

function setName(names: Map<NamedFile, Inode>, { name, inode }: NameChange): void {
  if (inode === undefined) names.delete(name);
  else names.set(name, inode);
}

function choose(changes: readonly Change[], survival: Survival, random: Random): Change[] {
  if (survival === 'none') return [];
  if (survival === 'all') return [...changes];
  const share = random();
  const chosen = changes.filter(() => random() < share);
  if (random() < 0.5) return chosen;
  const keys = new Map(chosen.map((change) => [change, random()]));
  return chosen.sort((one, other) => keys.get(one)! - keys.get(other)!);
}

function applyTorn(content: Content, changes: readonly Change[], random: Random): void {
  const share = random();
  const momentOf = new Map<number, number>();
  for (const [index, change] of changes.entries()) {
    if (change.data === undefined) {
      if (random() < share) content.apply(change);
      continue;
    }
    for (const piece of cutAt(change, SECTOR_BYTES)) {
      const sector = Math.floor(piece.offset / SECTOR_BYTES);
      let moment = momentOf.get(sector);
      if (moment === undefined) {
        moment = random() < share ? changes.length : randomInteger(random, 0, changes.length);
        momentOf.set(sector, moment);
      }
      if (index < moment) content.apply(piece);
    }
  }
}
