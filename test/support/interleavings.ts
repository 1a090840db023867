// Every order in which the engine's calls of several tasks can follow one another: a transaction takes two turns, one to
// begin and one to commit, a read takes one, and so does the beginning of a task.
//
// A scenario is run again and again, each time with another order, until all were there. What no task asked for (signs
// of life, say) takes no turns.

import { AsyncLocalStorage } from 'node:async_hooks';
import { setImmediate as tick } from 'node:timers/promises';
import type { Engine } from '../../src/kv/engine.js';
import type { Random } from './random.js';

/** Turns of the event loop after which nobody is on the way to its next turn any more. */
const SETTLING_TICKS = 4;
const RUNS_MAX = 5_000;

export type Outcomes = Record<string, PromiseSettledResult<unknown>>;

export class Schedule {
  /** Which of those that waited went on, at each choice. */
  readonly choices: number[];
  readonly alternatives: number[] = [];
  readonly #task = new AsyncLocalStorage<string>();
  #waiting: Array<() => void> = [];

  readonly #random: Random;

  /** @param choices the first ones; `random` makes the others */
  constructor(choices: readonly number[], random: Random = () => 0) {
    this.choices = [...choices];
    this.#random = random;
  }

  /** An engine whose calls take turns, where a task makes them. */
  engine(engine: Engine): Engine {
    return {
      transact: async (body, options) => {
        await this.#turn();
        return engine.transact(async (transaction) => {
          const result = await body(transaction);
          await this.#turn();
          return result;
        }, options);
      },
      read: async (body, options) => {
        await this.#turn();
        return engine.read(body, options);
      },
      watch: (key, value, signal) => engine.watch(key, value, signal),
      close: async () => {},
    };
  }

  /** All tasks to their ends, in this order. */
  async run(tasks: Record<string, () => Promise<unknown>>): Promise<Outcomes> {
    const names = Object.keys(tasks);
    let running = names.length;
    const settled = Promise.allSettled(
      names.map((name) =>
        this.#task.run(name, async () => {
          try {
            await this.#turn();
            return await tasks[name]!();
          } finally {
            running -= 1;
          }
        }),
      ),
    );
    while (running > 0) {
      for (let count = 0; count < SETTLING_TICKS; count++) await tick();
      if (this.#waiting.length === 0) continue;
      const point = this.alternatives.length;
      this.alternatives.push(this.#waiting.length);
      this.choices[point] ??= Math.floor(this.#random() * this.#waiting.length);
      const [next] = this.#waiting.splice(this.choices[point]!, 1);
      next!();
    }
    const results = await settled;
    return Object.fromEntries(names.map((name, index) => [name, results[index]!]));
  }

  async #turn(): Promise<void> {
    if (this.#task.getStore() === undefined) return;
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }
}

async function inOrder(schedule: Schedule, scenario: (schedule: Schedule) => Promise<void>): Promise<void> {
  try {
    await scenario(schedule);
  } catch (error) {
    (error as Error).message += ` (in the order ${schedule.choices.join('')})`;
    throw error;
  }
}

/** Runs `scenario` in so many orders, where every one would be too many. */
export async function someInterleavings(
  count: number,
  random: Random,
  scenario: (schedule: Schedule) => Promise<void>,
): Promise<void> {
  for (let runs = 0; runs < count; runs++) await inOrder(new Schedule([], random), scenario);
}

/** Runs `scenario` in every order that there is; answers how many those were. */
export async function everyInterleaving(scenario: (schedule: Schedule) => Promise<void>): Promise<number> {
  let choices: number[] = [];
  for (let runs = 1; runs <= RUNS_MAX; runs++) {
    const schedule = new Schedule(choices);
    await inOrder(schedule, scenario);
    const { alternatives } = schedule;
    choices = schedule.choices.slice(0, alternatives.length);
    while (choices.length > 0 && choices.at(-1)! + 1 >= alternatives[choices.length - 1]!) choices.pop();
    if (choices.length === 0) return runs;
    choices[choices.length - 1]! += 1;
  }
  throw new Error(`more than ${RUNS_MAX} orders`);
}
