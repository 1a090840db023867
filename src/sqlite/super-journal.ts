// The content of a super-journal: the paths of the members' rollback journals, each ended by a NUL.

/** The complete names in the content, in order; a name not yet ended by its NUL is left out. */
export function memberPaths(content: Buffer): string[] {
  const paths: string[] = [];
  let start = 0;
  for (let end = content.indexOf(0); end !== -1; end = content.indexOf(0, start)) {
    if (end > start) paths.push(content.toString('utf8', start, end));
    start = end + 1;
  }
  return paths;
}

/** pager.c: "%s-mj%06X9%02X". */
const NAME = /^(.*)-mj[0-9A-F]{6}9[0-9A-F]{2}$/s;

/** The database whose super-journal a file of that name would be. */
export function databaseOfSuperJournal(name: string): string | undefined {
  return NAME.exec(name)?.[1];
}

/** Whether `name` is that of a super-journal of the database `database`. */
export function isSuperJournalName(name: string, database: string): boolean {
  return databaseOfSuperJournal(name) === database;
}
