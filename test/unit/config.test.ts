// What the flags may say.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultStoreUrl, parseNamespaces, resolveMountpoint } from '../../src/config.js';
import { isMvfuseError } from '../../src/errors.js';

test('namespace mappings', () => {
  const version = '000660cac64483180000';
  assert.deepEqual(parseNamespaces(`mydb=test, old=test@${version.toUpperCase()},lone`), [
    { fileName: 'mydb', namespace: 'test', version: undefined },
    { fileName: 'old', namespace: 'test', version },
    { fileName: 'lone', namespace: 'lone', version: undefined },
  ]);
  assert.equal(parseNamespaces('db=team/app')[0]!.namespace, 'team/app');
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
    'x-wal=y',
    'x-mjABCDEF912=y',
    'a=b@1',
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
