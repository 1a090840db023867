// The versions that are being read in this process: by the connections of a mount, and by commands.
//
// What is read must not be removed. In a store with one owner the collection asks here; what is opened by name and
// the decisions of a collection exclude each other (`exclusively`), so that no version is removed between the look
// whether it is there and the entry here. A snapshot of the newest version is taken without such care, and a mount may tell
// of it late. It counts if it was told of before the watermark passed it, and at each decision since: nothing else may
// be believed to be whole. Where several processes share a store, what is here is told to the others (pins.ts).

import { type Version, ZERO_VERSION } from '../version.js';
import { ByteGate } from './byte-gate.js';
import type { SnapshotsOpen } from './pins.js';
import type { NamespaceId } from './types.js';

export class OpenVersions {
  readonly #counts = new Map<NamespaceId, Map<Version, number>>();
  readonly #gate = new ByteGate(1);
  /** The watermarks that this process has set. */
  readonly #watermarks = new Map<NamespaceId, Version>();
  /** What was open at the last decision about a namespace. */
  readonly #kept = new Map<NamespaceId, Set<Version>>();
  #ofMount: () => Iterable<readonly [NamespaceId, Version]> = () => [];

  /** @param versions those of the mount's connections, asked for now and then */
  setMount(versions: () => Iterable<readonly [NamespaceId, Version]>): void {
    this.#ofMount = versions;
  }

  add(namespace: NamespaceId, version: Version): void {
    const versions = this.#counts.get(namespace) ?? new Map<Version, number>();
    this.#counts.set(namespace, versions.set(version, (versions.get(version) ?? 0) + 1));
  }

  remove(namespace: NamespaceId, version: Version): void {
    const versions = this.#counts.get(namespace);
    const count = versions?.get(version) ?? 0;
    if (count > 1) versions!.set(version, count - 1);
    else versions?.delete(version);
    if (versions?.size === 0) this.#counts.delete(namespace);
  }

  /** Those that are whole. */
  of(namespace: NamespaceId): readonly Version[] {
    const watermark = this.#watermarks.get(namespace) ?? ZERO_VERSION;
    const [kept, opened] = [this.#kept.get(namespace), this.#counts.get(namespace)];
    const isWhole = (version: Version) =>
      version >= watermark || kept?.has(version) === true || opened?.has(version) === true;
    return (this.all().get(namespace) ?? []).filter(isWhole);
  }

  /** As `of`, for a decision of a collection: what is not among these may be removed by it. */
  atDecision(namespace: NamespaceId): readonly Version[] {
    const open = this.of(namespace);
    this.#kept.set(namespace, new Set(open));
    return open;
  }

  /** To be called when the watermark may have been set, before anything is removed by it. */
  watermarkSet(namespace: NamespaceId, watermark: Version): void {
    const known = this.#watermarks.get(namespace);
    if (known !== undefined && known >= watermark) return;
    this.atDecision(namespace);
    this.#watermarks.set(namespace, watermark);
  }

  /** To be called exclusively, when something else holds the version no longer: those who read it go on. */
  keep(namespace: NamespaceId, version: Version): void {
    this.#kept.set(namespace, new Set([...(this.#kept.get(namespace) ?? []), version]));
  }

  all(): SnapshotsOpen {
    const sets = new Map<NamespaceId, Set<Version>>();
    const add = (namespace: NamespaceId, version: Version): void => {
      sets.set(namespace, (sets.get(namespace) ?? new Set()).add(version));
    };
    for (const [namespace, versions] of this.#counts) for (const version of versions.keys()) add(namespace, version);
    for (const [namespace, version] of this.#ofMount()) add(namespace, version);
    return new Map([...sets].map(([namespace, versions]) => [namespace, [...versions].sort()]));
  }

  /** Runs `work` while no other work of this kind runs. */
  exclusively<T>(work: () => Promise<T>): Promise<T> {
    return this.#gate.pass(1, work);
  }
}
