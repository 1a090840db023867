// A cluster that speaks TLS only: files named in the store's URL, or by FoundationDB's own variables.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { run } from '../support/client.js';
import { FoundationdbCluster, foundationdbMissing, type TlsPaths } from '../support/foundationdb.js';
import { MAIN } from '../support/mounted.js';

const missing = foundationdbMissing() ?? (FoundationdbCluster.installed ? undefined : 'needs fdbserver and fdbcli');

describe('TLS', { skip: missing }, () => {
  let directory: string;
  let tls: TlsPaths;
  let cluster: FoundationdbCluster;

  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'mvfuse-tls-'));
    const [key, certificate] = [join(directory, 'key.pem'), join(directory, 'cert.pem')];
    const args = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-subj', '/CN=mvfuse', '-days', '1'];
    execFileSync('openssl', [...args, '-keyout', key, '-out', certificate], { stdio: 'ignore' });
    // Its own authority.
    tls = { key, certificate, ca: certificate };
    cluster = await FoundationdbCluster.start({ tls });
  });
  after(async () => {
    await cluster?.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  const list = (parameters: Record<string, string>) =>
    run(process.execPath, [
      MAIN,
      'ns',
      'list',
      '--json',
      '--store',
      `fdb:${cluster.clusterFile}?${new URLSearchParams(parameters)}`,
    ]);

  test('with the files, the cluster answers', async () => {
    const { status, stdout, stderr } = await list({
      'tls-certificate': tls.certificate,
      'tls-key': tls.key,
      'tls-ca': tls.ca,
    });
    assert.equal(status, 0, stderr);
    assert.deepEqual(JSON.parse(stdout), []);
  });

  test('without them it does not, and that is an error', async () => {
    const { status, stderr } = await list({});
    assert.equal(status, 8);
    assert.match(stderr, /cluster/);
  });

  test('a file that is not there is named', async () => {
    const { status, stderr } = await list({ 'tls-certificate': join(directory, 'none.pem') });
    assert.equal(status, 2);
    assert.match(stderr, /tls-certificate: there is no file/);
  });
});
