// A process that commits in a loop and prints each version as soon as it is acknowledged.
//
//   node committing-child.js <directory>                 until it is killed
//   node committing-child.js <directory> until-failure   until a commit fails; then it tries once more

import { writeSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { isMvfuseError } from '../../src/errors.js';
import type { Engine } from '../../src/kv/engine.js';
import { openEngine } from '../../src/kv/open.js';

export const committingChildPath = fileURLToPath(import.meta.url);

const COMMITTERS = 4;
const print = (line: string) => writeSync(1, `${line}\n`);
const codeOf = (error: unknown) => (isMvfuseError(error) ? error.code : String(error));

async function commitOnce(engine: Engine): Promise<void> {
  const { version } = await engine.transact(async (t) => {
    t.setVersionstampedKey(Buffer.from('log/'), Buffer.alloc(0), Buffer.alloc(4_000, 7));
    t.setVersionstampedValue(Buffer.from('last'), Buffer.alloc(0), Buffer.alloc(0));
  });
  print(version!);
}

async function main(directory: string, untilFailure: boolean): Promise<void> {
  const engine = await openEngine(`sqlite:${directory}`, { clock: Date.now });
  const loop = async () => {
    for (;;) await commitOnce(engine);
  };
  try {
    await Promise.all(Array.from({ length: COMMITTERS }, loop));
  } catch (error) {
    if (!untilFailure) throw error;
    await new Promise((resolve) => setTimeout(resolve, 50));
    print(`failed ${codeOf(error)}`);
    await commitOnce(engine).catch((error) => print(`commit ${codeOf(error)}`));
    await engine.read((t) => t.get(Buffer.from('last'))).catch((error) => print(`read ${codeOf(error)}`));
    await engine.close();
  }
}

if (process.argv[1] === committingChildPath) {
  main(process.argv[2]!, process.argv[3] === 'until-failure').catch((error) => {
    console.error(codeOf(error), error);
    process.exitCode = 1;
  });
}
