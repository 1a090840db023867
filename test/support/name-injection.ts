// One operation on names of a mounted directory with an injected error, and everything that must hold afterwards.
//
// Either the request is answered with an error instead of being served, or the store fails in the middle of serving it.
// What succeeded is done, and stays; what failed is not done, nor in half, and works when it is tried again, at once or after the
// daemon was killed. A process that has the database open goes on with what it had.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import type { ErrorCode } from '../../src/errors.js';
import { type Client, type Outcome, run, type Step } from './client.js';
import { EIO, ENOSPC, errnosFor } from './injection-settings.js';
import type { FaultMount } from './mounted.js';
import { databaseSql, NAMES, type NameOperation, type Tree } from './name-operations.js';

/** An errno for the nth request of a kind, or a code for the nth transaction of the store. */
export type NameFault =
  | { readonly label: string; readonly nth: number; readonly errno: number }
  | { readonly transaction: number; readonly code: ErrorCode };

/** Requests that change names: answered with an error, they have done nothing. */
const CHANGES = /^(RENAME|UNLINK|MKDIR|RMDIR|SYMLINK|CREATE|SETATTR)/;

const NEEDS_ROOM = /^(RENAME|MKDIR|SYMLINK|CREATE|W|FSYNC|FLUSH)/;

/** What an operation came to, to be looked at again by the next daemon. */
interface Left {
  /** Path of the names in the mount, with what they begin with. */
  readonly prefix: string;
  readonly operation: NameOperation;
  readonly tree: Tree;
  /** Still to be done. */
  readonly again: boolean;
}

export class NameInjection {
  readonly #client: Client;
  readonly #holder: Client;
  #mount: FaultMount;
  #count = 0;
  readonly #directories = new Map<NameOperation, string>();
  #left: Left[] = [];
  readonly #expected = new Map<NameOperation, { before: Tree; after: Tree; labels: string[] }>();
  /** By what came of them. */
  readonly outcomes = new Map<string, number>();

  /** @param holder has databases open while others work on their names */
  constructor(mount: FaultMount, client: Client, holder: Client) {
    this.#mount = mount;
    this.#client = client;
    this.#holder = holder;
  }

