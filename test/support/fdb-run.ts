// Runs test files against FoundationDB: on the cluster of MVFUSE_TEST_FDB (a cluster file), or on one that is started for
// it and stopped afterwards.
// Arguments: those of `node --test`.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { FoundationdbCluster, TEST_CLUSTER_FILE } from './foundationdb.js';

async function run(clusterFile: string): Promise<number> {
  const env = { ...process.env, MVFUSE_TEST_FDB: clusterFile };
  const child = spawn(process.execPath, ['--test', ...process.argv.slice(2)], { env, stdio: 'inherit' });
  const [status] = (await once(child, 'exit')) as [number | null];
  return status ?? 1;
}

if (TEST_CLUSTER_FILE !== undefined) {
  process.exitCode = await run(TEST_CLUSTER_FILE);
} else if (FoundationdbCluster.installed) {
  const cluster = await FoundationdbCluster.start();
  try {
    process.exitCode = await run(cluster.clusterFile);
  } finally {
    await cluster.stop();
  }
} else {
  console.error('test:fdb: put fdbserver and fdbcli on the PATH, or name a cluster file in MVFUSE_TEST_FDB');
  process.exitCode = 1;
}
