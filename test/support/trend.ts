// Whether a figure that goes up and down also grows in the long run.

export interface Sample {
  readonly atMs: number;
  readonly value: number;
}

/** What the figure returned to, again and again: the least value of each of `count` equal parts of the time. */
export function floors(samples: readonly Sample[], count: number): Sample[] {
  const startMs = samples[0]!.atMs;
  const partMs = (samples.at(-1)!.atMs - startMs) / count;
  const parts = new Map<number, Sample>();
  for (const sample of samples) {
    const part = Math.min(count - 1, Math.floor((sample.atMs - startMs) / partMs));
    const least = parts.get(part);
    if (least === undefined || sample.value < least.value) parts.set(part, sample);
  }
  return [...parts.values()];
}

/** By how much of its mean the figure grows from the first sample to the last, on the line that fits best. */
export function growth(samples: readonly Sample[]): number {
  const mean = (values: number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
  const atMs = mean(samples.map((sample) => sample.atMs));
  const value = mean(samples.map((sample) => sample.value));
  const covariance = mean(samples.map((sample) => (sample.atMs - atMs) * (sample.value - value)));
  const variance = mean(samples.map((sample) => (sample.atMs - atMs) ** 2));
  const slope = variance === 0 ? 0 : covariance / variance;
  return value === 0 ? 0 : (slope * (samples.at(-1)!.atMs - samples[0]!.atMs)) / value;
}
