// Transactions over several databases, each with a table whose rows say how many of them it has seen.

import { type Answer, type Client, run, type Step } from './client.js';
import { MAIN, type TestMount } from './mounted.js';

export const SEVERAL_SCHEMA = `
  CREATE TABLE x(k INTEGER PRIMARY KEY, v INTEGER, pad TEXT);
  WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 12)
  INSERT INTO x SELECT i, 0, hex(zeroblob(400)) FROM n`;

export interface SeveralOptions {
  readonly journal?: string;
  readonly synchronous?: string;
}

/** Steps that open the first database and attach the rest as `a1`, `a2`, … */
export function openSeveral(paths: readonly string[], options: SeveralOptions = {}): Step[] {
  const { journal = 'DELETE', synchronous = 'FULL' } = options;
  const sql = paths.slice(1).map((path, index) => `ATTACH '${path}' AS a${index + 1}`);
  for (const schema of schemas(paths.length)) {
    sql.push(`PRAGMA ${schema}.journal_mode=${journal}`, `PRAGMA ${schema}.synchronous=${synchronous}`);
  }
  return [
    { op: 'open', path: paths[0]!, timeout: 0 },
    { op: 'all', sql },
  ];
}

/** One more, in every database; without its COMMIT. */
export function severalBody(count: number): string[] {
  return ['BEGIN', ...schemas(count).map((schema) => `UPDATE ${schema}.x SET v = v + 1, pad = hex(zeroblob(400))`)];
}

export async function createSeveral(client: Client, paths: readonly string[]): Promise<void> {
  for (const path of paths) {
    await client.open(path);
    await client.script(SEVERAL_SCHEMA);
    await client.close();
  }
}

/** What each database has seen. @throws when one is damaged or holds a part of a transaction */
export async function seen(client: Client, paths: readonly string[]): Promise<number[]> {
  const values: number[] = [];
  for (const path of paths) {
    const answers = await client.steps([
      { op: 'open', path },
      { op: 'exec', sql: 'SELECT min(v), max(v), count(*) FROM x' },
      { op: 'exec', sql: 'PRAGMA integrity_check' },
      { op: 'close' },
    ]);
    const [rows, integrity] = [answers[1]!, answers[2]!];
    const [least, most, count] = (rows.value as number[][] | undefined)?.[0] ?? [];
    if (least === undefined || least !== most || count !== 12 || JSON.stringify(integrity.value) !== '[["ok"]]') {
      throw new Error(`${path}: ${JSON.stringify([rows, integrity])}`);
    }
    values.push(least);
  }
  return values;
}

/** The newest versions of a namespace, newest first. */
export async function versions(mount: TestMount, namespace: string, limit = 1): Promise<string[]> {
  const args = [MAIN, 'log', namespace, '--store', mount.storeUrl, '--json', '--limit', String(limit)];
  const { status, stdout, stderr } = await run(process.execPath, args);
  if (status !== 0) throw new Error(`mvfuse log ended with ${status}: ${stderr}`);
  return (JSON.parse(stdout) as Array<{ version: string }>).map((entry) => entry.version);
}

export function must(answers: readonly Answer[]): void {
  for (const { error, message } of answers) if (error !== undefined) throw new Error(`${error}: ${message}`);
}

function schemas(count: number): string[] {
  return Array.from({ length: count }, (_, index) => (index === 0 ? 'main' : `a${index}`));
}
