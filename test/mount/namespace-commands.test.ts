// ns list, create, stat, rename, set, delete and undelete through the real binary.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { run, sqlite3 } from '../support/client.js';
import { Commands } from '../support/command.js';

/** Runs the rest of its arguments on a terminal of their own, answers the question with the first, prints what was shown. */
const ON_A_TERMINAL = `
import os, pty, sys
answer, *words = sys.argv[1:]
asked = False
shown = b''
def read(fd):
    global asked, shown
    data = os.read(fd, 1024)
    shown += data
    if b'[y/N]' in shown and not asked:
        asked = True
        os.write(fd, answer.encode() + b'\\n')
    return data
status = pty.spawn(words, read)
sys.exit(os.waitstatus_to_exitcode(status))`;

let base: string;
let mvfuse: Commands;

before(async () => {
  base = mkdtempSync(join(tmpdir(), 'mvfuse-namespace-commands-'));
  mvfuse = new Commands(`sqlite:${join(base, 'store')}`);
  await sqlite3(join(base, 'a.db'), 'CREATE TABLE t(a); INSERT INTO t VALUES(1)');
});

after(() => rmSync(base, { recursive: true, force: true }));

const names = async (...args: string[]): Promise<string[]> =>
  ((await mvfuse.json('ns', 'list', ...args)) as Array<{ name: string }>).map(({ name }) => name);

test('every command explains itself with examples', async () => {
  await mvfuse.explained('ns list', 'ns create', 'ns stat', 'ns rename', 'ns set', 'ns delete', 'ns undelete');
});

test('create, list by prefix, rename', async () => {
  for (const name of ['app-1', 'app-2', 'other']) await mvfuse.done('ns', 'create', name);
  assert.deepEqual(await names(), ['app-1', 'app-2', 'other']);
  assert.deepEqual(await names('--prefix', 'app-'), ['app-1', 'app-2']);
  assert.match(await mvfuse.done('ns', 'list', '--prefix', 'nothing'), /^NAME .*\n$/);
  await mvfuse.done('import', join(base, 'a.db'), 'other');
  assert.equal(await mvfuse.done('ns', 'rename', 'other', 'renamed'), 'other is renamed now\n');
  const back = await mvfuse.json('ns', 'rename', 'renamed', 'other');
  assert.deepEqual([back.name, back.head.sizeBytes], ['other', 8192]);
  assert.match(await mvfuse.done('check', 'other'), /ok/);
  await mvfuse.refused(4, /"app-1" exists already/, 'ns', 'rename', 'other', 'app-1');
  await mvfuse.refused(3, /no namespace "missing"/, 'ns', 'rename', 'missing', 'x');
  await mvfuse.refused(2, /cannot name a namespace/, 'ns', 'rename', 'other', 'a=b');
});

