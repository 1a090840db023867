import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import type Database from 'better-sqlite3';
import type { PendingCommit } from '../../../src/kv/embedded-engine.js';
import { ReadSet } from '../../../src/kv/read-set.js';
import { openForWriting } from '../../../src/kv/sqlite/data-file.js';
import { type CommitOutcome, GroupCommitter } from '../../../src/kv/sqlite/group-commit.js';

const BYTES_MAX = 200_000;

function pending(writes: Record<string, number>, readKey?: string, readCounter?: number): PendingCommit {
  const reads = new ReadSet();
  if (readKey !== undefined) reads.addKey(readKey);
  const mutations = Object.entries(writes).map(([key, bytes]) => {
    return { kind: 'set', key: Buffer.from(key), value: Buffer.alloc(bytes) } as const;
  });
  return { readCounter, reads, mutations, clockMs: 1, durable: true };
}

function counterOf(outcome: CommitOutcome | undefined): number {
  assert.ok(outcome !== undefined && 'counter' in outcome, JSON.stringify(outcome));
  return outcome.counter;
}

describe('group commit', () => {
  let directory: string;
  let db: Database.Database;
  let committer: GroupCommitter;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'mvfuse-group-'));
    db = openForWriting(join(directory, 'data.sqlite'), BYTES_MAX);
    committer = new GroupCommitter(db);
  });
  afterEach(() => {
    db.close();
    rmSync(directory, { recursive: true, force: true });
  });
  const keys = () => db.prepare('SELECT CAST(key AS TEXT) FROM pairs ORDER BY key').pluck().all();

  test('members are checked against each other, and a conflict is one member’s own', () => {
    const start = counterOf(committer.commit([pending({ a: 1 })]).outcomes[0]);
    const { outcomes, fatal } = committer.commit([
      pending({ a: 2 }, 'a', start),
      pending({ b: 1 }, 'a', start),
      pending({ c: 1 }, 'x', start),
    ]);
    assert.equal(fatal, false);
    assert.ok(counterOf(outcomes[0]) > start);
    assert.deepEqual(outcomes[1], { conflict: true });
    assert.ok(counterOf(outcomes[2]) > counterOf(outcomes[0]));
    assert.deepEqual(keys(), ['a', 'c']);
  });

  test('without space the whole group fails, and counts as never written', () => {
    const start = counterOf(committer.commit([pending({ a: 1 })]).outcomes[0]);
    const { outcomes, fatal } = committer.commit([pending({ b: 1 }), pending({ c: 90_000, d: 90_000, e: 90_000 })]);
    assert.equal(fatal, false);
    for (const outcome of outcomes) assert.equal('error' in outcome && outcome.error.code, 'NO_SPACE');
    assert.deepEqual(keys(), ['a']);
    const next = committer.commit([pending({ f: 1 }, 'b', start)]);
    assert.ok(counterOf(next.outcomes[0]) > start);
    assert.deepEqual(keys(), ['a', 'f']);
  });

  test('after a fatal failure nothing is committed any more', () => {
    db.exec('ALTER TABLE content RENAME TO hidden');
    assert.equal(committer.commit([pending({ a: 1_000 })]).fatal, true);
    db.exec('ALTER TABLE hidden RENAME TO content');
    const { outcomes, fatal } = committer.commit([pending({ a: 1_000 })]);
    assert.equal(fatal, true);
    assert.equal('error' in outcomes[0]! && outcomes[0].error.code, 'STORE_FAILED');
    assert.deepEqual(keys(), []);
  });
});
