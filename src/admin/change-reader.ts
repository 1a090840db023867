// Reads a change file once, from beginning to end, and believes nothing before its checksum was right.

import { MvfuseError } from '../errors.js';
import { bytesOfPage, pageCountOf } from '../store/page-count.js';
import type { Head, Page, PageNumber } from '../store/types.js';
import { ByteReader } from './byte-reader.js';
import {
  CHECKSUM_BYTES,
  type ChangesHeader,
  ChecksumChain,
  COUNT_BYTES,
  damaged,
  decodeDescription,
  decodePrefix,
  decodeVersionHead,
  END_MARK,
  PAGE_NUMBER_BYTES,
  PREFIX_BYTES,
  VERSION_HEAD_BYTES,
  VERSION_MARK,
} from './change-file.js';

/** A version on its way in. */
export interface IncomingVersion {
  readonly head: Head;
  /**
   * To be read once, to the end, before the next version. Only when it ends without an error is what it gave right.
   * Whole pages, but for the last one of a file whose size is no multiple.
   */
  readonly pages: AsyncGenerator<Page>;
}

export class ChangeReader {
  readonly header: ChangesHeader;
  readonly #bytes: ByteReader;
  readonly #chain: ChecksumChain;
  /** The newest version that was right. */
  #last: Head['version'];
  #versions = 0;

  private constructor(header: ChangesHeader, bytes: ByteReader, chain: ChecksumChain) {
    this.header = header;
    this.#bytes = bytes;
    this.#chain = chain;
    this.#last = header.from;
  }

  /** @throws INVALID_ARGUMENT for what is no change file of this format, CORRUPT for a damaged one, what the source throws */
  static async open(source: AsyncIterable<Uint8Array>): Promise<ChangeReader> {
    const bytes = new ByteReader(source);
    try {
      return await ChangeReader.#open(bytes);
    } catch (error) {
      await bytes.close();
      throw error;
    }
  }

  static async #open(bytes: ByteReader): Promise<ChangeReader> {
    const chain = new ChecksumChain();
    const prefix = await bytes.read(PREFIX_BYTES);
    if (prefix.length < PREFIX_BYTES) {
      const state = prefix.length === 0 ? 'it is empty' : `it has ${prefix.length} bytes`;
      throw new MvfuseError('INVALID_ARGUMENT', `this is no change file: ${state}`);
    }
    const description = await bytes.read(decodePrefix(prefix));
    chain.update(prefix);
    chain.update(description);
    await requireChecksum(bytes, chain, 'its description');
    return new ChangeReader(decodeDescription(description), bytes, chain);
  }

  /** Undefined at the end, which was verified. @throws CORRUPT, what the source throws */
  async next(): Promise<IncomingVersion | undefined> {
    const [mark] = await this.#take(1);
    if (mark === END_MARK) return this.#end();
    if (mark !== VERSION_MARK) throw damaged(`what follows version ${this.#last}`);
    const bytes = await this.#take(VERSION_HEAD_BYTES);
    await requireChecksum(this.#bytes, this.#chain, `what follows version ${this.#last}`);
    const head = decodeVersionHead(bytes);
    if (head.version <= this.#last || head.version > this.header.to)
      throw damaged(`the place of version ${head.version}`);
    return { head, pages: this.#pages(head) };
  }

  /** Lets the source know that nobody reads on. */
  close(): Promise<void> {
    return this.#bytes.close();
  }

  async *#pages(head: Head): AsyncGenerator<Page> {
    const count = pageCountOf(head);
    const what = `version ${head.version}`;
    for (let previous = 0; ; ) {
      const number = (await this.#take(PAGE_NUMBER_BYTES)).readUInt32BE() as PageNumber;
      if (number === 0) break;
      if (number <= previous || number > count) throw damaged(what);
      yield { number, data: await this.#take(bytesOfPage(head, number)) };
      previous = number;
    }
    await requireChecksum(this.#bytes, this.#chain, what);
    this.#last = head.version;
    this.#versions += 1;
  }

  async #end(): Promise<undefined> {
    const versions = (await this.#take(COUNT_BYTES)).readBigUInt64BE();
    await requireChecksum(this.#bytes, this.#chain, 'its end');
    if (versions !== BigInt(this.#versions) || this.#last !== this.header.to) throw damaged('its end');
    if ((await this.#bytes.read(1)).length > 0) throw damaged('what follows its end');
    return undefined;
  }

  /** Part of what the next checksum covers. */
  async #take(count: number): Promise<Buffer> {
    const bytes = await this.#bytes.read(count);
    if (bytes.length < count) throw cutOff(this.#last);
    this.#chain.update(bytes);
    return bytes;
  }
}

async function requireChecksum(bytes: ByteReader, chain: ChecksumChain, what: string): Promise<void> {
  const stated = await bytes.read(CHECKSUM_BYTES);
  if (stated.length < CHECKSUM_BYTES) throw cutOff(what);
  if (!chain.next().equals(stated)) throw damaged(what);
}

function cutOff(after: string): MvfuseError {
  return new MvfuseError('CORRUPT', `the change file is cut off, in or after ${after}`);
}
