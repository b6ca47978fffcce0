import { readFileSync } from 'node:fs';
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

/**
 * The most CPU time that this thread worked between two turns of its event loop while `run` was under way, in ms: how long
 * everything else had to wait, were it alone on the machine.
 */
export async function longestStretch<T>(run: () => Promise<T>): Promise<{ result: T; longestMs: number }> {
  let longestMs = 0;
  let done = false;
  const watch = (async () => {
    for (let lastMs = threadCpuMs(); !done; ) {
      await nextTurn();
      const nowMs = threadCpuMs();
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

/** CPU time of the main thread so far, in ms (proc(5), schedstat). */
function threadCpuMs(): number {
  const [nanoseconds] = readFileSync(`/proc/self/task/${process.pid}/schedstat`, 'latin1').split(' ');
  return Number(nanoseconds) / 1e6;
}
