// A set of page numbers, ascending: one bit for each page, so that those of a transaction of many gigabytes take no
// more than a few megabytes.

const CHUNK_BYTES = 4096;
const CHUNK_PAGES = CHUNK_BYTES * 8;

export class PageBitmap {
  readonly #chunks = new Map<number, Uint8Array>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  has(page: number): boolean {
    const bits = this.#chunks.get(Math.floor(page / CHUNK_PAGES));
    return bits !== undefined && (bits[byteOf(page)]! & maskOf(page)) !== 0;
  }

  add(page: number): void {
    const number = Math.floor(page / CHUNK_PAGES);
    let bits = this.#chunks.get(number);
    if (bits === undefined) {
      bits = new Uint8Array(CHUNK_BYTES);
      this.#chunks.set(number, bits);
    }
    if ((bits[byteOf(page)]! & maskOf(page)) !== 0) return;
    bits[byteOf(page)]! |= maskOf(page);
    this.#size += 1;
  }

  delete(page: number): void {
    if (!this.has(page)) return;
    this.#chunks.get(Math.floor(page / CHUNK_PAGES))![byteOf(page)]! &= ~maskOf(page);
    this.#size -= 1;
  }

  /** Ascending. A page that was passed already may be deleted meanwhile. */
  *[Symbol.iterator](): Generator<number> {
    for (const number of [...this.#chunks.keys()].sort((a, b) => a - b)) {
      const bits = this.#chunks.get(number)!;
      for (let byte = 0; byte < CHUNK_BYTES; byte += 1) {
        const value = bits[byte]!;
        for (let bit = 0; value >> bit !== 0; bit += 1) {
          if ((value & (1 << bit)) !== 0) yield number * CHUNK_PAGES + byte * 8 + bit;
        }
      }
    }
  }
}

function byteOf(page: number): number {
  return (page % CHUNK_PAGES) >> 3;
}

function maskOf(page: number): number {
  return 1 << (page % 8);
}
