// Write leases: which of the processes that share a store may write a namespace.
//
// A lease is a record with a token that grows by one whenever the lease changes hands. Every commit checks that the
// token is still its own, in the engine's transaction; that alone keeps two processes from writing at once. Its holder
// keeps it while nobody else asks, passes it on when somebody does and no connection here is writing, and loses it
// to whoever has seen no sign of life of it for as long as a lease lasts, by that one's own clock.
//
// While the lease is surely held, nobody else can commit: then a remembered head is the newest, and a snapshot costs no
// round trip. "Surely" is: the clock, which goes on while the machine sleeps, shows less than the time at which the last
// successful sign of life was *sent*, plus the lease's time, less a margin; and no commit of this process is under way,
// which others may see before its answer is here. That rests on clocks that go at about the same rate; `leaseReads`
// turns it off. No commit rests on it.

import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { MvfuseError } from '../errors.js';
import type { Engine, ReadTransaction, Transaction } from '../kv/engine.js';
import {
  LEASE_BEAT_MS_MAX,
  LEASE_BEATS,
  LEASE_HOLD_MS,
  LEASE_MARGIN,
  LEASE_POLL_MS,
  LEASE_YIELD_MS,
  PIN_MS_MAX,
} from '../limits.js';
import type { StoreObserver } from '../observers.js';
import type { Version } from '../version.js';
import { Wakeup } from '../wakeup.js';
import type { HeadUpdate } from './heads.js';
import { type DaemonId, daemonKey, daemonOfKey, daemonRange, leaseKey, pinKey, wantedKey } from './keys.js';
import { Pins, type SnapshotsOpen } from './pins.js';
import {
  type BeatRecord,
  decodeBeat,
  decodeLease,
  encodeBeat,
  encodeLease,
  type LeaseRecord,
  type ProcessIdentity,
} from './records.js';
import { Sightings } from './sightings.js';
import type { NamespaceId } from './types.js';
import type { WriteLock } from './write-lock.js';

/** What a process that shares its store with others is, and how it deals with leases. */
export interface HostOptions {
  /** Told to the others. */
  readonly name: string;
  readonly pid: number;
  /** Who this process is among those of its machine, and how it finds out that another of them is gone. */
  readonly identity: ProcessIdentity;
  isGone(other: ProcessIdentity): boolean;
  /** Milliseconds of a clock that goes on while the machine sleeps. */
  readonly bootTimeMs: () => number;
  /** How long a lease outlives the last sign of life of this process. */
  readonly leaseMs: number;
  /** Whether a lease that is surely held spares reads the question for the newest head. */
  readonly leaseReads: boolean;
}

export interface WriteLeasesOptions {
  readonly engine: Engine;
  readonly host: HostOptions;
  readonly lockOf: (namespace: NamespaceId) => WriteLock;
  /** What is open in this process. */
  readonly snapshots: () => SnapshotsOpen;
  /** Reads the head within the transaction that takes a lease; what it found is taken in once that is committed. */
  readonly look: (transaction: ReadTransaction, namespace: NamespaceId) => Promise<HeadUpdate>;
  readonly takeIn: (namespace: NamespaceId, update: HeadUpdate) => void;
  /** A lease was got with this token: nothing that was begun under an older one can be committed any more. */
  readonly onTaken: (namespace: NamespaceId, token: number) => void;
  readonly observer?: StoreObserver | undefined;
}

/** How long a process has been silent, and after which time others may take what it has. */
export interface SignOfLife {
  readonly silentMs: number;
  readonly leaseMs: number;
}

/** What a commit under a lease is checked by. */
export interface Fence {
  readonly token: number;
  /** As of this commit the lease was held, and the namespace's head was the one that is known here. */
  readonly asOf: Version;
}

/** The longest time that a timer knows. */
const FOREVER_MS = 2 ** 31 - 1;

interface Lease {
  readonly namespace: NamespaceId;
  readonly token: number;
  readonly takenMs: number;
  readonly ended: AbortController;
  sureUntilMs: number;
  asOf: Version;
  releasing: Promise<void> | undefined;
  /** Of this process, sent and not answered. */
  commits: number;
  /** Woken when somebody is seen to ask for it. */
  readonly asked: Wakeup;
}

type Attempt =
  | {
      readonly kind: 'taken';
      readonly token: number;
      readonly update: HeadUpdate;
      readonly sentMs: number;
      readonly signed: () => void;
    }
  | { readonly kind: 'held'; readonly owner: string; readonly record: LeaseRecord };

