// Cuts the power again and again: goes through a trace, and at chosen places writes what the disk may hold then into a
// new directory, for a check to open it.

import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DiskModel, type NamedFile, SURVIVALS, type Survival } from './disk-model.js';
import { type Random, randomInteger } from './random.js';
import type { TraceEvent } from './store-trace.js';

/** In memory where there is such a place: what was cut off is not cut off again, so its syncs need no disk. */
const REPLAY_DIRECTORY = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();

const FILE_NAMES: Record<NamedFile, string> = {
  data: 'data.sqlite',
  wal: 'data.sqlite-wal',
  journal: 'data.sqlite-journal',
};

export interface CutOptions {
  readonly random: Random;
  /** Whether the power is cut right after this call, with nothing left but what is certain. */
  readonly isStop: (event: TraceEvent, at: number) => boolean;
  /** How likely it is cut after a call with whatever may be left, 0 to 1. */
  readonly shareAt: (at: number) => number;
  /** Called for every call before the cuts after it. */
  readonly passed: (event: TraceEvent, at: number) => void;
  readonly check: (directory: string, at: number) => Promise<void>;
}

/** @returns the count of cuts. @throws what the check throws, with the place in front */
export async function cutPower(trace: readonly TraceEvent[], options: CutOptions): Promise<number> {
  const { random, isStop, shareAt, passed, check } = options;
  const base = mkdtempSync(join(REPLAY_DIRECTORY, 'mvfuse-power-'));
  const disk = new DiskModel();
  let count = 0;
  const cut = async (survival: Survival, at: number): Promise<void> => {
    const directory = join(base, String(count++));
    mkdirSync(directory);
    for (const [name, bytes] of disk.cut(survival, random)) writeFileSync(join(directory, FILE_NAMES[name]), bytes);
    try {
      await check(directory, at);
    } catch (error) {
      const message = `cut ${count} after call ${at} of ${trace.length}, "${survival}": ${(error as Error).message}`;
      throw new Error(message, { cause: error });
    }
    rmSync(directory, { recursive: true });
  };
  try {
    for (const [at, event] of trace.entries()) {
      disk.apply(event);
      passed(event, at);
      if (isStop(event, at)) await cut('none', at);
      if (disk.uncertainCount > 0 && random() < shareAt(at)) {
        await cut(SURVIVALS[randomInteger(random, 1, SURVIVALS.length - 1)]!, at);
      }
    }
    return count;
  } finally {
    rmSync(base, { recursive: true, force: true });
  }
}
