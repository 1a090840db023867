// The service manager's side of a daemon: which signs the watchdog gets, and a socket that is full for a moment.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { ServiceManager } from '../../../src/cli/service-manager.js';

const SOCKET = '/run/notify';
const WATCHED = { NOTIFY_SOCKET: SOCKET, WATCHDOG_USEC: '20000' };

function setUp(environment: NodeJS.ProcessEnv, refusals = 0): { sent: string[]; manager: ServiceManager | undefined } {
  const sent: string[] = [];
  let left = refusals;
  const send = (path: string, data: Uint8Array): void => {
    assert.equal(path, SOCKET);
    if (left-- > 0) throw Object.assign(new Error('full'), { code: 'EAGAIN' });
    sent.push(Buffer.from(data).toString());
  };
  return { sent, manager: ServiceManager.of(environment, send, pino({ level: 'silent' })) };
}

test('without NOTIFY_SOCKET there is nobody to tell', () => {
  assert.equal(setUp({}).manager, undefined);
  assert.equal(setUp({ NOTIFY_SOCKET: '', WATCHDOG_USEC: '1000' }).manager, undefined);
});

test('no sign of life while the store does not answer, or is refused', async () => {
  const { sent, manager } = setUp(WATCHED);
  let answer: () => Promise<void> = () => Promise.reject(new Error('the store is refused'));
  let questions = 0;
  manager!.watch(() => {
    questions += 1;
    return answer();
  });
  await sleep(100);
  assert.ok(questions >= 2, `${questions}`);
  assert.deepEqual(sent, []);
  let release = (): void => {};
  answer = () =>
    new Promise((resolve) => {
      release = resolve;
    });
  await sleep(50);
  questions = 0;
  await sleep(100);
  // One that hangs is not asked again and again.
  assert.equal(questions, 0);
  assert.deepEqual(sent, []);
  answer = async () => {};
  release();
  await sleep(100);
  assert.ok(sent.length >= 2 && sent.every((text) => text === 'WATCHDOG=1'), sent.join());
  await manager!.stopping();
  const count = sent.length;
  assert.match(sent.at(-1)!, /^STOPPING=1\n/);
  await manager!.stopping();
  await sleep(50);
  assert.equal(sent.length, count);
});

test('a watchdog for another process, or none, gets no sign', async () => {
  for (const environment of [
    { ...WATCHED, WATCHDOG_PID: '1' },
    { NOTIFY_SOCKET: SOCKET },
    { ...WATCHED, WATCHDOG_USEC: '0' },
    { ...WATCHED, WATCHDOG_USEC: 'soon' },
  ]) {
    const { sent, manager } = setUp(environment);
    manager!.watch(async () => {});
    await sleep(50);
    assert.deepEqual(sent, []);
    await manager!.stopping();
  }
});

test('a socket that is full is tried again', async () => {
  const { sent, manager } = setUp({ NOTIFY_SOCKET: SOCKET }, 2);
  await manager!.ready('Mounted');
  assert.deepEqual(sent, ['READY=1\nSTATUS=Mounted']);
});
