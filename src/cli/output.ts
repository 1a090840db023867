// How commands print: a table for people, JSON for scripts.

/** Columns padded to their widest cell; `right` names those that hold numbers. */
export function table(
  header: readonly string[],
  rows: ReadonlyArray<readonly string[]>,
  right: readonly number[],
): string {
  const widths = header.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]!.length)));
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, column) => (right.includes(column) ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!)))
      .join('  ')
      .trimEnd();
  return [header, ...rows].map(line).join('\n');
}

/** `1`, `2 pages`: with the plural's s. */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

/** Ascending numbers as runs: `1, 4-6`. At most `runsMax` of them, and how many are left out. */
export function describeRuns(numbers: readonly number[], runsMax = Number.POSITIVE_INFINITY): string {
  const runs = toRuns(numbers);
  const shown = runs.slice(0, runsMax).map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`));
  const rest = runs.slice(runsMax).reduce((sum, [first, last]) => sum + last - first + 1, 0);
  return rest === 0 ? shown.join(', ') : `${shown.join(', ')} and ${rest} more`;
}

/** Ascending numbers as runs, first and last of each. */
export function toRuns(numbers: readonly number[]): Array<[first: number, last: number]> {
  const runs: Array<[number, number]> = [];
  for (const number of numbers) {
    const run = runs.at(-1);
    if (run !== undefined && run[1] === number - 1) run[1] = number;
    else runs.push([number, number]);
  }
  return runs;
}

export function isoTime(timeMs: number): string {
  return new Date(timeMs).toISOString();
}

export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

export function printJson(value: unknown): void {
  print(JSON.stringify(value, null, 2));
}
