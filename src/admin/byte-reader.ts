// A stream of pieces of any length, read by the number of bytes.

export class ByteReader {
  readonly #pieces: AsyncIterator<Uint8Array>;
  #held: Buffer = Buffer.alloc(0);
  #isEnded = false;

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#pieces = source[Symbol.asyncIterator]();
  }

  /** That many bytes, or all there are; not to be changed. */
  async read(bytes: number): Promise<Buffer> {
    const parts = [this.#held];
    let length = this.#held.length;
    while (length < bytes && !this.#isEnded) {
      const { done, value } = await this.#pieces.next();
      this.#isEnded = done === true;
      if (done === true) break;
      parts.push(Buffer.from(value.buffer, value.byteOffset, value.length));
      length += value.length;
    }
    const all = parts.length === 1 ? this.#held : Buffer.concat(parts);
    this.#held = all.subarray(bytes);
    return all.subarray(0, bytes);
  }

  /** Lets the source know that nobody reads on. */
  async close(): Promise<void> {
    this.#isEnded = true;
    await this.#pieces.return?.();
  }
}
