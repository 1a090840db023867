// What the daemon must understand of a rollback journal (https://sqlite.org/fileformat2.html#the_rollback_journal):
// when it is finalised, whether it is hot, and which super-journal its last record names.

const JOURNAL_MAGIC = Buffer.from('d9d505f920a163d7', 'hex');

export const JOURNAL_MAGIC_BYTES = JOURNAL_MAGIC.length;

/** The part of the header that SQLite zeroes to finalise a journal in PERSIST mode or under an exclusive lock. */
export const FINALISED_HEADER_BYTES = 28;

/** A tail record ends with: name length (4), checksum (4), magic (8). */
const TAIL_BYTES = 16;
/** Longer than any path that Linux accepts. */
const NAME_BYTES_MAX = 4096;

/** Whether a write of `data` at `offset` finalises the journal by zeroing its header. */
export function isFinalisingWrite(offset: number, data: Uint8Array): boolean {
  if (offset !== 0 || data.length < FINALISED_HEADER_BYTES) return false;
  return data.subarray(0, FINALISED_HEADER_BYTES).every((byte) => byte === 0);
}

/** Whether SQLite would try to roll back a journal that starts with these bytes: it looks at the first one only. */
export function isHot(start: Uint8Array): boolean {
  return start.length > 0 && start[0] !== 0;
}

/** Whether a file that starts with these bytes is a rollback journal that was not finalised. */
export function beginsJournal(start: Uint8Array): boolean {
  return JOURNAL_MAGIC.equals(start.subarray(0, JOURNAL_MAGIC_BYTES));
}

/** Reads `length` bytes at `offset` of the journal. */
export type ReadJournal = (offset: number, length: number) => Promise<Buffer>;

/** The path of the super-journal that the journal's last record names, or undefined when it names none. */
export async function superJournalOf(sizeBytes: number, read: ReadJournal): Promise<string | undefined> {
  if (sizeBytes < TAIL_BYTES) return undefined;
  const tail = await read(sizeBytes - TAIL_BYTES, TAIL_BYTES);
  if (!tail.subarray(8).equals(JOURNAL_MAGIC)) return undefined;
  const nameBytes = tail.readUInt32BE(0);
  if (nameBytes === 0 || nameBytes > NAME_BYTES_MAX || nameBytes > sizeBytes - TAIL_BYTES) return undefined;
  const name = await read(sizeBytes - TAIL_BYTES - nameBytes, nameBytes);
  // The sum is over `char`, which is signed on some machines and not on others.
  const stated = tail.readUInt32BE(4);
  let unsigned = 0;
  let signed = 0;
  for (const byte of name) {
    unsigned = (unsigned + byte) >>> 0;
    signed = (signed + (byte < 128 ? byte : byte - 256)) >>> 0;
  }
  if (stated !== unsigned && stated !== signed) return undefined;
  // SQLite reads it as a C string. It writes none with a NUL inside, but somebody else may.
  const end = name.indexOf(0);
  const text = name.toString('utf8', 0, end === -1 ? name.length : end);
  return text === '' ? undefined : text;
}
