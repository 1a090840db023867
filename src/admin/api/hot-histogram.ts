// A histogram for what happens ten thousand times a second: prom-client's own looks its labels up at each observation,
// which costs more than all else that is done to measure a request.

import { Histogram, type MetricObjectWithValues, type MetricValueWithName, type Registry } from 'prom-client';

type Values<Label extends string> = MetricObjectWithValues<MetricValueWithName<Label>>;

interface Observed {
  /** By bucket, each without those below it; the last one is for what is past all bounds. */
  readonly counts: Float64Array;
  sum: number;
}

export interface HotHistogramOptions<Label extends string> {
  readonly name: string;
  readonly help: string;
  readonly label: Label;
  /** Ascending. */
  readonly buckets: number[];
  readonly registry: Registry;
}

/** With one label; otherwise as prom-client has it. */
export class HotHistogram<Label extends string> extends Histogram<Label> {
  readonly #options: HotHistogramOptions<Label>;
  readonly #observed = new Map<string, Observed>();

  constructor(options: HotHistogramOptions<Label>) {
    const { name, help, label, buckets, registry } = options;
    super({ name, help, labelNames: [label], buckets, registers: [registry] });
    this.#options = options;
  }

  count(labelValue: string, value: number): void {
    const { buckets } = this.#options;
    let observed = this.#observed.get(labelValue);
    if (observed === undefined) {
      observed = { counts: new Float64Array(buckets.length + 1), sum: 0 };
      this.#observed.set(labelValue, observed);
    }
    let bucket = 0;
    while (bucket < buckets.length && value > buckets[bucket]!) bucket += 1;
    observed.counts[bucket]! += 1;
    observed.sum += value;
  }

  override async get(): Promise<Values<Label>> {
    const { name, help } = this.#options;
    const values = [...this.#observed].flatMap(([labelValue, observed]) => this.#valuesOf(labelValue, observed));
    // The registry wants no more than these.
    return { name, help, type: 'histogram', aggregator: 'sum', values } as unknown as Values<Label>;
  }

  /** What the registry asks for. */
  getForPromString(): Promise<Values<Label>> {
    return this.get();
  }

  #valuesOf(labelValue: string, { counts, sum }: Observed): MetricValueWithName<Label>[] {
    const { name, label, buckets } = this.#options;
    const labels = { [label]: labelValue } as Record<Label, string>;
    let total = 0;
    const within = [...buckets, '+Inf'].map((le, index) => {
      total += counts[index]!;
      return { metricName: `${name}_bucket`, labels: { le, ...labels }, value: total };
    });
    return [
      ...within,
      { metricName: `${name}_sum`, labels, value: sum },
      { metricName: `${name}_count`, labels, value: total },
    ];
  }
}
