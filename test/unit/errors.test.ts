// Every error code has a whole meaning, for every layer that answers with it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ERROR_CODES, errorMeaning, isMvfuseError, MvfuseError } from '../../src/errors.js';
import { Errno, errnoOf, RequestError } from '../../src/fuse/errno.js';

test('each code has a status for HTTP and for the shell', () => {
  assert.ok(ERROR_CODES.length > 0);
  for (const code of ERROR_CODES) {
    const { httpStatus, exitStatus } = errorMeaning(code);
    assert.ok(httpStatus >= 400 && httpStatus < 600, code);
    assert.ok(exitStatus >= 2 && exitStatus < 64, code);
  }
});

test('each code has an errno, and none reads as corruption or as a retry', () => {
  const known = new Set<number>(Object.values(Errno));
  for (const code of ERROR_CODES) {
    const error = new MvfuseError(code, 'x');
    const errno = errnoOf(error, 'fsync');
    assert.ok(known.has(errno), code);
    assert.notEqual(errno, Errno.EAGAIN, `${code}: SQLite would take EAGAIN for a lock`);
    assert.equal(errnoOf(error, 'read'), Errno.ETIMEDOUT, code);
  }
});

test('what nobody expected is an I/O error, an errno of the system stays what it is', () => {
  assert.equal(errnoOf(new Error('x'), 'write'), Errno.EIO);
  assert.equal(errnoOf(undefined, 'write'), Errno.EIO);
  assert.equal(errnoOf(Object.assign(new Error('x'), { code: 'ENOSPC' }), 'write'), Errno.ENOSPC);
  // SQLite knows only that one as a full disk.
  for (const code of ['EDQUOT', 'EMFILE']) {
    assert.equal(errnoOf(Object.assign(new Error('x'), { code }), 'write'), Errno.ENOSPC);
  }
  assert.equal(errnoOf(new RequestError('EAGAIN'), 'read'), Errno.EAGAIN);
});

test('a code is recognised', () => {
  const error: unknown = new MvfuseError('CONFLICT', 'x', { cause: 1 });
  assert.ok(isMvfuseError(error) && isMvfuseError(error, 'CONFLICT') && !isMvfuseError(error, 'BUSY'));
  assert.ok(!isMvfuseError(new Error('x')));
  assert.equal((error as Error).cause, 1);
});
