// For assert.throws and assert.rejects: an error of the project, by its code.

import assert from 'node:assert/strict';
import { type ErrorCode, isMvfuseError } from '../../src/errors.js';

export function throwsCode(code: ErrorCode, message = /./) {
  return (error: unknown): true => {
    assert.ok(isMvfuseError(error, code), `${code} expected, got ${error}`);
    assert.match(error.message, message);
    return true;
  };
}
