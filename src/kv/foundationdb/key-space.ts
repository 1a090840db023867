// A store's part of the cluster's keys: everything below one prefix.
//
// The prefix is packed as a tuple, so that no store's keys begin with another store's prefix. Below it are the
// keys of the store, and apart from them the ids of commits (commit-ids.ts).

import type { KeyValue } from '../engine.js';
import { packTuple } from '../tuple.js';

const DATA = 0;
const COMMIT_IDS = 1;

export class KeySpace {
  readonly #data: Buffer;
  readonly #commitIds: Buffer;

  constructor(prefix: string) {
    this.#data = packTuple(prefix, DATA);
    this.#commitIds = packTuple(prefix, COMMIT_IDS);
  }

  /** The cluster's key for one of the store. */
  key(key: Uint8Array): Buffer {
    return Buffer.concat([this.#data, key]);
  }

  pair([key, value]: readonly [Buffer, Buffer]): KeyValue {
    return { key: key.subarray(this.#data.length), value };
  }

  commitId(id: Uint8Array): Buffer {
    return Buffer.concat([this.#commitIds, id]);
  }
}
