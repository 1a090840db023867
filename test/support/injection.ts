// One transaction with an injected error, and everything that must hold afterwards.
//
// A connection commits a first transaction, then one of whose requests some are answered with errors, then rolls back
// what is still open, then commits another one (after opening the database anew, if it must). A process of its
// own checks the database each time: it is sound, it holds every acknowledged transaction and no other in part.

import { type Answer, type Client, run, type Step } from './client.js';
import {
  commitPoint,
  commitsAtClose,
  ENOSPC,
  type Fault,
  goesOn,
  mayHaveCommitted,
  type Setting,
  settingName,
} from './injection-settings.js';
import { LEDGER_READ, LEDGER_RESET, LEDGER_SCHEMA, LedgerState, ledgerTransaction } from './ledger.js';
import type { FaultMount } from './mounted.js';

/** The writer's connection that has a database open from its creation on. */
const CREATOR = 1;

/** A ledger on a mount, with a connection that meets errors and one that checks. */
export class InjectionLedger {
  readonly #mount: FaultMount;
  readonly #path: string;
  readonly #writer: Client;
  readonly #checker: Client;
  #state = new LedgerState();
  #lastId = 0;
  /** Injections that were met by a request. */
  met = 0;
  readonly outcomes = new Map<string, number>();

  constructor(mount: FaultMount, name: string, writer: Client, checker: Client) {
    this.#mount = mount;
    this.#path = mount.path(name);
    this.#writer = writer;
    this.#checker = checker;
  }

  /** What the database must hold now. */
  get state(): LedgerState {
    return this.#state;
  }

  async create(): Promise<void> {
    await this.#checker.open(this.#path);
    await this.#checker.script(LEDGER_SCHEMA);
    await this.#checker.close();
  }

  /** The writer's process has the database as its creator. */
  async createAndKeep(): Promise<void> {
    await this.#writer.open(this.#path, CREATOR);
    await this.#writer.script(LEDGER_SCHEMA, CREATOR);
  }

