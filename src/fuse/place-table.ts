// Where each spilled block lies in the temporary file: four bytes for each block, so that a transaction of many
// gigabytes is remembered in some megabytes.

const GROUP_BLOCKS = 1024;

interface Group {
  count: number;
  /** By block: its place, plus one; 0 where there is none. */
  readonly places: Uint32Array;
}

export class PlaceTable {
  readonly #groups = new Map<number, Group>();
  #count = 0;

  get count(): number {
    return this.#count;
  }

  get(block: number): number | undefined {
    const place = this.#groups.get(Math.floor(block / GROUP_BLOCKS))?.places[block % GROUP_BLOCKS];
    return place === undefined || place === 0 ? undefined : place - 1;
  }

  /** Sets the place of a block that has none. */
  set(block: number, place: number): void {
    const number = Math.floor(block / GROUP_BLOCKS);
    let group = this.#groups.get(number);
    if (group === undefined) {
      group = { count: 0, places: new Uint32Array(GROUP_BLOCKS) };
      this.#groups.set(number, group);
    }
    group.places[block % GROUP_BLOCKS] = place + 1;
    group.count += 1;
    this.#count += 1;
  }

  /** Forgets the block's place; which it was. */
  take(block: number): number | undefined {
    const place = this.get(block);
    if (place === undefined) return undefined;
    const number = Math.floor(block / GROUP_BLOCKS);
    const group = this.#groups.get(number)!;
    group.places[block % GROUP_BLOCKS] = 0;
    group.count -= 1;
    this.#count -= 1;
    if (group.count === 0) this.#groups.delete(number);
    return place;
  }

  /** The blocks that have a place, in no order. */
  *blocks(): Generator<number> {
    for (const [number, { places }] of this.#groups) {
      for (let index = 0; index < GROUP_BLOCKS; index += 1)
        if (places[index] !== 0) yield number * GROUP_BLOCKS + index;
    }
  }

  clear(): void {
    this.#groups.clear();
    this.#count = 0;
  }
}