  async prepare(): Promise<void> {
    const { status, stderr } = await run('sqlite3', [join(this.#mount.base, 'source'), databaseSql('source', 60)]);
    assert.equal(status, 0, stderr);
  }

  /** An operation without errors: the requests that it makes, but those that nobody waits for. */
  async trace(operation: NameOperation): Promise<string[]> {
    const prefix = await this.#begin(operation);
    const before = await this.#tree(prefix);
    await this.#mount.startTrace();
    const outcome = await this.#do(operation, prefix);
    const labels = (await this.#mount.stopTrace()).filter((label) => !label.startsWith('RELEASE'));
    assert.deepEqual([outcome.status, outcome.stderr], [0, ''], operation.title);
    const after = await this.#tree(prefix);
    this.#expected.set(operation, { before, after, labels });
    await this.#end(operation, after, prefix);
    this.#left.push({ prefix, operation, tree: after, again: false });
    return labels;
  }

  /** @returns whether the fault was met, and what was wrong then */
  async inject(operation: NameOperation, fault: NameFault): Promise<{ met: boolean; failure?: string }> {
    const notes: string[] = [];
    let met = false;
    try {
      const prefix = await this.#begin(operation);
      if ('label' in fault) await this.#mount.inject(fault.label, fault.nth, fault.errno);
      else await this.#mount.failTransaction(fault.transaction, fault.code);
      const outcome = await this.#do(operation, prefix);
      await this.#mount.clear();
      met = (await this.#mount.hit(0)) !== undefined;
      notes.push(`status ${outcome.status}: ${outcome.stderr.trim()}`);
      const tree = await this.#tree(prefix);
      notes.push(`there is ${JSON.stringify(tree)}`);
      this.#judge(operation, fault, outcome, tree, met);
      await this.#end(operation, tree, prefix);
      const failed = outcome.status !== 0;
      // Every other one is only tried again when the daemon was killed, with which uncommitted names go.
      if (failed && (this.#count % 2 === 0 || operation.uncommitted === true)) {
        await this.#again(operation, prefix);
        this.#left.push({ prefix, operation, tree: this.#of(operation).after, again: false });
      } else this.#left.push({ prefix, operation, tree, again: failed });
      const what = outcome.status === 0 ? 'done' : 'failed';
      this.outcomes.set(what, (this.outcomes.get(what) ?? 0) + 1);
      return { met };
    } catch (error) {
      await this.#mount.clear();
      await this.#holder.steps([{ op: 'close' }]);
      const failure = `${operation.title} ${JSON.stringify(fault)}: ${(error as Error).message}\n  ${notes.join('\n  ')}`;
      return { met, failure };
    }
  }

  /** A new daemon shows all as it was left; what failed before works now. @returns what is wrong */
  async goOn(mount: FaultMount): Promise<string[]> {
    this.#mount = mount;
    const failures: string[] = [];
    const trees = await this.#trees();
    for (const [index, left] of this.#left.entries()) {
      const { prefix, operation, tree, again } = left;
      try {
        // An empty file to which nothing was committed was one of that daemon.
        const shown = trees.get(prefix) ?? {};
        for (const name of NAMES) {
          const passing = again || name === operation.passing;
          const lost = passing && tree[name] === 'empty' && shown[name] === undefined;
          if (!lost) assert.equal(shown[name], tree[name], `${name} under the next daemon`);
        }
        if (again) await this.#again(operation, prefix);
        this.#left[index] = { prefix, operation, tree: again ? this.#of(operation).after : shown, again: false };
      } catch (error) {
        failures.push(`${operation.title}, ${prefix}: ${(error as Error).message}`);
      }
    }
    return failures;
  }

  #judge(operation: NameOperation, fault: NameFault, { status }: Outcome, tree: Tree, met: boolean): void {
    const { before, after, labels } = this.#of(operation);
    if (status === 0) {
      assert.deepEqual(tree, after, 'it succeeded');
      // An error at the last request that changes something is not passed over in silence.
      const changes = labels.filter((label) => CHANGES.test(label));
      const decisive =
        'label' in fault && changes.length === 1 && fault.label === changes[0] && !/^SETATTR/.test(fault.label);
      assert.ok(!(met && decisive), 'it succeeded without the request that does it');
      return;
    }
    assert.ok(met, 'it failed by itself');
    const states = [before, ...(operation.leaves?.(before, after) ?? [])].map((state) => JSON.stringify(sorted(state)));
    assert.ok(states.includes(JSON.stringify(sorted(tree))), `it failed, and left neither ${states.join(' nor ')}`);
  }

  async #again(operation: NameOperation, prefix: string): Promise<void> {
    const { status, stderr } = await this.#do(operation, prefix);
    assert.deepEqual([status, stderr], [0, ''], 'it works when it is tried again');
    assert.deepEqual(await this.#tree(prefix), this.#of(operation).after, 'it was tried again');
  }

  #of(operation: NameOperation): { before: Tree; after: Tree; labels: string[] } {
    return this.#expected.get(operation)!;
  }

  async #begin(operation: NameOperation): Promise<string> {
    const { open, created, uncommitted } = operation;
    this.#count += 1;
    const prefix = `${await this.#directoryOf(operation)}r${this.#count}-`;
    const path = this.#mount.path(prefix);
    const steps: Step[] = [];
    const { status, stderr } = await run('mkdir', [`${path}d`, `${path}e`]);
    assert.equal(status, 0, stderr);
    for (const name of ['a', 'b', 'e/x']) {
      const c = created === true && open === name ? 0 : 1;
      const sql = databaseSql(name, 10);
      steps.push({ op: 'open', path: `${path}${name}`, c }, { op: 'script', sql, c });
      if (c === 1) steps.push({ op: 'close', c });
    }
    if (open !== undefined && created !== true)
      steps.push(
        { op: 'open', path: `${path}${open}` },
        { op: 'exec', sql: uncommitted ? 'PRAGMA user_version' : READ },
      );
    for (const { error, message } of await this.#holder.steps(steps)) assert.equal(error, undefined, message);
    return prefix;
  }

  /** Every third operation is one in the root. */
  async #directoryOf(operation: NameOperation): Promise<string> {
    const known = this.#directories.get(operation);
    if (known !== undefined) return known;
    const directory = this.#directories.size % 3 === 0 ? '' : `o${this.#directories.size}/`;
    if (directory !== '') await run('mkdir', [this.#mount.path(directory)]);
    this.#directories.set(operation, directory);
    return directory;
  }

  #do({ command }: NameOperation, prefix: string): Promise<Outcome> {
    return run('sh', ['-c', command, 'sh', this.#mount.path(prefix), this.#mount.base]);
  }

  async #tree(prefix: string): Promise<Tree> {
    const at = prefix.lastIndexOf('/') + 1;
    const where = { directory: this.#mount.path(prefix.slice(0, at)), prefix: prefix.slice(at) };
    const [answer] = await this.#client.steps([{ op: 'tree', ...where, names: NAMES }]);
    assert.equal(answer!.error, undefined, `${answer!.error}: ${answer!.message}`);
    return answer!.value as Tree;
  }

  /** Of all that was done so far, by prefix: a directory is listed once. */
  async #trees(): Promise<Map<string, Tree>> {
    const trees = new Map<string, Record<string, string>>();
    for (const directory of new Set(this.#directories.values())) {
      const all = await this.#tree(`${directory}r`);
      for (const [name, content] of Object.entries(all)) {
        const [count = '', ...rest] = name.split('-');
        const prefix = `${directory}r${count}-`;
        trees.set(prefix, { ...trees.get(prefix), [rest.join('-')]: content });
      }
    }
    return trees;
  }

  /** Who has it open sees what it saw, whatever became of the name; and writes if nothing did. */
  async #end({ open, uncommitted }: NameOperation, tree: Tree, prefix: string): Promise<void> {
    if (open === undefined) return;
    // Nothing was there, or as after truncate(1).
    if (tree[open] === 'empty' || uncommitted === true) return this.#holder.close();
    const unchanged = tree[open] === this.#expectedBefore(open);
    const sql = ['BEGIN IMMEDIATE', 'UPDATE t SET text = 1', 'ROLLBACK'];
    const [read, wrote] = await this.#holder.steps([
      { op: 'exec', sql: READ },
      ...(unchanged ? [{ op: 'all', sql }] : []),
    ]);
    await this.#holder.close();
    assert.equal(read!.error, undefined, `who has ${prefix}${open} open reads on: ${read!.message}`);
    if (unchanged) assert.equal(wrote!.error, undefined, `who has ${prefix}${open} open writes on: ${wrote!.message}`);
  }

  #expectedBefore(name: string): string | undefined {
    const [first] = this.#expected.values();
    return first?.before[name];
  }
}

const READ = 'SELECT count(*), min(text), max(text) FROM t';

function sorted(tree: Tree): Array<[string, string]> {
  return Object.entries(tree).sort(([a], [b]) => (a < b ? -1 : 1));
}

/** Each request once for each errno that fits it. */
export function faultsAt(labels: readonly string[]): NameFault[] {
  return labels.flatMap((label, index) => {
    const nth = labels.slice(0, index + 1).filter((other) => other === label).length;
    const errnos = NEEDS_ROOM.test(label) ? [EIO, ENOSPC] : errnosFor(label);
    return errnos.map((errno) => ({ label, nth, errno }));
  });
}
