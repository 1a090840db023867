// What `df` shows of a mount: the free space of the filesystem that the store lies on.

import { statfs } from 'node:fs/promises';
import { freemem, totalmem } from 'node:os';
import { NAMESPACE_NAME_BYTES_MAX } from '../limits.js';
import type { Statfs } from '../native/binding.js';

const BLOCK_BYTES = 4096;

/** @param directory undefined for a store in memory */
export async function fileSystemSpace(directory: string | undefined): Promise<Statfs> {
  if (directory === undefined) {
    const free = Math.floor(freemem() / BLOCK_BYTES);
    return space(Math.floor(totalmem() / BLOCK_BYTES), free, free, BLOCK_BYTES);
  }
  const { blocks, bfree, bavail, bsize } = await statfs(directory);
  return space(blocks, bfree, bavail, bsize);
}

function space(blocks: number, blocksFree: number, blocksAvailable: number, blockBytes: number): Statfs {
  return {
    blocks,
    blocksFree,
    blocksAvailable,
    blockBytes,
    files: 0,
    filesFree: 0,
    nameBytesMax: NAMESPACE_NAME_BYTES_MAX,
  };
}