test('set: what is kept, of one namespace and by default', async () => {
  const retention = async (...words: string[]) => (await mvfuse.json('ns', 'set', ...words)).retention;
  assert.deepEqual(await retention('other', 'keep=30d', 'keep-versions=100'), {
    keepMs: 30 * 86_400_000,
    keepVersions: 100,
  });
  assert.deepEqual(await retention('other', 'keep=2h30m'), { keepMs: 9_000_000, keepVersions: 100 });
  assert.deepEqual(await retention('other', 'keep-versions=none'), { keepMs: 9_000_000 });
  assert.match(await mvfuse.done('ns', 'stat', 'other'), /\nretention +versions kept: of the last 150m\n/);
  assert.deepEqual(await retention('other', 'keep=forever'), {});
  assert.equal((await mvfuse.json('ns', 'stat', 'other')).hasOwnRetention, true);
  assert.match(
    await mvfuse.done('ns', 'set', '--default', 'keep=90d'),
    /without a policy of their own: .* the last 90d\n$/,
  );
  assert.deepEqual(await retention('--default', 'keep-versions=5'), { keepMs: 90 * 86_400_000, keepVersions: 5 });
  assert.deepEqual((await mvfuse.json('ns', 'stat', 'other')).retention, {}, 'its own');
  assert.match(
    await mvfuse.done('ns', 'set', 'other', 'keep=default'),
    /of the last 90d, and the newest 5 \(the policy of the store\)/,
  );
  assert.deepEqual(await retention('--default', 'keep=default'), {});

  const refused = (message: RegExp, ...words: string[]) => mvfuse.refused(2, message, 'ns', 'set', ...words);
  await refused(/nothing to set/, 'other');
  await refused(/"30d" is no setting: key=value/, 'other', '30d');
  await refused(/"kep" cannot be set/, 'other', 'kep=30d');
  await refused(/keep is given twice/, 'other', 'keep=1d', 'keep=2d');
  await refused(/no length of time, such as 30d/, 'other', 'keep=soon');
  await refused(/keep-versions=0 is no number of versions/, 'other', 'keep-versions=0');
  await refused(/leave keep-versions out/, 'other', 'keep=forever', 'keep-versions=5');
  await refused(/64 hex digits that mvfuse ns proof prints/, 'other', 'access-proof=hunter2');
  await refused(/belongs to one namespace/, '--default', 'access-proof=none');
  await refused(/"755" is not the mode of a database/, 'other', 'mode=755');
  await refused(/a mode belongs to one namespace/, '--default', 'mode=default');
  await mvfuse.refused(3, /no namespace "missing"/, 'ns', 'set', 'missing', 'keep=1d');
});

test('delete: asks on a terminal, needs --yes elsewhere', async () => {
  await mvfuse.refused(2, /"other" would be deleted with all its versions: --yes/, 'ns', 'delete', 'other');
  await mvfuse.refused(3, /no namespace "missing"/, 'ns', 'delete', 'missing', '--yes');
  const answer = (text: string) =>
    run('python3', ['-c', ON_A_TERMINAL, text, ...mvfuse.words('ns', 'delete', 'other')]);
  const no = await answer('n');
  assert.match(no.stdout, /Delete "other" \(8192 bytes, last written .*\) with all its versions\? \[y\/N\] /);
  assert.match(no.stdout, /nothing was deleted/);
  assert.equal(no.status, 11);
  assert.ok((await names()).includes('other'));
  const yes = await answer('y');
  assert.match(yes.stdout, /deleted other; until 20\S+Z this brings it back: mvfuse ns undelete other/);
  assert.equal(yes.status, 0, yes.stdout);
  assert.deepEqual(await names(), ['app-1', 'app-2']);
  const { deleted, droppedMs, removedAfterMs } = await mvfuse.json('ns', 'delete', 'app-1', '--yes');
  assert.deepEqual([deleted, removedAfterMs - droppedMs], ['app-1', 86_400_000]);
  // The name is free again, and empty.
  await mvfuse.done('ns', 'create', 'other');
  assert.deepEqual(await mvfuse.json('log', 'other'), []);
});

test('undelete: what was deleted is listed, and comes back', async () => {
  const listed = await mvfuse.json('ns', 'list', '--deleted');
  assert.deepEqual(
    listed.map(({ name, head }: { name: string; head: { sizeBytes: number } }) => [name, head.sizeBytes]),
    [
      ['app-1', 0],
      ['other', 8192],
    ],
  );
  const [shown] = (await mvfuse.done('ns', 'list', '--deleted', '--prefix', 'oth')).split('\n').slice(1);
  const { id, droppedMs, removedAfterMs } = listed[1];
  const times = [droppedMs, removedAfterMs].map((ms) => new Date(ms).toISOString());
  assert.match(shown!, new RegExp(`^other +${id} +8192 +${times.join(' +')}$`));
  await mvfuse.refused(4, /"other" exists already: .*--as/, 'ns', 'undelete', 'other');
  await mvfuse.refused(3, /no deleted namespace "othr": .* "other" \(id \d+\)/, 'ns', 'undelete', 'othr');
  await mvfuse.refused(2, /cannot name a namespace/, 'ns', 'undelete', 'other', '--as', 'a=b');
  await mvfuse.refused(2, /--id/, 'ns', 'undelete', 'other', '--id', 'first');
  assert.equal(await mvfuse.done('ns', 'undelete', 'other', '--as', 'back'), 'back is back\n');
  assert.match(await mvfuse.done('check', 'back'), /ok/);
  assert.equal((await mvfuse.json('ns', 'stat', 'back')).id, id);
  assert.equal((await mvfuse.json('ns', 'undelete', 'app-1')).name, 'app-1');
  assert.deepEqual(await mvfuse.json('ns', 'list', '--deleted'), []);
  assert.deepEqual(await names(), ['app-1', 'app-2', 'back', 'other']);
});

