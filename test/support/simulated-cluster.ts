// Hosts that share a versioned store under a write lease, in memory and seeded: a maker of histories for tests of the
// checker, with bugs that can be switched on. Each tick one client, chosen at random, takes one step through its host.
// Hosts stop for a while now and then, with a commit prepared or answers owed; meanwhile others take the lease over.

import { type Action, apply, type Completion, type History, Recorder } from './history/operations.js';
import { type Random, randomInteger, seededRandom } from './random.js';

export type Bug =
  /** The store takes a commit without looking at its token and base: it replaces what others committed meanwhile. */
  | 'token-unchecked'
  /** As above, and what it takes is put on top of the others' commits. */
  | 'stale-base'
  /** A host answers reads from the head that it remembers, without looking whether its lease is over. */
  | 'read-after-expiry'
  /** The newest version is lost when another host takes over. */
  | 'commit-lost'
  /** A read takes some rows of the newest version and the rest of the one before. */
  | 'torn-read'
  /** A commit that is answered with an error took place, and is done again. */
  | 'applied-twice'
  /** A commit that is refused takes place. */
  | 'refusal-applied';

const HOSTS = 3;
const CLIENTS = 7;
const ROWS = 6;
const BALANCE = 100;
const LEASE_TICKS = 25;
const PAUSE_TICKS_MAX = 6 * LEASE_TICKS;
const NS_PER_TICK = 1_000;

interface Version {
  readonly values: readonly number[];
  readonly ops: readonly string[];
}

interface Host {
  readonly name: string;
  token: number;
  /** By its own belief; not to be trusted after a pause. */
  leaseEnd: number;
  head: Version;
  pausedUntil: number;
  /** The client whose transaction holds the host's write lock. */
  writer: Client | undefined;
}

/** An operation under way: each step returns the next one, or how it ended. */
type Step = () => Step | Completion;

interface Client {
  readonly name: string;
  readonly host: Host;
  op: string;
  step: Step | undefined;
}

export class SimulatedCluster {
  readonly #random: Random;
  readonly #bug: Bug | undefined;
  readonly #bank: boolean;
  readonly #recorder = new Recorder();
  readonly #hosts: Host[];
  readonly #clients: Client[];
  readonly #initial: number[];
  #now = 0;
  #invoked = 0;
  // The store.
  #head: Version;
  #before: Version;
  #token = 0;
  #leaseEnd = 0;

