// What the flags may say.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  defaultStoreUrl,
  formatSize,
  parseCount,
  parseDuration,
  parseNamespaces,
  parseSize,
  resolveMountpoint,
} from '../../src/config.js';
import { isMvfuseError } from '../../src/errors.js';

test('namespace mappings', () => {
  const version = '000660cac64483180000';
  assert.deepEqual(parseNamespaces(`mydb=test, old=test@${version.toUpperCase()},lone`), {
    files: [
      { fileName: 'mydb', namespace: 'test', moment: undefined, owner: undefined },
      { fileName: 'old', namespace: 'test', moment: { kind: 'version', version }, owner: undefined },
      { fileName: 'lone', namespace: 'lone', moment: undefined, owner: undefined },
    ],
    prefix: undefined,
  });
  assert.equal(parseNamespaces('db=team/app').files[0]!.namespace, 'team/app');
  assert.equal(parseNamespaces('*').prefix, '');
  assert.deepEqual(parseNamespaces('*=team/*'), { files: [], prefix: 'team/' });
  assert.equal(parseNamespaces('old=test@-5m,*').prefix, '');
});

test('what no mapping may be', () => {
  for (const text of [
    '',
    'a=',
    '=b',
    'a=b,',
    'a=b,a=c',
    'a/b=c',
    'a@1=c',
    '.c=x',
    '*,*=a/*',
    '*=a',
    '*a',
    '*=*a*',
    '*=a@*',
    'x-wal=y',
    'x-mjABCDEF912=y',
    'a=b@-1x',
  ]) {
    assert.throws(
      () => parseNamespaces(text),
      (error) => isMvfuseError(error, 'INVALID_ARGUMENT'),
      text,
    );
  }
});

test('the default store is in the user data directory', () => {
  assert.equal(defaultStoreUrl({ XDG_DATA_HOME: '/data' }), 'sqlite:/data/mvfuse/store');
});

test('the store may not lie inside the mount', () => {
  assert.equal(resolveMountpoint('/a/b', '/a/store'), '/a/b');
  assert.throws(() => resolveMountpoint('/a', '/a/store'));
  assert.throws(() => resolveMountpoint('/a', '/a'));
});

test('sizes, counts and times', () => {
  const any = { min: 0, max: 2 ** 50 };
  for (const [text, bytes] of [
    ['0', 0],
    ['4096', 4096],
    ['64M', 67_108_864],
    ['64 m', undefined],
    ['64MiB', 67_108_864],
    ['1g', 2 ** 30],
    ['1.5K', 1536],
    ['2T', 2 ** 41],
    ['-1', undefined],
    ['1P', undefined],
    ['M', undefined],
    ['', undefined],
    ['1e6', undefined],
  ] as const) {
    if (bytes === undefined) assert.throws(() => parseSize(text, any), /is not a size/, text);
    else assert.equal(parseSize(text, any), bytes, text);
  }
  assert.throws(
    () => parseSize('1023K', { min: 2 ** 20, max: 2 ** 30 }),
    /"1023K" is not a size from 1M to 1G, such as/,
  );
  for (const text of ['0', '1000', '64M', '16G', '3K', '1T']) assert.equal(formatSize(parseSize(text, any)), text);

  assert.equal(parseCount('500', { min: 1, max: 500 }), 500);
  for (const text of ['501', '0', '1.5', '-3', '', 'x', '1e2']) {
    assert.throws(() => parseCount(text, { min: 1, max: 500 }), /is not a whole number from 1 to 500/, text);
  }
  const hour = { min: 0, max: 3_600_000 };
  assert.equal(parseDuration('250ms', hour), 250);
  assert.equal(parseDuration('0s', hour), 0);
  assert.equal(parseDuration('1.5m', hour), 90_000);
  for (const text of ['10', '61m', '-1s', 's', '1h'])
    assert.throws(() => parseDuration(text, hour), /is not a time/, text);
});
