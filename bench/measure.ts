import { setImmediate as nextTurn } from 'node:timers/promises';

/** One number of a bench. */
export interface Measurement {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  /** What is aimed at, where something is. */
  readonly aim?: { readonly text: string; readonly met: boolean };
}

export interface BenchOptions {
  /** Small numbers of everything: shows that the bench works, says nothing of speed. */
  readonly quick: boolean;
  /** Hears what is being measured. */
  readonly progress: (text: string) => void;
  /** A folder for data, removed afterwards. */
  readonly folder: string;
}

/** The value below which the part `q` of the values lies; NaN of none. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN;
}

export function atLeast(value: number, least: number): { text: string; met: boolean } {
  return { text: `≥ ${least}`, met: value >= least };
}

export function below(value: number, most: number): { text: string; met: boolean } {
  return { text: `< ${most}`, met: value < most };
}

/** Times a second that `run` can be called on this thread, measured for `ms`; the clock is read every `stride` calls. */
export function perSecond(run: () => void, ms: number, stride = 50): number {
  const startMs = performance.now();
  let calls = 0;
  while (performance.now() - startMs < ms) {
    for (let i = 0; i < stride; i++) run();
    calls += stride;
  }
  return (1_000 * calls) / (performance.now() - startMs);
}

/** The longest time for which the event loop did not turn while `run` was under way, in ms. */
export async function longestBlock<T>(run: () => Promise<T>): Promise<{ result: T; longestMs: number }> {
  let longestMs = 0;
  let done = false;
  const watch = (async () => {
    for (let lastMs = performance.now(); !done; ) {
      await nextTurn();
      const nowMs = performance.now();
      longestMs = Math.max(longestMs, nowMs - lastMs);
      lastMs = nowMs;
    }
  })();
  try {
    return { result: await run(), longestMs };
  } finally {
    done = true;
    await watch;
  }
}
