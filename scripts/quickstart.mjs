// The walk-through of the README, played for real: every command is printed, run, and its output shown.
//
// In a temporary directory, on an embedded store, with the stock sqlite3. Ends with 0 only when every step did
// what it should; nothing stays behind.

import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const MAIN = join(ROOT, 'dist/src/main.js');
const directory = mkdtempSync(join(tmpdir(), 'mvfuse-quickstart-'));
const environment = { ...process.env, MVFUSE_STORE: `sqlite:${join(directory, 'store')}` };
let daemon;
// Whoever reads may stop reading; the mount is taken away all the same.
process.stdout.on('error', () => undefined);

/** Runs a command line in bash, with `mvfuse` meaning this checkout's; prints both. */
async function play(line, { fails = false, quiet = false } = {}) {
  if (!quiet) process.stdout.write(`\n$ ${line}\n`);
  const script = `mvfuse() { '${process.execPath}' '${MAIN}' "$@"; }; ${line}`;
  const { status, output } = await new Promise((resolve) => {
    execFile('bash', ['-c', `${script} 2>&1`], { cwd: directory, env: environment }, (error, stdout) => {
      resolve({ status: error === null ? 0 : error.code, output: stdout });
    });
  });
  if (!quiet) process.stdout.write(output);
  if ((status !== 0) !== fails) throw new Error(`"${line}" ended with ${status}:\n${output}`);
  return output;
}

function expect(output, part) {
  if (!output.includes(part)) throw new Error(`"${part}" was expected in:\n${output}`);
}

async function mount() {
  const line = 'mvfuse --mountpoint ./dbs --namespaces mydb=test';
  process.stdout.write(`$ ${line} &\n`);
  const args = [MAIN, '--mountpoint', './dbs', '--namespaces', 'mydb=test', '--log-format', 'json'];
  daemon = spawn(process.execPath, args, { cwd: directory, env: environment, stdio: ['ignore', 'inherit', 'pipe'] });
  let log = '';
  daemon.stderr.on('data', (chunk) => {
    log += chunk;
  });
  for (let tries = 0; tries < 500; tries += 1) {
    if (readFileSync('/proc/self/mounts', 'utf8').includes(` ${join(directory, 'dbs')} `)) return;
    if (daemon.exitCode !== null) break;
    await sleep(20);
  }
  throw new Error(`the mount did not come up:\n${log}`);
}

async function walkThrough() {
  await mount();
  await play(`sqlite3 dbs/mydb "CREATE TABLE tbl1(one TEXT, two INT);"`);
  await play(`sqlite3 dbs/mydb "INSERT INTO tbl1 VALUES('hello!', 10);"`);
  await play(`sqlite3 dbs/mydb "INSERT INTO tbl1 VALUES('goodbye', 20);"`);
  expect(await play('sqlite3 dbs/mydb "SELECT * FROM tbl1;"'), 'goodbye|20');
  await play('ls -lL dbs');
  await play('mvfuse log test');
  const entries = JSON.parse(await play('mvfuse log test --json', { quiet: true }));
  const older = `dbs/mydb@${entries[1].version}`;
  const then = await play(`sqlite3 ${older} "SELECT * FROM tbl1;"`);
  if (then !== 'hello!|10\n') throw new Error(`the older version holds:\n${then}`);
  const refused = await play(`sqlite3 ${older} "INSERT INTO tbl1 VALUES('too late', 30);"`, { fails: true });
  expect(refused, 'attempt to write a readonly database');
  expect(await play(`sqlite3 ${older} .dump`), "INSERT INTO tbl1 VALUES('hello!',10);");
  await play(`sqlite3 ${older} ".backup backup.db"`);
  expect(await play('sqlite3 backup.db "SELECT count(*) FROM tbl1;"'), '1');
  await play('mvfuse tag add test two-rows');
  await play('sqlite3 dbs/mydb "DELETE FROM tbl1;"');
  expect(await play('sqlite3 dbs/mydb@two-rows "SELECT count(*) FROM tbl1;"'), '2');
  expect(await play('ls -1U dbs/.snapshots/mydb'), 'two-rows');
  await play('mvfuse fork test@two-rows experiment');
  await play('mvfuse rollback test@two-rows');
  expect(await play('sqlite3 dbs/mydb "SELECT * FROM tbl1;"'), 'goodbye|20');
  await play('fusermount -u dbs');
  if (daemon.exitCode === null) await once(daemon, 'exit');
  if (daemon.exitCode !== 0) throw new Error(`the daemon ended with ${daemon.exitCode}`);
  await play('ls -A dbs');
  process.stdout.write('\nEverything did what it should.\n');
}

try {
  await walkThrough();
} catch (error) {
  process.exitCode = 1;
  process.stderr.write(`quickstart: ${error.message}\n`);
} finally {
  if (daemon !== undefined && daemon.exitCode === null) {
    daemon.kill('SIGTERM');
    await once(daemon, 'exit');
  }
  rmSync(directory, { recursive: true, force: true });
}
