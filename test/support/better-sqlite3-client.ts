// better-sqlite3 as a stock client, run as a process. Arguments: database, then one SQL text each; prints rows like
// Debian's sqlite3 does, and an error by SQLite's name for it, with exit status 1.

import Database from 'better-sqlite3';

const [path = '', ...texts] = process.argv.slice(2);

function run(database: Database.Database, text: string): void {
  for (const sql of text.split(';').filter((part) => part.trim() !== '')) {
    const statement = database.prepare(sql);
    if (!statement.reader) statement.run();
    else for (const row of statement.raw().all() as unknown[][]) console.log(row.join('|'));
  }
}

try {
  const database = new Database(path);
  for (const text of texts) run(database, text);
  database.close();
} catch (error) {
  console.error(`${(error as { code?: string }).code}: ${(error as Error).message}`);
  process.exitCode = 1;
}
