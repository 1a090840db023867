// What must be readable of a namespace, by a rule that a child can check: a full copy of every version, a floor, and a
// list of what is held. It knows nothing of how the store removes things.
//
// A version is readable when it is not below the floor, or when a tag, a fork, a lock or somebody who has it open holds it.
// A floor never sinks, and never passes the newest version.

import type { MaintenanceLock, RetentionPolicy } from '../../src/store/types.js';
import { type Version, ZERO_VERSION } from '../../src/version.js';
import type { Copy, FileModel } from './file-model.js';

/** Versions that are kept open, as one who reads them would. */
export interface Opened {
  readonly version: Version;
  close(): void;
}

/** What a moment must resolve to, or the code of the refusal. */
export type Resolved = Copy | 'GONE' | 'NOT_FOUND';

export class NamespaceOracle {
  name: string;
  readonly file: FileModel;
  readonly parent: NamespaceOracle | undefined;
  /** How many forks deep it is. */
  readonly depth: number;
  readonly forks = new Map<NamespaceOracle, Version>();
  readonly tags = new Map<string, Version>();
  opened: Opened[] = [];
  lock: Pick<MaintenanceLock, 'owner' | 'version' | 'base'> | undefined;
  policy: RetentionPolicy | undefined;
  floor: Version = ZERO_VERSION;
  /** Since when it has no name any more, and can be brought back. */
  droppedMs: number | undefined;
  isDeleted = false;

  constructor(name: string, file: FileModel, parent?: NamespaceOracle) {
    this.name = name;
    this.file = file;
    this.parent = parent;
    this.depth = parent === undefined ? 0 : parent.depth + 1;
  }

  get newest(): Copy {
    return this.file.newest;
  }

  get copies(): readonly Copy[] {
    return this.file.copies;
  }

  copyOf(version: Version): Copy {
    return this.copies.find(({ head }) => head.version === version)!;
  }

  /** Versions that something needs, whatever the floor. */
  held(): Set<Version> {
    return new Set([
      ...this.tags.values(),
      ...this.forks.values(),
      ...this.opened.map(({ version }) => version),
      ...(this.lock === undefined ? [] : [this.lock.version, this.lock.base]),
    ]);
  }

  isReadable(version: Version): boolean {
    return !this.isDeleted && (version >= this.floor || this.held().has(version));
  }

  /** Those that must read right. */
  readable(): Copy[] {
    const held = this.held();
    return this.isDeleted ? [] : this.copies.filter(({ head }) => head.version >= this.floor || held.has(head.version));
  }

  raiseFloor(version: Version): void {
    const target = version < this.newest.head.version ? version : this.newest.head.version;
    if (target > this.floor) this.floor = target;
  }

  /** Where the policy would have the floor: a version is kept where one of its two parts keeps it. */
  floorByPolicy(nowMs: number, storePolicy: RetentionPolicy): Version {
    const { keepMs, keepVersions } = this.policy ?? storePolicy;
    const commits = this.#commits();
    const floors: Version[] = [];
    if (keepMs !== undefined) {
      const newestThen = commits.filter(({ head }) => head.timeMs <= nowMs - keepMs).at(-1);
      floors.push(newestThen?.head.version ?? ZERO_VERSION);
    }
    if (keepVersions !== undefined) floors.push(commits.at(-keepVersions)?.head.version ?? ZERO_VERSION);
    return floors.sort()[0] ?? ZERO_VERSION;
  }

  /** What a time must resolve to: the newest version then, but for what a lock hides. */
  atTime(timeMs: number): Resolved {
    const then = this.#commits()
      .filter(({ head }) => head.timeMs <= timeMs)
      .at(-1);
    if (then === undefined || then.head.version < this.floor) return this.floor === ZERO_VERSION ? 'NOT_FOUND' : 'GONE';
    if (this.lock !== undefined && then.head.version > this.lock.version) return this.copyOf(this.lock.version);
    return then;
  }

  /** What everybody but the owner of a lock reads. */
  latest(): Copy {
    return this.lock === undefined ? this.newest : this.copyOf(this.lock.version);
  }

  /** The empty file before the first commit is no commit. */
  #commits(): readonly Copy[] {
    return this.copies.filter(({ head }) => head.version !== ZERO_VERSION);
  }
}
