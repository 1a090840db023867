// The only loader of the native addon (native-shim/). Its face is described in native-shim/index.d.ts.
//
// The addon is looked up from the package root, which is three folders up from here once compiled (dist/src/native);
// MVFUSE_NATIVE names another build of it, such as the one with AddressSanitizer.

import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import type * as Native from '../../native-shim/index.js';
import { MvfuseError } from '../errors.js';

export type * from '../../native-shim/index.js';

const DEFAULT_PATH = fileURLToPath(new URL('../../../native-shim/build/Release/mvfuse_native.node', import.meta.url));

function load(): typeof Native {
  const path = process.env.MVFUSE_NATIVE || DEFAULT_PATH;
  try {
    return createRequire(import.meta.url)(path) as typeof Native;
  } catch (cause) {
    throw new MvfuseError('MOUNT_FAILED', `The native addon cannot be loaded from ${path}: run "npm run setup".`, {
      cause,
    });
  }
}

const native = load();

export const Session = native.Session;
export type Session = Native.Session;
export const OPEN_DIRECT_IO = native.OPEN_DIRECT_IO;
export const OPEN_KEEP_CACHE = native.OPEN_KEEP_CACHE;
export const bootTimeMs = native.bootTimeMs;
export const sendDatagram = native.sendDatagram;
