// What programs do with the names of a mounted directory of databases, for error injection (name-injection.ts).
//
// Names have a prefix of their own for each time. Before: databases `a` and `b`, a directory `d`, and a directory `e`
// with a database `x` in it.

export const NAMES = ['a', 'b', 'n', 'd', 'd/x', 'e', 'e/x'] as const;
type Name = (typeof NAMES)[number];

/** What lies there, as client.py's `tree` has it. */
export type Tree = Readonly<Record<string, string>>;

export interface NameOperation {
  readonly title: string;
  /** For a shell: $1 is the path of the names with their prefix, $2 a directory of local files. */
  readonly command: string;
  /** The database that another process has open meanwhile. */
  readonly open?: Name;
  /** That process created it, and it is a plain file for it. */
  readonly created?: boolean;
  /** That process created it, and has committed nothing to it yet. */
  readonly uncommitted?: boolean;
  /** Still uncommitted afterwards, so that it goes with the daemon. */
  readonly passing?: Name;
  /** What a failed one may leave besides all that there was before. */
  readonly leaves?: (before: Tree, after: Tree) => Tree[];
}

export function databaseSql(text: string, count: number): string {
  return [
    'BEGIN',
    'CREATE TABLE IF NOT EXISTS t(k INTEGER PRIMARY KEY, text)',
    `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${count})
      INSERT OR REPLACE INTO t SELECT i, '${text}' || hex(zeroblob(300)) FROM n`,
    'COMMIT',
  ].join('; ');
}

/** A file that is not filled yet, or all of it: an error past the commit does not take it back. */
function madeEmpty(name: Name): NonNullable<NameOperation['leaves']> {
  return (before, after) => [{ ...before, [name]: 'empty' }, after];
}

export const NAME_OPERATIONS: readonly NameOperation[] = [
  { title: 'sqlite3 creates', command: `exec sqlite3 "$1n" "${databaseSql('n', 40)}"`, leaves: madeEmpty('n') },
  {
    title: 'sqlite3 creates in a directory',
    command: `exec sqlite3 "$1d/x" "${databaseSql('x', 5)}"`,
    leaves: madeEmpty('d/x'),
  },
  { title: 'cp to a new name', command: 'exec cp "$2/source" "$1n"', leaves: madeEmpty('n') },
  { title: 'cp over a database', command: 'exec cp "$2/source" "$1b"', open: 'b', leaves: madeEmpty('b') },
  { title: 'touch', command: 'exec touch "$1n"', leaves: (_, after) => [after] },
  { title: 'mv to a new name', command: 'exec mv "$1a" "$1n"' },
  { title: 'mv over a database', command: 'exec mv "$1a" "$1b"', open: 'b' },
  { title: 'mv by others than its creator', command: 'exec mv "$1a" "$1b"', open: 'a', created: true },
  { title: 'mv over what has a creator', command: 'exec mv "$1a" "$1b"', open: 'b', created: true },
  { title: 'mv into a directory', command: 'exec mv "$1a" "$1d/x"', open: 'a' },
  {
    title: 'mv of an uncommitted name',
    command: 'exec mv "$1n" "$1d/x"',
    open: 'n',
    uncommitted: true,
    passing: 'd/x',
  },
  {
    title: 'mv of an uncommitted name over a database',
    command: 'exec mv "$1n" "$1b"',
    open: 'n',
    uncommitted: true,
  },
  { title: 'mv over an uncommitted name', command: 'exec mv "$1a" "$1n"', open: 'n', uncommitted: true },
  { title: 'rm of an uncommitted name', command: 'exec rm "$1n"', open: 'n', uncommitted: true },
  {
    title: 'sqlite3 writes to an uncommitted name',
    command: `exec sqlite3 "$1n" "${databaseSql('n', 5)}"`,
    open: 'n',
    uncommitted: true,
    leaves: (_, after) => [after],
  },
  { title: 'rm', command: 'exec rm "$1a"' },
  { title: 'rm of what is open', command: 'exec rm "$1a"', open: 'a' },
  { title: 'rm of what has a creator', command: 'exec rm "$1a"', open: 'a', created: true },
  { title: 'mkdir', command: 'exec mkdir "$1n"' },
  { title: 'rmdir', command: 'exec rmdir "$1d"' },
  {
    title: 'rm -r of a directory',
    command: 'exec rm -r "$1e"',
    leaves: ({ 'e/x': _, ...emptied }) => [emptied],
  },
  { title: 'cp -a', command: 'exec cp -a "$1a" "$1n"', open: 'a', leaves: (_, after) => [after] },
  { title: 'chmod', command: 'exec chmod 600 "$1a"', leaves: (_, after) => [after] },
  { title: 'ls', command: 'exec ls -lL "$1e"' },
];