  /** The labels of the requests that an injection can meet. */
  async trace(setting: Setting): Promise<string[]> {
    await this.#writer.steps(this.#prepare(setting));
    const [body, commit] = this.#split(setting, this.#nextId());
    succeed(await this.#writer.steps([body]));
    await this.#mount.startTrace();
    succeed(await this.#writer.steps([commit]));
    const labels = await this.#mount.stopTrace();
    this.#state = this.#state.with(this.#lastId);
    succeed(await this.#writer.steps([{ op: 'close' }]));
    await this.#reset();
    return labels;
  }

  /** @returns what went wrong, or undefined */
  async inject(setting: Setting, fault: Fault, labels: readonly string[]): Promise<string | undefined> {
    const notes: string[] = [];
    try {
      await this.#inject(setting, fault, labels, notes);
      return undefined;
    } catch (error) {
      // The next run starts from whatever is there.
      await this.#mount.clear();
      await this.#writer.steps([{ op: 'rollback' }, { op: 'close' }]);
      await this.#adopt().catch(() => this.#replace());
      return `${settingName(setting)} ${JSON.stringify(fault)}: ${(error as Error).message}\n  ${notes.join('\n  ')}`;
    }
  }

  async #inject(setting: Setting, fault: Fault, labels: readonly string[], notes: string[]): Promise<void> {
    const before = this.#state;
    const prepared = succeed(await this.#writer.steps(this.#prepare(setting)));
    notes.push(`prepared: ${prepared.length} steps`);
    const warm = this.#state;
    const id = this.#nextId();
    const [body, commit] = this.#split(setting, id);
    succeed(await this.#writer.steps([body]));

    if (fault.nth === 0) await this.#mount.failCommit(fault.errno === ENOSPC ? 'NO_SPACE' : 'STORE_FAILED');
    else await this.#mount.inject(labels[fault.nth - 1], ordinal(labels, fault.nth), fault.errno, fault.next);
    const [answer, rollback, seen] = await this.#writer.steps([commit, { op: 'rollback' }, read]);
    await this.#mount.clear();
    const expected = fault.nth === 0 ? 'commit' : labels[fault.nth - 1];
    const hit = await this.#mount.hit(fault.nth === 0 && commitPoint(setting) === undefined ? 0 : 2_000);
    notes.push(`at ${hit} (${expected}): ${said(answer!)}, rollback ${said(rollback!)}, read ${said(seen!)}`);
    if (hit !== expected && commitPoint(setting) !== undefined) {
      throw new Error('another request was met than in the trace');
    }
    const second = fault.next === undefined ? undefined : await this.#mount.hit(0);
    notes.push(`then at ${second}`);
    this.met += 1;
    const result = answer!.error ?? 'ok';
    this.outcomes.set(result, (this.outcomes.get(result) ?? 0) + 1);

    const lossy = commitsAtClose(setting);
    let candidates = answer!.error === undefined ? [warm.with(id)] : [warm];
    if (answer!.error !== undefined && mayHaveCommitted(setting, fault, labels)) candidates.push(warm.with(id));
    // All that waits for the connection to be closed may be gone with the failed transaction.
    if (lossy && answer!.error !== undefined) candidates.push(before);
    if (seen!.error === undefined) matching(candidates, seen!, 'the same connection reads');
    if (!lossy) matching(candidates, await this.#check(), 'another connection reads');

    // Somebody else commits before the connection goes on: nothing that it rolls back later may undo that.
    const unlocked = ![hit, second].some((label) => label !== undefined && /^(rS|u)/.test(label));
    if (setting.locking === 'NORMAL' && setting.cursor !== 'kept' && unlocked && fault.nth % 2 === 0) {
      const betweenId = this.#nextId();
      if (setting.cursor === 'dropped') await this.#writer.steps([{ op: 'drop', cursor: 'other' }]);
      const sql = ['PRAGMA synchronous=OFF', ...ledgerTransaction(betweenId)];
      const open: Step = { op: 'open', path: this.#path, timeout: 0 };
      succeed(await this.#checker.steps([open, { op: 'all', sql }, { op: 'close' }]));
      candidates = candidates.map((candidate) => candidate.with(betweenId));
    }

    const afterId = this.#nextId();
    const dropped: Step[] = setting.cursor === 'dropped' ? [{ op: 'drop', cursor: 'other' }] : [];
    const after: Step = { op: 'all', sql: ledgerTransaction(afterId) };
    const [next] = (await this.#writer.steps([...dropped, after])).slice(-1);
    notes.push(`next transaction: ${said(next!)}`);
    if (next!.error === undefined) {
      candidates = candidates.filter((candidate) => candidate !== before).map((candidate) => candidate.with(afterId));
      const [again] = await this.#writer.steps([read]);
      candidates = matching(candidates, again!, 'after the next transaction the same connection reads');
    } else {
      if (fault.next === undefined && unlocked && goesOn(setting)) throw new Error('the connection cannot go on');
      if (lossy) candidates.push(before);
    }
    const ended = await this.#writer.steps([{ op: 'rollback' }, { op: 'close' }]);
    notes.push(`closed: ${said(ended[1]!)}`);
    this.#state = matching(candidates, await this.#check(), 'finally another connection reads')[0]!;

    if (next!.error !== undefined) {
      const reopened = await this.#writer.steps(this.#prepare(setting));
      notes.push(`opened again: ${reopened.map(said).join(', ')}`);
      succeed(reopened);
      succeed(await this.#writer.steps([{ op: 'close' }]));
      matching([this.#state], await this.#check(), 'opened again, another connection reads');
    }
    await this.#reset();
  }

  /** Opens the database and commits a first transaction. */
  #prepare(setting: Setting): Step[] {
    const { journal, synchronous, locking, cursor, spill } = setting;
    const id = this.#nextId();
    this.#state = this.#state.with(id);
    const pragmas = [`PRAGMA locking_mode=${locking}`, `PRAGMA journal_mode=${journal}`];
    pragmas.push(`PRAGMA synchronous=${synchronous}`, `PRAGMA cache_size=${spill ? 4 : 200}`);
    const steps: Step[] = [
      { op: 'open', path: this.#path, timeout: 0 },
      { op: 'all', sql: [...pragmas, ...ledgerTransaction(id)] },
    ];
    if (cursor !== 'none') {
      steps.push({ op: 'cursor', cursor: 'other', sql: 'SELECT k, pad FROM t' }, { op: 'fetch', cursor: 'other' });
    }
    return steps;
  }

  /** What comes before the requests in question, and what makes them. */
  #split(setting: Setting, id: number): [Step, Step] {
    const sql = ledgerTransaction(id, 3500);
    const at = setting.spill ? 1 : sql.length - 1;
    return [
      { op: 'all', sql: sql.slice(0, at) },
      { op: 'all', sql: sql.slice(at) },
    ];
  }

  async #check(): Promise<Answer> {
    const answers = await this.#checker.steps([
      { op: 'open', path: this.#path },
      { op: 'exec', sql: 'PRAGMA integrity_check' },
      read,
      { op: 'close' },
    ]);
    const integrity = answers[1]!;
    if (JSON.stringify(integrity.value) !== '[["ok"]]')
      throw new Error(`integrity_check: ${JSON.stringify(integrity)}`);
    return answers[2]!;
  }

  async #reset(): Promise<void> {
    const sql = ['PRAGMA journal_mode=MEMORY', 'PRAGMA synchronous=OFF', ...LEDGER_RESET];
    const open: Step = { op: 'open', path: this.#path };
    succeed(await this.#checker.steps([open, { op: 'all', sql }, { op: 'close' }]));
    this.#state = this.#state.afterReset();
  }

  async #adopt(): Promise<void> {
    const [row] = (await this.#check()).value as unknown[][];
    this.#state = new LedgerState(row![1] as number);
    await this.#reset();
  }

  /** Instead of a database that is damaged. */
  async #replace(): Promise<void> {
    await run('sh', [
      '-c',
      'sqlite3 "$2" "$1" && cat "$2" > "$0"',
      this.#path,
      LEDGER_SCHEMA,
      `${this.#mount.base}/new.db`,
    ]);
    await run('rm', [`${this.#mount.base}/new.db`]);
    this.#state = new LedgerState();
    await this.#reset();
  }

  #nextId(): number {
    this.#lastId += 1;
    return this.#lastId;
  }
}

const read: Step = { op: 'exec', sql: LEDGER_READ };

/** Which of its kind a request is, from 1: attributes that the kernel asks for once more, or once less, move no other request. */
function ordinal(labels: readonly string[], nth: number): number {
  return labels.slice(0, nth).filter((label) => label === labels[nth - 1]).length;
}

function said(answer: Answer): string {
  return answer.error === undefined ? JSON.stringify(answer.value) : `${answer.error} (${answer.message})`;
}

function succeed(answers: Answer[]): Answer[] {
  for (const answer of answers) if (answer.error !== undefined) throw new Error(`must succeed: ${said(answer)}`);
  return answers;
}

/** The candidates that an answer to LEDGER_READ shows. */
function matching(candidates: LedgerState[], answer: Answer, what: string): LedgerState[] {
  const shown = answer.error ?? JSON.stringify((answer.value as unknown[][])[0]);
  const matched = candidates.filter((candidate) => candidate.toString() === shown);
  if (matched.length === 0) throw new Error(`${what} ${shown}, not ${candidates.join(' or ')}`);
  return matched;
}