export class WriteLeases {
  readonly daemon: DaemonId = randomBytes(16).toString('hex');
  readonly #options: WriteLeasesOptions;
  readonly #engine: Engine;
  readonly #host: HostOptions;
  readonly #held = new Map<NamespaceId, Lease>();
  readonly #sightings: Sightings<NamespaceId>;
  /** Of all processes that share the store. */
  readonly #daemonSightings: Sightings<DaemonId>;
  readonly #pins = new Pins(this.daemon);
  readonly #yieldUntilMs = new Map<NamespaceId, number>();
  readonly #closed = new AbortController();
  /** Asked with each sign of life. */
  readonly #snapshots: () => SnapshotsOpen;
  /** Whether the others are to see that this process is there, whatever it holds. */
  #isPresent = false;
  /** Of the last sign of life; no two are alike. */
  #beat = 0;
  /** When the last sign of life that reached the store was sent. */
  #seenMs: number | undefined;
  /** Signs of life that were sent and not answered. */
  #signing = 0;
  /** Whether the others can see that this process is there. */
  #registered = false;
  #beating: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: WriteLeasesOptions) {
    this.#options = options;
    this.#engine = options.engine;
    this.#host = options.host;
    this.#snapshots = options.snapshots;
    this.#sightings = new Sightings(options.host.bootTimeMs);
    this.#daemonSightings = new Sightings(options.host.bootTimeMs);
  }

  /** How many leases this process has. */
  get count(): number {
    return this.#held.size;
  }

  /** Of a process that serves a mount: how long the others have seen nothing of it. */
  get signOfLife(): SignOfLife | undefined {
    if (this.#snapshots === undefined || this.#seenMs === undefined) return undefined;
    return { silentMs: this.#host.bootTimeMs() - this.#seenMs, leaseMs: this.#host.leaseMs };
  }

  /** Whether nobody else can have committed to the namespace by now. */
  surelyHeld(namespace: NamespaceId): boolean {
    const lease = this.#held.get(namespace);
    return this.#host.leaseReads && lease !== undefined && lease.commits === 0 && this.#sure(lease);
  }

  /** What a commit is checked by; undefined without a lease. */
  fence(namespace: NamespaceId): Fence | undefined {
    const lease = this.#held.get(namespace);
    return lease?.releasing === undefined ? lease : undefined;
  }

  /**
   * Runs a commit to these namespaces. Until what it resolves with is taken in, nobody relies on a remembered head.
   * @param commit resolves with the commit's version
   */
  async committing(namespaces: readonly NamespaceId[], commit: () => Promise<Version | undefined>): Promise<void> {
    const leases = namespaces.flatMap((namespace) => this.#held.get(namespace) ?? []);
    for (const lease of leases) lease.commits += 1;
    try {
      const version = await commit();
      for (const lease of leases) if (version !== undefined && lease.asOf < version) lease.asOf = version;
    } finally {
      for (const lease of leases) lease.commits -= 1;
    }
  }

  /** To be called by the transaction that commits. @throws CONFLICT when another process took the lease over */
  async require(transaction: Transaction, namespace: NamespaceId): Promise<void> {
    const fence = this.fence(namespace);
    if (fence !== undefined && transaction.isAsOf) return transaction.expectUnchanged(leaseKey(namespace));
    const record = await readLease(transaction, namespace);
    if (fence !== undefined && record.owner === this.daemon && record.token === fence.token) return;
    throw new MvfuseError('CONFLICT', `the write lease of namespace ${namespace} went to another host`);
  }

  /**
   * Resolves when this process has the lease. Whoever calls holds the namespace's write lock here, which keeps the lease
   * from being passed on.
   * @throws BUSY when another process keeps it for `waitMsMax`; STORE_FAILED
   */
  async acquire(namespace: NamespaceId, waitMsMax: number): Promise<void> {
    const deadlineMs = performance.now() + waitMsMax;
    for (;;) {
      const lease = this.#held.get(namespace);
      if (lease !== undefined && (await this.#stillHeld(lease))) return;
      const attempt = await this.#try(namespace);
      if (attempt.kind === 'taken') return;
      const leftMs = deadlineMs - performance.now();
      if (leftMs <= 0) {
        throw new MvfuseError('BUSY', `the namespace is being written by ${attempt.owner}, after ${waitMsMax} ms`);
      }
      const pauseMs = this.#yieldMs(namespace) || LEASE_POLL_MS;
      const { record } = attempt;
      const seen = record.token === 0 ? undefined : encodeLease(record);
      await this.#changed(leaseKey(namespace), seen, Math.min(leftMs, pauseMs), this.#closed.signal);
    }
  }

  /** Asks another process that has the lease to pass it on, so that it looks at the namespace again; waits for nothing. */
  async ask(transaction: Transaction, namespace: NamespaceId): Promise<void> {
    const { owner } = await readLease(transaction, namespace);
    if (owner !== undefined && owner !== this.daemon) await this.#ask(transaction, namespace);
  }

  /** From now on this process shows that it is there, and what it has open is kept for it. */
  appear(): void {
    if (this.#isPresent) return;
    this.#isPresent = true;
    this.#startBeating();
    // What is left shows only in the status.
    this.#forgetGone().catch(() => undefined);
  }

  /** Resolves when the others can see that the version is open here; false when it was removed before. @throws STORE_FAILED */
  async pin(namespace: NamespaceId, version: Version): Promise<boolean> {
    this.appear();
    // A sign of life that is under way may have been made before, and may tell that nothing is open.
    if (this.#signing === 0 && this.#pins.isPinned(namespace, version)) return true;
    await this.#beating?.catch(() => undefined);
    await this.#renew();
    return this.#pins.isPinned(namespace, version);
  }

  /** Removes the signs of life of processes that have given none for as long as what they have open is kept for them. */
  async forgetSilent(): Promise<void> {
    const beats = await this.#engine.read((transaction) => transaction.getRange(daemonRange.begin, daemonRange.end));
    for (const { key, value } of beats) {
      const { beat, leaseMs } = decodeBeat(value);
      const keptMs = Math.max(leaseMs, PIN_MS_MAX);
      if (!this.#daemonSightings.outlived(daemonOfKey(key), 0, { beat, leaseMs: keptMs })) continue;
      await this.#engine.transact(async (transaction) => {
        if ((await transaction.get(key))?.equals(value)) transaction.clear(key);
      });
    }
  }

  /** Passes everything on. */
  async close(): Promise<void> {
    this.#closed.abort();
    clearTimeout(this.#timer);
    await this.#beating?.catch(() => undefined);
    const leases = [...this.#held.values()];
    this.#held.clear();
    if (!this.#registered) return;
    for (const lease of leases) lease.ended.abort();
    const over = async (transaction: Transaction): Promise<void> => {
      await Promise.all(leases.map((lease) => this.#giveUp(transaction, lease)));
      await this.#pins.write(transaction, new Map());
      transaction.clear(daemonKey(this.daemon));
    };
    // Where that fails, the others wait until the lease's time is over.
    await this.#engine.transact(over).catch(() => undefined);
  }

  #sure(lease: Lease): boolean {
    return lease.releasing === undefined && this.#host.bootTimeMs() < lease.sureUntilMs;
  }

  /** A lease that may have been taken over, after a pause of this process or an outage, is looked at. */
  async #stillHeld(lease: Lease): Promise<boolean> {
    if (lease.releasing !== undefined) await lease.releasing;
    else if (!this.#sure(lease)) await this.#renew();
    return this.#held.get(lease.namespace) === lease && lease.releasing === undefined;
  }

  async #try(namespace: NamespaceId): Promise<Attempt> {
    const { value, version } = await this.#signingWith(() =>
      this.#engine.transact((transaction) => this.#take(transaction, namespace)),
    );
    if (value.kind === 'taken') {
      value.signed();
      this.#taken(namespace, value, version!);
    }
    return value;
  }

  async #take(transaction: Transaction, namespace: NamespaceId): Promise<Attempt> {
    const sentMs = this.#host.bootTimeMs();
    // The head is read, not only looked at: it makes a commit of the former holder, and this, exclude each other.
    const [record, update] = await Promise.all([
      readLease(transaction, namespace),
      this.#options.look(transaction, namespace),
    ]);
    const { owner } = record;
    if (owner === undefined && this.#yieldMs(namespace) > 0) return { kind: 'held', owner: 'others', record };
    if (owner !== undefined && owner !== this.daemon) {
      const bytes = await transaction.get(daemonKey(owner));
      const beat = bytes && decodeBeat(bytes);
      if (beat !== undefined && !this.#isGone(namespace, record.token, beat)) {
        await this.#ask(transaction, namespace);
        return { kind: 'held', owner: `${beat.host} (process ${beat.pid})`, record };
      }
      // What else it held is free at once; should it live after all, its next sign of life says so.
      transaction.clear(daemonKey(owner));
      transaction.clear(pinKey(namespace, owner));
    }
    const token = record.token + 1;
    transaction.set(leaseKey(namespace), encodeLease({ token, owner: this.daemon }));
    transaction.clear(wantedKey(namespace));
    // Others count from the last sign of life: with this, no lease is younger than that.
    const signed = await this.#sign(transaction);
    return { kind: 'taken', token, update, sentMs, signed };
  }

  async #ask(transaction: Transaction, namespace: NamespaceId): Promise<void> {
    const wanted = await transaction.get(wantedKey(namespace));
    if (wanted === undefined) transaction.set(wantedKey(namespace), Buffer.from(this.daemon, 'hex'));
  }

  #isGone(namespace: NamespaceId, token: number, beat: BeatRecord): boolean {
    return this.#host.isGone(beat.identity) || this.#sightings.outlived(namespace, token, beat);
  }

  #taken(namespace: NamespaceId, { token, update, sentMs }: Attempt & { kind: 'taken' }, asOf: Version): void {
    this.#registered = true;
    this.#sightings.forget(namespace);
    const takenMs = this.#host.bootTimeMs();
    const lease: Lease = {
      namespace,
      token,
      takenMs,
      asOf,
      ended: new AbortController(),
      sureUntilMs: this.#sureUntil(sentMs),
      releasing: undefined,
      commits: 0,
      asked: new Wakeup(),
    };
    this.#held.get(namespace)?.ended.abort();
    this.#held.set(namespace, lease);
    this.#options.takeIn(namespace, update);
    this.#options.onTaken(namespace, token);
    this.#options.observer?.leaseChanged('taken');
    this.#startBeating();
    this.#attend(lease).catch(() => undefined);
  }

  #sureUntil(sentMs: number): number {
    return sentMs + this.#host.leaseMs * (1 - LEASE_MARGIN);
  }

  // --- signs of life

  #startBeating(): void {
    if (this.#closed.signal.aborted) return;
    const next = (): void => {
      this.#timer = undefined;
      if (this.#held.size > 0 || this.#isPresent) this.#startBeating();
    };
    const pauseMs = Math.min(this.#host.leaseMs / LEASE_BEATS, LEASE_BEAT_MS_MAX);
    this.#timer ??= setTimeout(() => this.#renew().then(next, next), pauseMs);
  }

  /** Removes the signs of life of processes that ended on this machine without doing so themselves. */
  async #forgetGone(): Promise<void> {
    const beats = await this.#engine.read((transaction) => transaction.getRange(daemonRange.begin, daemonRange.end));
    const gone = beats.filter(({ value }) => this.#host.isGone(decodeBeat(value).identity));
    if (gone.length === 0) return;
    await this.#engine.transact(async (transaction) => {
      for (const { key } of gone) transaction.clear(key);
    });
  }

  /** Gives a sign of life, and finds out which leases are still held. */
  #renew(): Promise<void> {
    this.#beating ??= this.#renewOnce().finally(() => {
      this.#beating = undefined;
    });
    return this.#beating;
  }

  async #renewOnce(): Promise<void> {
    const leases = [...this.#held.values()].filter(({ releasing }) => releasing === undefined);
    if (leases.length === 0 && !this.#isPresent) return;
    const giveSign = async (transaction: Transaction) => {
      const sentMs = this.#host.bootTimeMs();
      const [records, wanted, signed] = await Promise.all([
        Promise.all(leases.map(({ namespace }) => readLease(transaction, namespace))),
        Promise.all(leases.map(({ namespace }) => transaction.snapshot.get(wantedKey(namespace)))),
        this.#sign(transaction),
      ]);
      return { sentMs, records, wanted, signed };
    };
    const { value, version } = await this.#signingWith(() => this.#engine.transact(giveSign));
    value.signed();
    this.#registered = true;
    this.#seenMs = value.sentMs;
    for (const [index, lease] of leases.entries()) {
      const { token, owner } = value.records[index]!;
      if (owner !== this.daemon || token !== lease.token) {
        this.#lose(lease);
        this.#options.observer?.leaseChanged('lost');
        continue;
      }
      lease.sureUntilMs = Math.max(lease.sureUntilMs, this.#sureUntil(value.sentMs));
      if (lease.asOf < version!) lease.asOf = version!;
      if (value.wanted[index] !== undefined) lease.asked.wake();
    }
  }

  async #signingWith<T>(work: () => Promise<T>): Promise<T> {
    this.#signing += 1;
    try {
      return await work();
    } finally {
      this.#signing -= 1;
    }
  }

  /**
   * Writes a sign of life, and with it what is open here: never one without the other. Once the transaction is
   * committed, what it returns is to be called.
   */
  async #sign(transaction: Transaction): Promise<() => void> {
    // Two of these at once exclude each other, for both read this. Who was taken for dead has nothing pinned any more.
    if ((await transaction.get(daemonKey(this.daemon))) === undefined) this.#pins.forget();
    const written = await this.#pins.write(transaction, this.#snapshots());
    this.#writeBeat(transaction);
    return written;
  }

  #writeBeat(transaction: Transaction): void {
    const { name: host, pid, identity, leaseMs } = this.#host;
    transaction.set(daemonKey(this.daemon), encodeBeat({ beat: ++this.#beat, host, pid, identity, leaseMs }));
  }

  #lose(lease: Lease): void {
    lease.ended.abort();
    if (this.#held.get(lease.namespace) === lease) this.#held.delete(lease.namespace);
  }

  // --- passing on

  /** Passes the lease on once somebody asks for it and nobody here writes. */
  async #attend(lease: Lease): Promise<void> {
    const { namespace, ended } = lease;
    while (!ended.signal.aborted) {
      await this.#asked(lease);
      const wanted = await this.#engine
        .read((transaction) => transaction.get(wantedKey(namespace)))
        .catch(() => undefined);
      if (wanted !== undefined) await this.#passOnWhenIdle(lease);
    }
  }

  async #passOnWhenIdle(lease: Lease): Promise<void> {
    while (await this.#idle(lease)) {
      // Somebody may have begun to write since that was found out.
      if (this.#options.lockOf(lease.namespace).free) return this.#passOn(lease);
    }
  }

  /** Resolves when somebody may have asked for the lease, or it is gone. A watch tells first, a sign of life at the latest. */
  async #asked({ namespace, ended, asked }: Lease): Promise<void> {
    const enough = new AbortController();
    const signal = AbortSignal.any([ended.signal, enough.signal]);
    const seen = asked.wait(FOREVER_MS, signal);
    const told = this.#engine.watch(wantedKey(namespace), undefined, signal).catch(() => seen);
    await Promise.race([seen, told]);
    enough.abort();
  }

  /** Resolves once nobody here writes; false when the lease is gone. */
  async #idle(lease: Lease): Promise<boolean> {
    const lock = this.#options.lockOf(lease.namespace);
    for (;;) {
      if (lease.ended.signal.aborted) return false;
      const heldMs = this.#host.bootTimeMs() - lease.takenMs;
      if (heldMs < LEASE_HOLD_MS) await sleep(LEASE_HOLD_MS - heldMs);
      else if (lock.free) return true;
      else await lock.released.wait(LEASE_HOLD_MS, lease.ended.signal);
    }
  }

  /** Called with the write lock free: from the first line on, no commit relies on the lease. */
  async #passOn(lease: Lease): Promise<void> {
    const { namespace } = lease;
    const passing = this.#engine.transact(async (transaction) => {
      await this.#giveUp(transaction, lease);
      transaction.clear(wantedKey(namespace));
    });
    lease.releasing = passing.then(
      () => {
        this.#yieldUntilMs.set(namespace, performance.now() + LEASE_YIELD_MS);
        this.#lose(lease);
        this.#options.observer?.leaseChanged('passed-on');
      },
      () => {
        // Perhaps it was passed on, perhaps not: the next look shows it.
        lease.sureUntilMs = 0;
        lease.releasing = undefined;
      },
    );
    await lease.releasing;
  }

  async #giveUp(transaction: Transaction, { namespace, token }: Lease): Promise<void> {
    const record = await readLease(transaction, namespace);
    if (record.owner !== this.daemon || record.token !== token) return;
    transaction.set(leaseKey(namespace), encodeLease({ token, owner: undefined }));
  }

  /** How long a free lease, which was just passed on, is still left to those who asked for it. */
  #yieldMs(namespace: NamespaceId): number {
    return Math.max(0, (this.#yieldUntilMs.get(namespace) ?? 0) - performance.now());
  }

  /** Resolves when the key's value may be another than `seen`, after `waitMsMax`, or when the signal aborts; never rejects. */
  async #changed(key: Buffer, seen: Buffer | undefined, waitMsMax: number, signal: AbortSignal): Promise<void> {
    const enough = new AbortController();
    const timer = setTimeout(() => enough.abort(), waitMsMax);
    await this.#engine.watch(key, seen, AbortSignal.any([signal, enough.signal])).catch(() => undefined);
    clearTimeout(timer);
  }
}

async function readLease(transaction: ReadTransaction, namespace: NamespaceId): Promise<LeaseRecord> {
  const bytes = await transaction.get(leaseKey(namespace));
  return bytes === undefined ? { token: 0, owner: undefined } : decodeLease(bytes);
}
