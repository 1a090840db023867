// What a run of SQLite's test-suite says: one line a file while it runs, and at its end a summary, JSON and Markdown.

import { mkdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { CLASSES, type ClassifiedFailure, type Comparison, type ExpectedGroup, type FailureClass } from './expected.js';
import type { ListedFile } from './families.js';
import type { FileResult } from './fixture.js';

const REPORTS = fileURLToPath(new URL('../../../docs/reports/', import.meta.url));
const NAMES_SHOWN_MAX = 6;

export interface Outcome {
  readonly result: FileResult;
  readonly listed: ListedFile;
  readonly comparison: Comparison;
}

export interface Run {
  readonly outcomes: readonly Outcome[];
  readonly where: string;
  readonly sqlite: string;
  readonly machine: string;
  /** Whether docs/reports keeps it: a run of all files on a mount. */
  readonly kept: boolean;
}

interface Totals {
  readonly files: number;
  readonly wholeFiles: number;
  readonly tests: number;
  readonly passed: number;
  readonly unclassified: number;
  /** Tests that the list has and the run had not; none of them counts as passed. */
  readonly notRun: number;
  readonly unexpectedPasses: number;
  readonly classes: Readonly<Record<FailureClass, number>>;
}

export function outcomeLine({ result, comparison }: Outcome): string {
  const unclassified = comparison.failures.filter(({ group }) => group === undefined);
  const failed = comparison.failures.length;
  const counts = failed === 0 ? 'passed' : `${failed} failed${unclassified.length === 0 ? ', all known' : ''}`;
  const shown = unclassified.length === 0 ? '' : `: ${someNames(unclassified.map(({ test }) => test))}`;
  return `${result.file} ${result.tests} tests, ${result.seconds.toFixed(1)} s, ${counts}${shown}`;
}

/** Writes docs/reports/DATE-sqlite-suite.{md,json} of a run that is kept. `bad`: what makes the run fail. */
export function writeReport(run: Run): { bad: number; summary: string } {
  const totals = addUp(run.outcomes);
  const summary = summarise(totals);
  if (run.kept) {
    const name = `${new Date().toISOString().slice(0, 10)}-sqlite-suite`;
    mkdirSync(REPORTS, { recursive: true });
    writeFileSync(`${REPORTS}${name}.md`, markdown(run, totals, summary));
    writeFileSync(`${REPORTS}${name}.json`, `${JSON.stringify(json(run, totals), undefined, 1)}\n`);
  }
  return { bad: totals.unclassified, summary };
}

function addUp(outcomes: readonly Outcome[]): Totals {
  const classes = Object.fromEntries(Object.keys(CLASSES).map((name) => [name, 0])) as Record<FailureClass, number>;
  const sum = (of: (outcome: Outcome) => number): number => outcomes.reduce((total, one) => total + of(one), 0);
  for (const { comparison } of outcomes) {
    for (const { group } of comparison.failures) if (group !== undefined) classes[group.class] += 1;
  }
  const tests = sum(testsOf);
  return {
    files: outcomes.length,
    wholeFiles: outcomes.filter((outcome) => passedOf(outcome) === testsOf(outcome)).length,
    tests,
    passed: sum(passedOf),
    unclassified: sum(({ comparison }) => comparison.failures.filter(({ group }) => group === undefined).length),
    notRun: sum(({ result, listed }) => Math.max(0, listed.tests - result.tests)),
    unexpectedPasses: sum(({ comparison }) => comparison.passed.length),
    classes,
  };
}

/** Tests that pass on a local disk. */
function testsOf({ result, listed }: Outcome): number {
  return Math.max(result.tests, listed.tests) - excluded(listed);
}

function passedOf({ result, listed, comparison }: Outcome): number {
  return Math.max(0, result.tests - excluded(listed) - comparison.failures.length);
}

function excluded({ failing }: ListedFile): number {
  return failing.filter((name) => !name.startsWith('(')).length;
}

function percent(passed: number, tests: number): string {
  // Never rounded up to 100.
  return tests === 0 ? '-' : `${(Math.floor((passed / tests) * 10_000) / 100).toFixed(2)} %`;
}

function summarise(totals: Totals): string {
  const { files, wholeFiles, tests, passed, unclassified, notRun, unexpectedPasses, classes } = totals;
  const known = Object.entries(classes).map(([name, count]) => `${name} ${count}`);
  return [
    `${files} files, ${wholeFiles} of them without a failure`,
    `${tests} tests, ${passed} passed (${percent(passed, tests)}), ${notRun} not run`,
    `known failures: ${known.join(', ')}`,
    `failures in no class: ${unclassified}; listed failures that passed: ${unexpectedPasses}`,
  ].join('\n');
}

function markdown(run: Run, totals: Totals, summary: string): string {
  const lines = [`# SQLite's test-suite ${run.where}, ${new Date().toISOString().slice(0, 10)}`, ''];
  lines.push(`\`npm run test:sqlite-suite\`: ${run.sqlite.replace('_', ' ')}, built with syncs; ${run.machine}.`, '');
  lines.push(...summary.split('\n').map((line) => `* ${line}`), '');
  lines.push('| class | | failures |', '|---|---|---:|');
  for (const [name, meaning] of Object.entries(CLASSES)) {
    lines.push(`| ${name} | ${meaning} | ${totals.classes[name as FailureClass]} |`);
  }
  lines.push('', '## Failures', '', '| file | failed | class | tests | proof |', '|---|---:|---|---|---|');
  for (const { result, comparison } of run.outcomes) {
    for (const [group, failures] of byGroup(comparison.failures)) {
      const names = someNames(failures.map(({ test }) => test));
      const why = group === undefined ? '' : proofOf(group);
      lines.push(
        `| ${result.file} | ${failures.length} | ${group?.class ?? '**none**'} | ${cell(names)} | ${cell(why)} |`,
      );
    }
  }
  lines.push('', '## Files', '', '| file | tests | passed | seconds |', '|---|---:|---:|---:|');
  for (const outcome of run.outcomes) {
    const [tests, passed] = [testsOf(outcome), passedOf(outcome)];
    lines.push(
      `| ${outcome.result.file} | ${tests} | ${percent(passed, tests)} | ${outcome.result.seconds.toFixed(1)} |`,
    );
  }
  return `${lines.join('\n')}\n`;
}

function json(run: Run, totals: Totals): unknown {
  return {
    sqlite: run.sqlite,
    machine: run.machine,
    totals,
    files: run.outcomes.map((outcome) => ({
      file: outcome.result.file,
      tests: testsOf(outcome),
      passed: passedOf(outcome),
      seconds: Number(outcome.result.seconds.toFixed(1)),
      failures: outcome.comparison.failures.map(({ test, group }) => ({ test, class: group?.class ?? null })),
      listedThatPassed: outcome.comparison.passed,
    })),
  };
}

function byGroup(failures: readonly ClassifiedFailure[]): Map<ExpectedGroup | undefined, ClassifiedFailure[]> {
  const groups = new Map<ExpectedGroup | undefined, ClassifiedFailure[]>();
  for (const failure of failures) groups.set(failure.group, [...(groups.get(failure.group) ?? []), failure]);
  return groups;
}

function proofOf({ proof, follows }: ExpectedGroup): string {
  return follows === undefined ? proof : `follows ${follows}: ${proof}`;
}

function someNames(names: readonly string[]): string {
  const distinct = [...new Set(names)];
  const shown = distinct.slice(0, NAMES_SHOWN_MAX).join(', ');
  return distinct.length > NAMES_SHOWN_MAX ? `${shown}, and ${distinct.length - NAMES_SHOWN_MAX} more` : shown;
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|');
}
