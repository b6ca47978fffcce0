import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Steps } from '../ledger/steps.ts';

/** After this long at a stretch work lets the event loop turn. */
const STRETCH_MS = 12;

/**
 * For work that would hold up the event loop: `if (breather.due) await breather.breathe()` between its pieces. All share
 * one clock: pieces of different work that follow each other without a turn hold it up together.
 */
export class Breather {
  static #turnedMs = 0;

  get due(): boolean {
    return performance.now() - Breather.#turnedMs > STRETCH_MS;
  }

  async breathe(): Promise<void> {
    await nextTurn();
    Breather.#turnedMs = performance.now();
  }
}

/** Work that comes in steps, done to its end; the event loop turns between them. */
export async function inSteps<T>(steps: Steps<T>): Promise<T> {
  const breather = new Breather();
  for (;;) {
    if (breather.due) await breather.breathe();
    const step = steps.next();
    if (step.done) return step.value;
  }
}
