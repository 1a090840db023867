// The specification of an engine, as tests: whatever kv/engine.ts promises, for any engine that is given.

import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { keyAfter } from '../../src/kv/bytes.js';
import type { Engine, KeyValue, Transaction } from '../../src/kv/engine.js';
import {
  KV_KEY_BYTES_MAX,
  KV_TRANSACTION_BYTES_MAX,
  KV_TRANSACTION_MS_MAX,
  KV_VALUE_BYTES_MAX,
} from '../../src/limits.js';
import { versionToBytes, ZERO_VERSION } from '../../src/version.js';
import type { TestEngine, TestStore } from '../support/engines.js';
import { chooseSeed, randomBytes, randomInteger, seededRandom } from '../support/random.js';
import { throwsCode } from '../support/throws-code.js';

const key = (text: string) => Buffer.from(text);
const NONE = Buffer.alloc(0);

export function kvSuite(testEngine: TestEngine): void {
  describe(`engine ${testEngine.name}`, () => {
    let store: TestStore;
    let engine: Engine;
    let monotonicMs: (() => number) | undefined;

    beforeEach(async () => {
      monotonicMs = undefined;
      store = await testEngine.create();
      engine = await store.open({ monotonicMs: () => (monotonicMs ?? performance.now.bind(performance))() });
    });
    afterEach(() => store.remove());

    const put = (name: string, value = name) => engine.transact(async (t) => t.set(key(name), key(value)));
    const text = async (name: string) => (await engine.read((t) => t.get(key(name))))?.toString();
    const names = async (begin: string, end: string, options = {}) => {
      const pairs = await engine.read((t) => t.getRange(key(begin), key(end), options));
      return pairs.map((pair) => pair.key.toString());
    };

    describe('pairs', () => {
      test('a value reads back, an unwritten key is undefined', async () => {
        await put('a', 'one');
        assert.equal(await text('a'), 'one');
        assert.equal(await text('b'), undefined);
      });

      test('values of every length read back, also when one replaces another', async () => {
        for (const length of [0, 1, 199, 200, 201, 4096, KV_VALUE_BYTES_MAX, 5, 300]) {
          const value = Buffer.alloc(length, length % 251);
          await engine.transact(async (t) => t.set(key('a'), value));
          assert.deepEqual(await engine.read((t) => t.get(key('a'))), value, `${length} bytes`);
          const [pair] = await engine.read((t) => t.getRange(key('a'), key('b')));
          assert.deepEqual(pair, { key: key('a'), value });
        }
      });

      test('clear and clearRange remove, the end excluded', async () => {
        for (const name of ['a', 'b', 'c', 'd']) await put(name, name.repeat(name === 'b' ? 500 : 1));
        await engine.transact(async (t) => t.clear(key('a')));
        await engine.transact(async (t) => t.clearRange(key('b'), key('d')));
        assert.deepEqual(await names('a', 'z'), ['d']);
      });

      test('arguments are copied, results belong to the caller', async () => {
        const [name, value] = [key('a'), key('one')];
        await engine.transact(async (t) => {
          t.set(name, value);
          name.fill(0);
          value.fill(0);
          (await t.get(key('a')))!.fill(1);
        });
        (await engine.read((t) => t.get(key('a'))))!.fill(0);
        assert.equal(await text('a'), 'one');
      });
    });

    describe('order and ranges', () => {
      test('keys are ordered as unsigned bytes', async () => {
        const keys = [[], [0], [0, 0], [0, 255], [1], [127], [127, 1], [128], [200], [255], [255, 0], [255, 255]];
        const shuffled = [...keys].reverse();
        await engine.transact(async (t) => {
          for (const bytes of shuffled) t.set(Buffer.from(bytes), NONE);
        });
        const pairs = await engine.read((t) => t.getRange(NONE, Buffer.alloc(3, 255)));
        assert.deepEqual(
          pairs.map((pair) => [...pair.key]),
          keys,
        );
      });

      test('limit and reverse', async () => {
        for (const name of ['a', 'b', 'c', 'd']) await put(name);
        assert.deepEqual(await names('a', 'd'), ['a', 'b', 'c']);
        assert.deepEqual(await names('a', 'd', { limit: 2 }), ['a', 'b']);
        assert.deepEqual(await names('a', 'd', { reverse: true }), ['c', 'b', 'a']);
        assert.deepEqual(await names('a', 'd', { reverse: true, limit: 1 }), ['c']);
        assert.deepEqual(await names('b', 'b'), []);
      });

      test('a range that ends before it begins, or a limit below 1, is refused', async () => {
        await assert.rejects(names('b', 'a'), throwsCode('INVALID_ARGUMENT'));
        await assert.rejects(names('a', 'b', { limit: 0 }), throwsCode('INVALID_ARGUMENT'));
      });

      test('random histories read as a sorted map does', async () => {
        const random = seededRandom(chooseSeed('ranges'));
        let expected: KeyValue[] = [];
        const randomKey = () => Buffer.from(randomBytes(random, randomInteger(random, 0, 3)).map((byte) => byte % 4));
        const randomRange = () => [randomKey(), randomKey()].sort(Buffer.compare) as [Buffer, Buffer];
        const isInside = (pair: KeyValue, low: Buffer, high: Buffer) =>
          pair.key.compare(low) >= 0 && pair.key.compare(high) < 0;

        for (let round = 0; round < 150; round++) {
          const [low, high] = randomRange();
          const value = randomBytes(random, randomInteger(random, 0, 400));
          const kind = random();
          await engine.transact(async (t) => {
            if (kind < 0.7) t.set(low, value);
            else if (kind < 0.9) t.clear(low);
            else t.clearRange(low, high);
          });
          expected = expected.filter((pair) => (kind < 0.9 ? !pair.key.equals(low) : !isInside(pair, low, high)));
          if (kind < 0.7) expected.push({ key: low, value });
        }
        expected.sort((a, b) => a.key.compare(b.key));
        for (let round = 0; round < 200; round++) {
          const [low, high] = randomRange();
          const limit = randomInteger(random, 1, 5);
          const reverse = random() < 0.5;
          const inside = expected.filter((pair) => isInside(pair, low, high));
          if (reverse) inside.reverse();
          assert.deepEqual(await engine.read((t) => t.getRange(low, high, { limit, reverse })), inside.slice(0, limit));
          const single = expected.find((pair) => pair.key.equals(low));
          assert.deepEqual(await engine.read((t) => t.get(low)), single?.value);
        }
      });
    });

    describe('own writes', () => {
      test('are seen by later reads of the transaction, and by nobody else before the commit', async () => {
        await put('a');
        await put('c');
        await engine.transact(async (t) => {
          t.set(key('b'), key('new'));
          t.clear(key('a'));
          assert.equal(await t.get(key('a')), undefined);
          assert.equal((await t.get(key('b')))?.toString(), 'new');
          const pairs = await t.getRange(key('a'), key('z'));
          assert.deepEqual(
            pairs.map((pair) => pair.key.toString()),
            ['b', 'c'],
          );
          assert.equal(await text('b'), undefined);
          assert.equal(await text('a'), 'a');
        });
        assert.deepEqual(await names('a', 'z'), ['b', 'c']);
      });

      test('limit and reverse count what remains after them', async () => {
        for (const name of ['a', 'b', 'c', 'd']) await put(name);
        await engine.transact(async (t) => {
          t.clearRange(key('b'), key('d'));
          t.set(key('bb'), NONE);
          const list = async (options: object) =>
            (await t.getRange(key('a'), key('z'), options)).map((p) => p.key.toString());
          assert.deepEqual(await list({ limit: 2 }), ['a', 'bb']);
          assert.deepEqual(await list({ limit: 2, reverse: true }), ['d', 'bb']);
          t.set(key('c'), key('again'));
          assert.deepEqual(await list({}), ['a', 'bb', 'c', 'd']);
        });
        assert.deepEqual(await names('a', 'z'), ['a', 'bb', 'c', 'd']);
      });

      test('the order of writes counts', async () => {
        await engine.transact(async (t) => {
          t.set(key('a'), key('1'));
          t.clearRange(key('a'), key('b'));
          t.set(key('c'), key('1'));
          t.set(key('c'), key('2'));
          t.clear(key('d'));
          t.set(key('d'), key('3'));
        });
        assert.deepEqual([await text('a'), await text('c'), await text('d')], [undefined, '2', '3']);
      });

      test('an error in the body aborts and is passed on', async () => {
        const error = new Error('on purpose');
        const failing = engine.transact(async (t) => {
          t.set(key('a'), NONE);
          throw error;
        });
        await assert.rejects(failing, (thrown) => thrown === error);
        assert.equal(await text('a'), undefined);
      });

      test('a transaction that has ended is refused', async () => {
        let ended: Transaction | undefined;
        await engine.transact(async (t) => {
          ended = t;
        });
        assert.throws(() => ended!.set(key('a'), NONE), throwsCode('INVALID_ARGUMENT'));
        await assert.rejects(ended!.get(key('a')), throwsCode('INVALID_ARGUMENT'));
      });
    });

    describe('versions', () => {
      test('ascend from commit to commit; a transaction that wrote nothing has none', async () => {
        let last: string = ZERO_VERSION;
        for (let round = 0; round < 20; round++) {
          const { version } = await put('a');
          assert.ok(version !== undefined && version > last, `${version} after ${last}`);
          last = version;
        }
        const { version } = await engine.transact(async (t) => t.get(key('a')));
        assert.equal(version, undefined);
      });

      test('ascend when the clock stands still or goes back', async () => {
        const other = await testEngine.create();
        try {
          let nowMs = 2_000_000_000_000;
          const slow = await other.open({ clock: () => nowMs });
          const commit = async () => (await slow.transact(async (t) => t.set(key('a'), NONE))).version!;
          const versions = [await commit(), await commit()];
          nowMs -= 1_000_000;
          versions.push(await commit());
          assert.deepEqual(versions, [...new Set(versions)].sort());
        } finally {
          await other.remove();
        }
      });

      test('are the same in versionstamped keys and values, and in the result', async () => {
        const { version } = await engine.transact(async (t) => {
          t.setVersionstampedKey(key('k/'), key('/end'), key('value'));
          t.setVersionstampedValue(key('v'), key('before'), key('after'));
        });
        const stamp = versionToBytes(version!);
        const [pair] = await engine.read((t) => t.getRange(key('k/'), key('k0')));
        assert.deepEqual(pair, { key: Buffer.concat([key('k/'), stamp, key('/end')]), value: key('value') });
        const value = await engine.read((t) => t.get(key('v')));
        assert.deepEqual(value, Buffer.concat([key('before'), stamp, key('after')]));
      });

      test('a versionstamped value cannot be read before the commit', async () => {
        const reading = engine.transact(async (t) => {
          t.setVersionstampedValue(key('v'), NONE, NONE);
          await t.get(key('v'));
        });
        await assert.rejects(reading, throwsCode('INVALID_ARGUMENT'));
      });

      test('order concurrent commits as their versionstamped keys do', async () => {
        const committed = await Promise.all(
          Array.from({ length: 50 }, (_, index) =>
            engine.transact(async (t) => t.setVersionstampedKey(key('log/'), NONE, key(String(index)))),
          ),
        );
        const versions = committed.map(({ version }, index) => [version!, String(index)] as const).sort();
        const stored = await engine.read((t) => t.getRange(key('log/'), key('log0')));
        assert.deepEqual(
          stored.map((pair) => [pair.key.subarray(4).toString('hex'), pair.value.toString()]),
          versions.map(([version, index]) => [version, index]),
        );
      });
    });

    describe('conflicts', () => {
      /** Runs `body`; at its first attempt, `meanwhile` commits after the body's reads. Resolves with the attempts. */
      async function disturb(body: (t: Transaction) => Promise<unknown>, meanwhile: (t: Transaction) => void) {
        let attempts = 0;
        await engine.transact(async (t) => {
          await body(t);
          if (++attempts === 1) await engine.transact(async (other) => meanwhile(other));
          t.set(key('mine'), key(String(attempts)));
        });
        return attempts;
      }

      test('a lost update is prevented', async () => {
        await put('n', '0');
        const increment = () =>
          engine.transact(async (t) => t.set(key('n'), key(String(Number(await t.get(key('n'))) + 1))));
        await Promise.all(Array.from({ length: 20 }, increment));
        assert.equal(await text('n'), '20');
      });

      test('write skew is prevented', async () => {
        await put('a', 'on');
        await put('b', 'on');
        const switchOff = (mine: string, other: string) =>
          engine.transact(async (t) => {
            if ((await t.get(key(other)))?.toString() === 'on') t.set(key(mine), key('off'));
          });
        await Promise.all([switchOff('a', 'b'), switchOff('b', 'a')]);
        assert.deepEqual([await text('a'), await text('b')].sort(), ['off', 'on']);
      });

      test('a key read: written, cleared, cleared with its range', async () => {
        await put('a');
        const read = (t: Transaction) => t.get(key('a'));
        assert.equal(await disturb(read, (t) => t.set(key('a'), NONE)), 2);
        assert.equal(await disturb(read, (t) => t.clear(key('a'))), 2);
        assert.equal(await disturb(read, (t) => t.clearRange(key('a'), key('b'))), 2);
        assert.equal(await disturb(read, (t) => t.set(keyAfter(key('a')), NONE)), 1);
        assert.equal(await disturb(read, (t) => t.clearRange(key('A'), key('a'))), 1);
      });

      test('a range read: a phantom, also by a versionstamped key', async () => {
        const read = (t: Transaction) => t.getRange(key('r/'), key('r0'));
        assert.equal(await disturb(read, (t) => t.set(key('r/x'), NONE)), 2);
        assert.equal(await disturb(read, (t) => t.setVersionstampedKey(key('r/'), NONE, NONE)), 2);
        assert.equal(await disturb(read, (t) => t.clearRange(key('q'), key('r/0'))), 2);
        assert.equal(await disturb(read, (t) => t.set(key('r0'), NONE)), 1);
      });

      test('of a range cut by its limit, only the part that was looked at', async () => {
        for (const name of ['b', 'd', 'f']) await put(name);
        const first = (t: Transaction) => t.getRange(key('a'), key('z'), { limit: 1 });
        const last = (t: Transaction) => t.getRange(key('a'), key('g'), { limit: 1, reverse: true });
        assert.equal(await disturb(first, (t) => t.set(key('c'), NONE)), 1);
        assert.equal(await disturb(first, (t) => t.set(key('a'), NONE)), 2);
        assert.equal(await disturb(last, (t) => t.set(key('e'), NONE)), 1);
        assert.equal(await disturb(last, (t) => t.set(key('fa'), NONE)), 2);
      });

      test('snapshot reads do not conflict', async () => {
        await put('a');
        const read = async (t: Transaction) => {
          await t.snapshot.get(key('a'));
          await t.snapshot.getRange(key('a'), key('z'));
        };
        assert.equal(await disturb(read, (t) => t.set(key('a'), NONE)), 1);
      });

      test('a transaction that wrote nothing never conflicts', async () => {
        await put('a');
        let attempts = 0;
        await engine.transact(async (t) => {
          await t.get(key('a'));
          attempts++;
          await put('a', 'other');
          assert.equal((await t.get(key('a')))?.toString(), 'a');
        });
        assert.equal(attempts, 1);
      });

      test('money moves between accounts, none is made or lost', async () => {
        const random = seededRandom(chooseSeed('bank'));
        const accounts = Array.from({ length: 12 }, (_, index) => `account/${index}`);
        for (const account of accounts) await put(account, '100');
        const balance = async (t: Pick<Transaction, 'get'>, account: string) => Number(await t.get(key(account)));
        const move = async () => {
          const from = accounts[randomInteger(random, 0, 11)]!;
          const to = accounts[randomInteger(random, 0, 11)]!;
          await engine.transact(async (t) => {
            const [have, has] = [await balance(t, from), await balance(t, to)];
            if (from === to || have < 10) return;
            t.set(key(from), key(String(have - 10)));
            t.set(key(to), key(String(has + 10)));
          });
        };
        const total = () =>
          engine.read(async (t) => {
            const pairs = await t.getRange(key('account/'), key('account0'));
            return pairs.reduce((sum, { value }) => sum + Number(value), 0);
          });
        const moving = Promise.all(
          Array.from({ length: 10 }, async () => {
            for (let n = 0; n < 30; n++) await move();
          }),
        );
        for (let round = 0; round < 30; round++) {
          assert.equal(await total(), 1200);
          await new Promise((resolve) => setImmediate(resolve));
        }
        await moving;
        assert.equal(await total(), 1200);
      });
    });

    describe('snapshots', () => {
      test('a read sees one state while others commit', async () => {
        await put('a', '0');
        await put('b', '0');
        await engine.read(async (t) => {
          assert.equal((await t.get(key('a')))?.toString(), '0');
          await engine.transact(async (other) => {
            other.set(key('a'), key('1'));
            other.set(key('b'), key('1'));
            other.set(key('c'), key('1'));
          });
          assert.equal((await t.get(key('b')))?.toString(), '0');
          assert.equal((await t.getRange(key('a'), key('z'))).length, 2);
        });
        assert.equal(await text('b'), '1');
      });

      test('a read sees every commit that was answered before it', async () => {
        for (let round = 0; round < 50; round++) {
          await put('a', String(round));
          assert.equal(await text('a'), String(round));
        }
      });

      test('many reads at once all end', async () => {
        await put('a');
        const reads = Array.from({ length: 200 }, () =>
          engine.read(async (t) => {
            await new Promise((resolve) => setImmediate(resolve));
            return (await t.get(key('a')))?.toString();
          }),
        );
        assert.deepEqual(new Set(await Promise.all(reads)), new Set(['a']));
      });
    });

    describe('limits', () => {
      const refused = (body: (t: Transaction) => unknown) =>
        assert.rejects(
          engine.transact(async (t) => {
            await body(t);
          }),
          throwsCode('LIMIT'),
        );

      test('keys', async () => {
        const longest = Buffer.alloc(KV_KEY_BYTES_MAX, 1);
        await engine.transact(async (t) => t.set(longest, key('here')));
        assert.equal((await engine.read((t) => t.get(longest)))?.toString(), 'here');
        await refused((t) => t.set(keyAfter(longest), NONE));
        await refused((t) => t.clear(keyAfter(longest)));
        await refused((t) => t.get(keyAfter(longest)));
        await refused((t) => t.setVersionstampedKey(longest.subarray(5), NONE, NONE));
      });

      test('values', async () => {
        await refused((t) => t.set(key('a'), Buffer.alloc(KV_VALUE_BYTES_MAX + 1)));
        await refused((t) => t.setVersionstampedValue(key('a'), NONE, Buffer.alloc(KV_VALUE_BYTES_MAX - 9)));
        assert.equal(await text('a'), undefined);
      });

      test('bytes of a transaction, also when the body swallows the error', async () => {
        const value = Buffer.alloc(KV_VALUE_BYTES_MAX);
        const writes = KV_TRANSACTION_BYTES_MAX / KV_VALUE_BYTES_MAX;
        await refused((t) => {
          for (let index = 0; index <= writes; index++) t.set(key(`a${index}`), value);
        });
        await refused((t) => {
          try {
            for (let index = 0; index <= writes; index++) t.set(key(`a${index}`), value);
          } catch {}
        });
        assert.deepEqual(await names('a', 'b'), []);
      });

      test('the age of a transaction, at its reads and at its commit', async () => {
        let nowMs = 0;
        monotonicMs = () => nowMs;
        await refused((t) => {
          t.set(key('a'), NONE);
          nowMs += KV_TRANSACTION_MS_MAX + 1;
        });
        await refused(async (t) => {
          await t.get(key('a'));
          nowMs += KV_TRANSACTION_MS_MAX + 1;
          await t.get(key('a'));
        });
        assert.equal(await text('a'), undefined);
      });
    });

    describe('watch', () => {
      test('resolves after a change, by every kind of write', async () => {
        const writes: ((t: Transaction) => void)[] = [
          (t) => t.set(key('w'), key('1')),
          (t) => t.setVersionstampedValue(key('w'), NONE, NONE),
          (t) => t.clear(key('w')),
          (t) => t.clearRange(key('a'), key('z')),
        ];
        for (const write of writes) {
          await put('w', 'before');
          const watching = engine.watch(key('w'), key('before'));
          await engine.transact(async (t) => write(t));
          await watching;
        }
      });

      test('resolves when the value is another already', async () => {
        await put('w', 'now');
        await engine.watch(key('w'), key('before'));
        await engine.watch(key('w'), undefined);
        await engine.watch(key('absent'), key('before'));
      });

      test('misses no change after the value was read', async () => {
        for (let round = 0; round < 20; round++) {
          await put('w', String(round));
          const value = await engine.read((t) => t.get(key('w')));
          const changing = put('w', 'changed');
          await engine.watch(key('w'), value);
          await changing;
        }
      });

      test('does not resolve for other keys, and rejects with the signal’s reason', async () => {
        const controller = new AbortController();
        let settled = false;
        const watching = engine.watch(key('w'), undefined, controller.signal).finally(() => {
          settled = true;
        });
        watching.catch(() => {});
        await put('x');
        await new Promise((resolve) => setTimeout(resolve, 20));
        assert.equal(settled, false);
        const reason = new Error('enough');
        controller.abort(reason);
        await assert.rejects(watching, (error) => error === reason);
        await assert.rejects(engine.watch(key('w'), undefined, controller.signal), (error) => error === reason);
      });
    });

    describe('closing', () => {
      test('waits for what is under way, then refuses everything', async () => {
        const committing = engine.transact(async (t) => {
          await new Promise((resolve) => setTimeout(resolve, 20));
          t.set(key('a'), NONE);
        });
        const watching = engine.watch(key('w'), undefined);
        watching.catch(() => {});
        await engine.close();
        assert.ok((await committing).version);
        await assert.rejects(watching, throwsCode('CLOSED'));
        await assert.rejects(put('b'), throwsCode('CLOSED'));
        await assert.rejects(text('b'), throwsCode('CLOSED'));
        await assert.rejects(engine.watch(key('w'), undefined), throwsCode('CLOSED'));
        await engine.close();
      });
    });

    describe('persistence', { skip: !testEngine.isPersistent && 'this engine keeps nothing' }, () => {
      test('what was committed is there after opening again, and versions go on', async () => {
        const { version: first } = await put('a', 'kept'.repeat(1000));
        await engine.close();
        engine = await store.open({ clock: () => 0 });
        assert.equal(await text('a'), 'kept'.repeat(1000));
        const { version: second } = await put('b');
        assert.ok(second! > first!);
      });

      test('a second owner is refused while the first one is there', { skip: testEngine.isShared }, async () => {
        await assert.rejects(store.open(), throwsCode('STORE_OWNED'));
        await put('a');
        await engine.close();
        engine = await store.open();
        assert.equal(await text('a'), 'a');
      });
    });
  });
}
