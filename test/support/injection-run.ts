// Runs error injection over a list of settings: a namespace for each, one mount for all, and at the end a new daemon
// on the same store that must show what the old one did.

import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { Client } from './client.js';
import { DirectoryLoad } from './directory-load.js';
import { InjectionLedger } from './injection.js';
import { errnosFor, type Fault, type Setting, settingName } from './injection-settings.js';
import { LEDGER_READ } from './ledger.js';
import { FaultMount } from './mounted.js';
import { chooseSeed } from './random.js';

const FAILURES_SHOWN_MAX = 40;

export const LONG = process.env.MVFUSE_TEST_LONG === '1';

/** The faults to inject into a transaction whose requests are these; `index` is that of the setting. */
export type ChooseFaults = (labels: readonly string[], setting: Setting, index: number) => Fault[];

export interface InjectionWay {
  /** The writer creates the databases, in a mounted directory, and has them open all the time. */
  readonly created: boolean;
  /** Other processes that work in that directory, one of them reading the same databases. */
  readonly others: number;
}

/** @param way of a mounted directory; without it each database is given its name */
export async function runInjections(
  t: TestContext,
  settings: readonly Setting[],
  choose: ChooseFaults,
  way?: InjectionWay,
): Promise<void> {
  const namespaces = way === undefined ? settings.map((_, index) => `db${index}=db${index}`).join(',') : '*';
  const others = way?.others ?? 0;
  let mount = await FaultMount.startFaulty({ namespaces, logLevel: 'silent' });
  const clients = [new Client(), new Client()] as const;
  const failures: string[] = [];
  const ledgers: InjectionLedger[] = [];
  const load = others === 0 ? undefined : new DirectoryLoad(mount, chooseSeed('error-injection'));
  try {
    await load?.start(others - 1);
    if (load !== undefined) await mount.only(clients[0].child.pid);
    for (const [index, setting] of settings.entries()) {
      const ledger = new InjectionLedger(mount, `db${index}`, ...clients);
      ledgers.push(ledger);
      await (way?.created === true ? ledger.createAndKeep() : ledger.create());
      await load?.read(mount.path(`db${index}`));
      const labels = await ledger.trace(setting);
      const faults = choose(labels, setting, index);
      for (const fault of faults) {
        const failure = await ledger.inject(setting, fault, labels);
        if (failure !== undefined) failures.push(failure);
        load?.check();
      }
      await load?.endLast();
      t.diagnostic(`${settingName(setting)}: ${ledger.met} injections, ${outcomes(ledger)}`);
    }
    t.diagnostic(`${ledgers.reduce((sum, ledger) => sum + ledger.met, 0)} injections in all`);
    await load?.kill();
    await load?.verify();
    // It may have databases open.
    await clients[0].kill();
    await mount.unmount();
    mount = await FaultMount.startFaulty({ namespaces, base: mount.base });
    for (const [index, ledger] of ledgers.entries()) {
      await clients[1].open(mount.path(`db${index}`));
      const rows = await clients[1].exec(LEDGER_READ);
      assert.equal(JSON.stringify(rows[0]), String(ledger.state), 'what a new daemon shows');
      await clients[1].close();
    }
  } finally {
    await load?.kill();
    for (const client of clients) await client.kill();
    await mount.remove();
  }
  for (const failure of failures.slice(0, FAILURES_SHOWN_MAX)) t.diagnostic(failure);
  assert.equal(failures.length, 0, `${failures.length} failures, the first: ${failures[0]}`);
}

/** One fault for each request, with each errno that fits it. */
export function everyRequest(labels: readonly string[]): Fault[] {
  return labels.flatMap((label, index) => errnosFor(label).map((errno) => ({ nth: index + 1, errno })));
}

/** Without the middle of runs of the same request: the first two and the last of a run behave like the rest. */
export function endsOfRuns(labels: readonly string[], faults: Fault[]): Fault[] {
  return faults.filter(({ nth }) => {
    const label = labels[nth - 1];
    return label !== labels[nth - 2] || label !== labels[nth - 3] || label !== labels[nth];
  });
}

function outcomes(ledger: InjectionLedger): string {
  return [...ledger.outcomes].map(([result, count]) => `${result.replace('SQLITE_', '')} ${count}`).join(', ');
}
