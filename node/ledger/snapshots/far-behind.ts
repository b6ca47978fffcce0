import type { BlockId } from '../../../ledger/ids.ts';
import { type SnapshotOptions, takeNewest } from './snapshot-sync.ts';

/**
 * Brings a node that runs, and was suspended or cut off, to the present state as a node that starts: when peers are far
 * ahead of it, or none of them has the bodies any more that it would have to execute.
 */

/** Peers are asked for their states this often at most: what made this node ask is only what one of them said. */
const ASK_EVERY_MS = 30_000;
/** Nobody has had the next body for so long: it is pruned, not late. */
const STARVED_MS = 3_000;

export interface FarBehindOptions extends SnapshotOptions {
  /** Does it while consensus rests, which begins anew from wherever the ledger is then. */
  atRest(height: number, take: () => Promise<void>): Promise<void>;
}

export class FarBehind {
  readonly #options: FarBehindOptions;
  #running: Promise<void> | undefined;
  #askedMs = Number.NEGATIVE_INFINITY;
  #starved: { readonly finalId: BlockId; readonly sinceMs: number } | undefined;

  constructor(options: FarBehindOptions) {
    this.#options = options;
  }

  /** Whether bodies are wanted that no peer has, and no snapshot may bring what follows from them. */
  get isStuck(): boolean {
    return this.#options.behindMin === 0 && this.#isStarved;
  }

  /** A peer says that its ledger goes that far. */
  heard(height: number): void {
    const { chain, behindMin } = this.#options;
    if (height - chain.final.height >= behindMin) this.#look(behindMin);
  }

  /** No peer has the body that is to be executed next and is final for certain. */
  starved(): void {
    const { id: finalId } = this.#options.chain.final;
    if (this.#starved?.finalId !== finalId) this.#starved = { finalId, sinceMs: performance.now() };
    else if (this.#isStarved) this.#look(1);
  }

  /** When nothing of it is under way any more; the signal ends it. */
  async closed(): Promise<void> {
    await this.#running;
  }

  get #isStarved(): boolean {
    const starved = this.#starved;
    if (starved === undefined || starved.finalId !== this.#options.chain.final.id) return false;
    return performance.now() - starved.sinceMs >= STARVED_MS;
  }

  #look(aheadMin: number): void {
    const { behindMin, signal, logger, atRest } = this.#options;
    const nowMs = performance.now();
    if (behindMin === 0 || signal.aborted || this.#running !== undefined) return;
    if (nowMs - this.#askedMs < ASK_EVERY_MS) return;
    this.#askedMs = nowMs;
    this.#running = takeNewest(this.#options, aheadMin, atRest)
      .then(
        () => undefined,
        (error: unknown) => {
          if (!signal.aborted) logger.error({ err: error }, 'a snapshot could not be taken over');
        },
      )
      .finally(() => {
        this.#running = undefined;
      });
  }
}
