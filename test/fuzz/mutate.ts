// New inputs from known ones, for the fuzzing loop: the usual changes to bytes, big-endian numbers and pieces, and
// operands of comparisons put in the place of what they were compared with.

import { type Random, randomInteger } from '../support/random.js';

export const INPUT_BYTES_MAX = 8192;
const CHANGES_MAX = 5;
const NUMBERS = [0, 1, 2, 7, 15, 16, 17, 27, 28, 255, 256, 512, 4096, 4097, 65535, 65536, 0x7fffffff, 0xffffffff];

export interface Input {
  readonly bytes: Buffer;
  /** What was compared while it ran. */
  readonly compared: readonly (readonly [number, number])[];
}

function pick<T>(random: Random, from: readonly T[]): T {
  return from[randomInteger(random, 0, from.length - 1)]!;
}

function bigEndian(value: number, length: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt.asUintN(64, BigInt(Math.trunc(value))));
  return bytes.subarray(8 - length);
}

/** Writes a number near one of a comparison's sides where the other side's bytes are, if they are anywhere. */
function answerComparison(random: Random, bytes: Buffer, compared: Input['compared']): void {
  const [left, right] = pick(random, compared);
  const [from, to] = random() < 0.5 ? [left, right] : [right, left];
  if (!Number.isFinite(from) || !Number.isFinite(to)) return;
  const length = pick(random, [1, 2, 4, 4, 8]);
  const wanted = bigEndian(from, length);
  const start = randomInteger(random, 0, bytes.length);
  const found = bytes.indexOf(wanted, start);
  const at = found === -1 ? bytes.indexOf(wanted) : found;
  if (at !== -1) bigEndian(to + randomInteger(random, -1, 1), length).copy(bytes, at);
}

function replaced(bytes: Buffer, start: number, end: number, by: Buffer): Buffer {
  return Buffer.concat([bytes.subarray(0, start), by, bytes.subarray(end)]).subarray(0, INPUT_BYTES_MAX);
}

/** Mostly small; now and then of any size. */
function pieceBytes(random: Random): number {
  return random() < 0.9 ? randomInteger(random, 1, 24) : randomInteger(random, 1, 5000);
}

function changeOnce(random: Random, bytes: Buffer, input: Input, other: Buffer): Buffer {
  const at = randomInteger(random, 0, Math.max(0, bytes.length - 1));
  const end = Math.min(bytes.length, at + pieceBytes(random));
  switch (randomInteger(random, 0, 9)) {
    case 0:
      if (bytes.length > 0) bytes[at]! ^= 1 << randomInteger(random, 0, 7);
      return bytes;
    case 1:
      return bytes.fill(randomInteger(random, 0, 255), at, Math.min(end, at + randomInteger(random, 1, 3)));
    case 2:
      return bytes.fill(pick(random, [0, 0, 0x2f, 0x80, 0xff]), at, end);
    case 3: {
      const length = pick(random, [1, 2, 4]);
      bigEndian(pick(random, NUMBERS), length).copy(bytes, at);
      return bytes;
    }
    case 4: {
      if (bytes.length < at + 4) return bytes;
      bytes.writeUInt32BE((bytes.readUInt32BE(at) + randomInteger(random, -16, 16)) >>> 0, at);
      return bytes;
    }
    case 5:
      return replaced(bytes, at, end, Buffer.alloc(0));
    case 6:
      return replaced(bytes, at, at, Buffer.alloc(pieceBytes(random), randomInteger(random, 0, 255)));
    case 7: {
      const from = randomInteger(random, 0, other.length);
      return replaced(bytes, at, random() < 0.5 ? at : end, other.subarray(from, from + pieceBytes(random)));
    }
    case 8:
      return replaced(bytes, at, bytes.length, other.subarray(randomInteger(random, 0, other.length)));
    default:
      if (input.compared.length > 0) answerComparison(random, bytes, input.compared);
      return bytes;
  }
}

/** A changed copy of `input`; pieces may come from `other`. */
export function mutate(random: Random, input: Input, other: Buffer): Buffer {
  let bytes = Buffer.from(input.bytes);
  for (let changes = randomInteger(random, 1, CHANGES_MAX); changes > 0; changes -= 1) {
    bytes = Buffer.from(changeOnce(random, bytes, input, other));
  }
  return bytes;
}