test('undelete: of several that had a name, the last one, or the one with the id', async () => {
  const ids = [];
  for (let count = 0; count < 3; count += 1) {
    ids.push((await mvfuse.json('ns', 'create', 'again')).id);
    await mvfuse.done('ns', 'delete', 'again', '--yes');
  }
  assert.equal((await mvfuse.json('ns', 'undelete', 'again')).id, ids[2]);
  const first = await mvfuse.json('ns', 'undelete', 'again', '--id', String(ids[0]), '--as', 'first');
  assert.deepEqual([first.id, first.name], [ids[0], 'first']);
  await mvfuse.refused(5, /another namespace now/, 'ns', 'delete', 'again', '--yes', '--id', String(ids[1]));
  await mvfuse.done('ns', 'delete', 'again', '--yes', '--id', String(ids[2]));
});

test('a fork of what was deleted goes on', async () => {
  await mvfuse.done('fork', 'back', 'fork');
  await mvfuse.done('ns', 'delete', 'back', '--yes');
  assert.match(await mvfuse.done('check', 'fork'), /ok/);
  assert.match(await mvfuse.done('ns', 'stat', 'fork'), /\nforked from +back@[0-9a-f]{20} \(deleted\)\n/);
  await mvfuse.refused(5, /has forks, .* "fork"/, 'ns', 'delete', 'back', '--purge', '--yes');
  await mvfuse.done('ns', 'undelete', 'back');
  await mvfuse.done('ns', 'delete', 'fork', '--yes');
  assert.match(await mvfuse.done('ns', 'stat', 'back'), /\nforks +fork \(from [0-9a-f]{20}; deleted\)\n/);
  await mvfuse.refused(5, /has forks, .* "fork" \(deleted/, 'ns', 'delete', 'back', '--purge', '--yes');
});

test('delete --purge: for good, also what was deleted before', async () => {
  await mvfuse.refused(2, /"fork" would be deleted .*, for good: --yes/, 'ns', 'delete', 'fork', '--purge');
  await mvfuse.refused(3, /not even a deleted one/, 'ns', 'delete', 'missing', '--purge');
  assert.equal(await mvfuse.done('ns', 'delete', 'fork', '--purge', '--yes'), 'removed fork for good\n');
  assert.deepEqual(await mvfuse.json('ns', 'delete', 'back', '--purge', '--yes'), { purged: 'back' });
  await mvfuse.refused(3, /no deleted namespace "back"/, 'ns', 'undelete', 'back');
  await mvfuse.refused(5, /several .* "again": .* id/, 'ns', 'delete', 'again', '--purge', '--yes');
  const left = (await mvfuse.json('ns', 'list', '--deleted')) as Array<{ name: string; id: number }>;
  for (const { name, id } of left) await mvfuse.done('ns', 'delete', name, '--purge', '--yes', '--id', String(id));
  assert.deepEqual(await mvfuse.json('ns', 'list', '--deleted'), []);
  assert.deepEqual(await names(), ['app-1', 'app-2', 'first', 'other']);
});
