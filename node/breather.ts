import { setImmediate as nextTurn } from 'node:timers/promises';

/** After this long at a stretch work lets the event loop turn. */
const STRETCH_MS = 12;

/** For work that would hold up the event loop: `if (breather.due) await breather.breathe()` between its pieces. */
export class Breather {
  #sinceMs = performance.now();

  get due(): boolean {
    return performance.now() - this.#sinceMs > STRETCH_MS;
  }

  async breathe(): Promise<void> {
    await nextTurn();
    this.#sinceMs = performance.now();
  }
}
