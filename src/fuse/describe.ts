// Short names for requests, in the notation of docs/testing.md: rP rS wR … for locks, L for a lookup,
// GA for a getattr, and what is asked of: db, j (rollback journal), mj (super-journal). For traces, for counting
// round trips, and for tests that answer the n-th request of a kind with an error.

import type { Request } from '../native/binding.js';
import { overlaps, PENDING_BYTE, RESERVED_BYTE, SHARED_FIRST, SHARED_LAST } from '../sqlite/lock-bytes.js';
import { isFinalisingWrite } from '../sqlite/rollback-journal.js';
import { Database } from './database.js';
import type { Node } from './node.js';
import { PrivateFile } from './private-file.js';

export function describe(request: Request, node: Node | undefined): string {
  switch (request.op) {
    case 'setlk':
      return lockName(request.type, request.start, request.end);
    case 'setlkw':
      return `${lockName(request.type, request.start, request.end)}W`;
    case 'getlk':
      return 'GETLK';
    case 'lookup':
      return `L(${suffix(request.name)})`;
    case 'create':
    case 'unlink':
      return `${request.op.toUpperCase()}(${suffix(request.name)})`;
    case 'getattr':
      return `GA(${target(node)})`;
    case 'read':
      return `rd(${target(node)})`;
    case 'write':
      return `${isZeroed(node, request) ? 'WZ' : 'W'}(${target(node)})`;
    case 'setattr':
      return `${request.size === undefined ? 'SETATTR' : 'TRUNC'}(${target(node)})`;
    default:
      return `${request.op.toUpperCase()}(${target(node)})`;
  }
}

function lockName(type: 'read' | 'write' | 'unlock', start: number, end: number): string {
  if (type === 'unlock') {
    if (end > SHARED_LAST) return 'u*';
    return overlaps(start, end, RESERVED_BYTE, RESERVED_BYTE) ? 'uPR' : 'uP';
  }
  const prefix = type === 'read' ? 'r' : 'w';
  if (overlaps(start, end, SHARED_FIRST, SHARED_LAST)) return `${prefix}S`;
  if (overlaps(start, end, PENDING_BYTE, PENDING_BYTE)) return `${prefix}P`;
  return overlaps(start, end, RESERVED_BYTE, RESERVED_BYTE) ? `${prefix}R` : `${prefix}?`;
}

const LABELS = { journal: 'j', 'super-journal': 'mj', wal: 'wal' } as const;

function target(node: Node | undefined): string {
  if (node instanceof Database) return 'db';
  if (node instanceof PrivateFile) return LABELS[node.kind];
  return 'dir';
}

function suffix(name: string): string {
  if (name.endsWith('-journal')) return 'j';
  if (/-mj[0-9A-F]{9}$/.test(name)) return 'mj';
  if (name.endsWith('-wal')) return 'wal';
  if (name.endsWith('-shm')) return 'shm';
  return 'name';
}

function isZeroed(node: Node | undefined, request: { offset: number; data: Buffer }): boolean {
  return node instanceof PrivateFile && isFinalisingWrite(request.offset, request.data);
}
