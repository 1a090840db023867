// The SQLite programs that tests run against a mount, each call a process of its own: a statically linked one, Debian's
// shell, Python's module and better-sqlite3.

import { fileURLToPath } from 'node:url';
import { type Outcome, run } from './client.js';
import { staticClient } from './static-client.js';

const BETTER = fileURLToPath(new URL('./better-sqlite3-client.js', import.meta.url));
const PYTHON = `
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None, uri=sys.argv[1].startswith("file:"))
try:
    for text in sys.argv[2:]:
        for sql in text.split(";"):
            for row in db.execute(sql):
                print("|".join("" if value is None else str(value) for value in row))
except sqlite3.Error as error:
    sys.exit(error.sqlite_errorname + ": " + str(error))
db.close()
`;

export interface StockClient {
  readonly name: string;
  /** Opened with SQLITE_DBCONFIG_DEFENSIVE, which ignores journal_mode=OFF. */
  readonly defensive?: boolean;
  /** Runs SQL texts on one connection, each a list of statements; rows on standard output, values joined by '|'. */
  run(path: string, texts: readonly string[]): Promise<Outcome>;
}

export async function stockClients(): Promise<StockClient[]> {
  const program = await staticClient();
  return [
    { name: 'static', run: (path, texts) => run(program, [path, ...texts]) },
    { name: 'shell', run: (path, texts) => run('sqlite3', ['-batch', '-bail', path], `${texts.join(';\n')};\n`) },
    { name: 'python', run: (path, texts) => run('python3', ['-c', PYTHON, path, ...texts]) },
    { name: 'better-sqlite3', defensive: true, run: (path, texts) => run(process.execPath, [BETTER, path, ...texts]) },
  ];
}

/** The rows that a client printed. @throws when it failed */
export async function rows(client: StockClient, path: string, ...texts: string[]): Promise<string[]> {
  const { status, stdout, stderr } = await client.run(path, texts);
  if (status !== 0) throw new Error(`${client.name} ended with ${status}: ${stderr}`);
  return stdout.split('\n').filter((line) => line !== '');
}
