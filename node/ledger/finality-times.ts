import type { FinalBlock } from './chain/chain.ts';

/** How long blocks take to become final here. */

/** Blocks older than this come from catching up and say nothing of finality. */
const CAUGHT_UP_MS = 60_000;
const KEPT_MAX = 200;

export class FinalityTimes {
  readonly #tookMs: number[] = [];
  #lastMs: number | undefined;

  /** Blocks became final now. */
  note(blocks: readonly FinalBlock[]): void {
    const nowMs = Date.now();
    this.#lastMs = nowMs;
    for (const { block } of blocks) {
      const ageMs = nowMs - block.header.timestampMs;
      if (ageMs < CAUGHT_UP_MS) this.#tookMs.push(Math.max(0, ageMs));
    }
    if (this.#tookMs.length > KEPT_MAX) this.#tookMs.splice(0, this.#tookMs.length - KEPT_MAX / 2);
  }

  /** Median time from a block's timestamp to its finality, of the last hundred or more, in ms. */
  get medianMs(): number | undefined {
    return [...this.#tookMs].sort((a, b) => a - b)[Math.floor(this.#tookMs.length / 2)];
  }

  /** Wall time at which the newest block became final. */
  get lastMs(): number | undefined {
    return this.#lastMs;
  }
}
