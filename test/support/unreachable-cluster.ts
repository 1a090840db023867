// Opens a store of a cluster whose coordinator nobody is, and prints how that ended.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openEngine } from '../../src/kv/open.js';

const directory = mkdtempSync(join(tmpdir(), 'mvfuse-away-'));
const clusterFile = join(directory, 'fdb.cluster');
writeFileSync(clusterFile, 'away:away@127.0.0.1:9\n');
const startMs = performance.now();
try {
  await openEngine(`fdb:${clusterFile}`, { clock: Date.now });
} catch (error) {
  const { code, message } = error as { code?: string; message: string };
  console.log(JSON.stringify({ code, message, ms: Math.round(performance.now() - startMs) }));
} finally {
  rmSync(directory, { recursive: true, force: true });
}
