// One commit as one block of bytes, so that it moves to the writer's thread without being cloned.
//
//   read counter (float64, -1 without reads), clock in ms (float64), whether it must be durable (uint8),
//   count of read keys (uint32), the keys, count of read ranges (uint32), begin and end of each,
//   count of mutations (uint32), for each its kind (uint8) and its fields
// A key, range end or field is its length (uint32) and its bytes. Integers are little-endian.

import { bytesToLatin1 } from '../bytes.js';
import type { PendingCommit } from '../embedded-engine.js';
import type { Mutation } from '../mutation.js';
import { ReadSet } from '../read-set.js';

const KINDS = ['set', 'clear', 'clearRange', 'setStampedKey', 'setStampedValue'] as const;
const HEADER_BYTES = 8 + 8 + 1 + 3 * 4;
const NO_READS = -1;

/** The buffer is new and of exactly the right length, so it may be transferred. */
export function encodeCommit(commit: PendingCommit): ArrayBuffer {
  const reads = commit.readCounter === undefined ? new ReadSet() : commit.reads;
  const fields = commit.mutations.map(mutationFields);
  const bytes = Buffer.from(new ArrayBuffer(messageBytes(reads, fields)));
  let offset = bytes.writeDoubleLE(reads.isEmpty ? NO_READS : commit.readCounter!);
  offset = bytes.writeDoubleLE(commit.clockMs, offset);
  offset = bytes.writeUInt8(commit.durable ? 1 : 0, offset);

  const putText = (text: string) => {
    offset = bytes.writeUInt32LE(text.length, offset);
    offset += bytes.write(text, offset, 'latin1');
  };
  offset = bytes.writeUInt32LE(reads.keys.size, offset);
  for (const key of reads.keys) putText(key);
  offset = bytes.writeUInt32LE(reads.ranges.length, offset);
  for (const { begin, end } of reads.ranges) {
    putText(begin);
    putText(end);
  }
  offset = bytes.writeUInt32LE(commit.mutations.length, offset);
  for (const [index, mutation] of commit.mutations.entries()) {
    offset = bytes.writeUInt8(KINDS.indexOf(mutation.kind), offset);
    for (const field of fields[index]!) {
      offset = bytes.writeUInt32LE(field.length, offset);
      offset += field.copy(bytes, offset);
    }
  }
  return bytes.buffer as ArrayBuffer;
}

/** The mutations' fields are views of `message`. */
export function decodeCommit(message: ArrayBuffer): PendingCommit {
  const bytes = Buffer.from(message);
  let offset = 17;
  const takeCount = () => {
    offset += 4;
    return bytes.readUInt32LE(offset - 4);
  };
  const takeField = () => {
    const end = takeCount() + offset;
    const field = bytes.subarray(offset, end);
    offset = end;
    return field;
  };
  const reads = new ReadSet();
  for (let rest = takeCount(); rest > 0; rest--) reads.addKey(bytesToLatin1(takeField()));
  for (let rest = takeCount(); rest > 0; rest--) reads.addRange(bytesToLatin1(takeField()), bytesToLatin1(takeField()));
  const mutations: Mutation[] = [];
  for (let rest = takeCount(); rest > 0; rest--) mutations.push(takeMutation(bytes.readUInt8(offset++), takeField));
  const readCounter = bytes.readDoubleLE(0);
  return {
    readCounter: readCounter === NO_READS ? undefined : readCounter,
    reads,
    mutations,
    clockMs: bytes.readDoubleLE(8),
    durable: bytes.readUInt8(16) === 1,
  };
}

function mutationFields(mutation: Mutation): Buffer[] {
  switch (mutation.kind) {
    case 'set':
      return [mutation.key, mutation.value];
    case 'clear':
      return [mutation.key];
    case 'clearRange':
      return [mutation.begin, mutation.end];
    case 'setStampedKey':
      return [mutation.prefix, mutation.suffix, mutation.value];
    case 'setStampedValue':
      return [mutation.key, mutation.prefix, mutation.suffix];
  }
}

function takeMutation(kindIndex: number, take: () => Buffer): Mutation {
  const kind = KINDS[kindIndex];
  if (kind === undefined) throw new RangeError(`a commit message holds a mutation of kind ${kindIndex}`);
  switch (kind) {
    case 'set':
      return { kind, key: take(), value: take() };
    case 'clear':
      return { kind, key: take() };
    case 'clearRange':
      return { kind, begin: take(), end: take() };
    case 'setStampedKey':
      return { kind, prefix: take(), suffix: take(), value: take() };
    case 'setStampedValue':
      return { kind, key: take(), prefix: take(), suffix: take() };
  }
}

function messageBytes(reads: ReadSet, fields: readonly Buffer[][]): number {
  let bytes = HEADER_BYTES + reads.bytes + 4 * (reads.keys.size + 2 * reads.ranges.length);
  for (const mutation of fields) {
    bytes += 1;
    for (const field of mutation) bytes += 4 + field.length;
  }
  return bytes;
}
