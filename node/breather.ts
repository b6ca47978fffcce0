import { setImmediate as nextTurn } from 'node:timers/promises';

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
