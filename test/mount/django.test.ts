// A Django project on a mount: its state of five minutes ago is dumped, the database is destroyed, and restored from the dump.
//
// The five minutes are spared: the daemon that the data is made with has a clock that is behind (libfaketime).

import assert from 'node:assert/strict';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { sqlite3 } from '../support/client.js';
import { djangoMissing, dumpdata, manage, managed } from '../support/django-project.js';
import { TestMount } from '../support/mounted.js';

const FAKETIME = '/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1';
const QUESTIONS = 20;
const VOTES = 60;

function missing(): string | false {
  return djangoMissing() || (existsSync(FAKETIME) ? false : 'libfaketime is not installed');
}

describe('a Django project', { skip: missing() }, () => {
  let mount: TestMount | undefined;
  after(() => mount?.remove());

  test('is restored from what it was five minutes ago', async () => {
    const behind = { LD_PRELOAD: FAKETIME, FAKETIME: '-6m', FAKETIME_DONT_FAKE_MONOTONIC: '1' };
    mount = await TestMount.start({ environment: behind });
    const { base } = mount;
    await managed(mount.path(), 'migrate', '-v0');
    await managed(mount.path(), 'vote', String(QUESTIONS), String(VOTES));
    const original = await dumpdata(mount.path());
    assert.equal(await mount.unmount(), 0);

    mount = await TestMount.start({ base });
    const past = mount.path('mydb@-5m');
    assert.equal(await dumpdata(past), original);
    // Somebody makes a mistake, and then worse.
    await sqlite3(mount.path(), 'UPDATE polls_choice SET votes = 0; DELETE FROM polls_question WHERE id % 2');
    await managed(mount.path(), 'flush', '--no-input', '-v0');
    assert.equal(await sqlite3(mount.path(), 'SELECT count(*) FROM polls_question'), '0');
    assert.equal(await dumpdata(past), original);
    const file = join(base, 'dump.json');
    writeFileSync(file, await dumpdata(past));
    const attempt = await manage(past, 'flush', '--no-input', '-v0');
    assert.notEqual(attempt.status, 0);
    assert.equal(await dumpdata(past), original);

    // Everything is destroyed, and begun anew.
    assert.equal(await mount.unmount(), 0);
    rmSync(join(base, 'store'), { recursive: true });
    mount = await TestMount.start({ base });
    await managed(mount.path(), 'migrate', '-v0');
    await managed(mount.path(), 'loaddata', file, '-v0');
    assert.equal(await dumpdata(mount.path()), original);
    assert.equal(
      await sqlite3(mount.path(), 'SELECT sum(votes), count(*) FROM polls_choice'),
      `${VOTES}|${3 * QUESTIONS}`,
    );
    assert.equal(await sqlite3(mount.path(), 'PRAGMA integrity_check'), 'ok');
  });
});
