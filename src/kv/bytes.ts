// Byte strings as keys: order, and the two forms that engines keep them in.
//
// Keys are compared as unsigned bytes. Where a key must index a Map or be compared often it is held as
// a latin1 string, one UTF-16 unit per byte: JavaScript then compares and hashes it in the same order.

/** The bytes themselves as a Buffer, not a copy. */
export function viewBytes(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

export function bytesToLatin1(bytes: Uint8Array): string {
  return viewBytes(bytes).toString('latin1');
}

export function latin1ToBytes(text: string): Buffer {
  return Buffer.from(text, 'latin1');
}

/** The first key after `key`. */
export function keyAfter(key: Uint8Array): Buffer {
  return Buffer.concat([key, Buffer.alloc(1)]);
}

/** Whether two values are alike; undefined where there is none. */
export function isSame(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  return a === undefined || b === undefined ? a === b : Buffer.compare(a, b) === 0;
}