  private constructor(seed: number, bug: Bug | undefined) {
    this.#random = seededRandom(seed);
    this.#bug = bug;
    this.#bank = this.#chance(0.5);
    this.#initial = new Array<number>(ROWS).fill(BALANCE);
    this.#head = { values: this.#initial, ops: [] };
    this.#before = this.#head;
    this.#hosts = Array.from({ length: HOSTS }, (_, index) => {
      return { name: `host${index}`, token: 0, leaseEnd: 0, head: this.#head, pausedUntil: 0, writer: undefined };
    });
    this.#clients = Array.from({ length: CLIENTS }, (_, index) => {
      return { name: `client${index}`, host: this.#hosts[index % HOSTS]!, op: '', step: undefined };
    });
  }

  static run(seed: number, ticks: number, bug?: Bug): History {
    const cluster = new SimulatedCluster(seed, bug);
    for (let tick = 0; tick < ticks; tick++) cluster.#tick();
    return {
      seed,
      initial: cluster.#initial,
      ...(cluster.#bank && { total: ROWS * BALANCE }),
      operations: cluster.#recorder.operations(),
      order: cluster.#head.ops.map((op, index) => ({ n: index + 1, op })),
      integrity: ['ok'],
    };
  }

  #tick(): void {
    this.#now += 1;
    const client = this.#pick(this.#clients);
    const { host } = client;
    if (this.#chance(0.015)) host.pausedUntil = this.#now + randomInteger(this.#random, 1, PAUSE_TICKS_MAX);
    if (host.pausedUntil > this.#now) return;
    if (client.step === undefined) {
      client.step = this.#invoke(client);
      return;
    }
    const next = client.step();
    client.step = typeof next === 'function' ? next : undefined;
    if (typeof next === 'function') return;
    if (host.writer === client) host.writer = undefined;
    // A client that is killed never says how it ended.
    if (this.#chance(0.98)) this.#recorder.complete(client.op, { ...next, respondedNs: this.#nowNs() });
  }

  #invoke(client: Client): Step {
    this.#invoked += 1;
    const op = `${client.name}-${this.#invoked}`;
    const action = this.#action();
    client.op = op;
    this.#recorder.invoke({ op, client: client.name, host: client.host.name, action, invokedNs: this.#nowNs() });
    return action.kind === 'read' ? () => this.#read(client.host) : () => this.#begin(client, action);
  }

  #action(): Action {
    const id = randomInteger(this.#random, 0, ROWS - 1);
    if (this.#chance(0.5)) return { kind: 'read', ids: [...this.#initial.keys()] };
    if (this.#bank) return { kind: 'transfer', source: id, target: (id + 1) % ROWS, amount: this.#invoked % 7 };
    const value = 1_000 + this.#invoked;
    if (this.#chance(0.5)) return { kind: 'write', id, value };
    return { kind: 'cas', id, from: this.#pick([this.#head, this.#before]).values[id]!, to: value };
  }

  #read(host: Host): Step {
    const mayTrustHead = this.#now < host.leaseEnd || (this.#bug === 'read-after-expiry' && host.token !== 0);
    return this.#answer(observe(this.#torn(mayTrustHead ? host.head : this.#head)));
  }

  #torn(version: Version): Version {
    if (this.#bug !== 'torn-read' || this.#chance(0.8)) return version;
    return { ...version, values: version.values.map((value, id) => (id % 2 ? value : this.#before.values[id]!)) };
  }

  /** Waits for the host's write lock and the lease; its snapshot is the head then. */
  #begin(client: Client, action: Action): Step {
    const { host } = client;
    const again: Step = () => this.#begin(client, action);
    if (this.#chance(0.02)) return this.#fail('SQLITE_BUSY');
    if (host.writer !== undefined || !this.#takeLease(host)) return again;
    host.writer = client;
    const { token, head: base } = host;
    const values = [...base.values];
    if (!apply(action, values)) return this.#answer({ ...observe(base), wrote: false });
    const version: Version = { values, ops: [...base.ops, client.op] };
    return () => this.#commit(client, { token, base, version, action });
  }

  #takeLease(host: Host): boolean {
    const isOwner = host.token === this.#token && this.#token !== 0;
    if (!isOwner && this.#now <= this.#leaseEnd) return false;
    if (!isOwner) {
      if (this.#bug === 'commit-lost') this.#head = this.#before;
      this.#token += 1;
      host.token = this.#token;
      host.head = this.#head;
    }
    this.#leaseEnd = this.#now + LEASE_TICKS;
    host.leaseEnd = this.#now + LEASE_TICKS;
    return true;
  }

  #commit(
    client: Client,
    { token, base, version, action }: { token: number; base: Version; version: Version; action: Action },
  ): Step {
    const { host } = client;
    if (this.#bug === 'refusal-applied' && this.#chance(0.1)) {
      this.#publish(host, version);
      return this.#fail('SQLITE_BUSY');
    }
    const isFenced = token !== this.#token || base !== this.#head;
    if (isFenced && this.#bug !== 'token-unchecked' && this.#bug !== 'stale-base') {
      return this.#lose('SQLITE_IOERR_FSYNC');
    }
    if (this.#chance(0.05)) return this.#lose('SQLITE_IOERR_WRITE');
    this.#publish(host, this.#bug === 'stale-base' ? this.#onTop(version, base) : version);
    if (this.#chance(0.9)) return this.#answer({ ...observe(version), wrote: true });
    if (this.#bug === 'applied-twice') {
      const values = [...version.values];
      if (apply(action, values)) this.#publish(host, { values, ops: [...version.ops, client.op] });
    }
    return this.#lose('SQLITE_IOERR_FSYNC');
  }

  /** The newest version with the rows that differ between two others, and the operation that changed them. */
  #onTop(version: Version, base: Version): Version {
    const values = this.#head.values.map((value, id) => {
      return version.values[id] === base.values[id] ? value : version.values[id]!;
    });
    return { values, ops: [...this.#head.ops, version.ops.at(-1)!] };
  }

  #publish(host: Host, version: Version): void {
    this.#before = this.#head;
    this.#head = version;
    host.head = version;
  }

  #answer(seen: Omit<Extract<Completion, { outcome: 'ok' }>, 'respondedNs'>): Step {
    return () => ({ ...seen, respondedNs: this.#nowNs() });
  }

  #fail(error: string): Step {
    return () => ({ outcome: 'failed', respondedNs: this.#nowNs(), error });
  }

  #lose(error: string): Step {
    return () => ({ outcome: 'indeterminate', respondedNs: this.#nowNs(), error });
  }

  #nowNs(): number {
    return this.#now * NS_PER_TICK;
  }

  #chance(probability: number): boolean {
    return this.#random() < probability;
  }

  #pick<T>(items: readonly T[]): T {
    return items[randomInteger(this.#random, 0, items.length - 1)]!;
  }
}

function observe({ values, ops }: Version) {
  return {
    outcome: 'ok' as const,
    n: ops.length,
    wrote: false,
    last: ops.at(-1) ?? null,
    values: values.map((value, id) => [id, value] as const),
  };
}
