import { NodeError } from '../../errors.ts';
import type { LedgerStore } from './ledger-store.ts';

/** The fewest bodies that are kept, for peers that were away for a moment. */
const KEPT_MIN = 1_000;
/** Heights of one batch: at most some 128 MiB of bodies are read for it, one after another. */
const STRETCH = 128;

/**
 * Cuts the bodies of old blocks off and keeps their headers, and with them everything that is proven by headers. What
 * people ask about the past stays in the indexes.
 */
export class Pruner {
  readonly #store: Pick<LedgerStore, 'final' | 'prunedHeight' | 'cutBodies'>;
  readonly #kept: number;
  readonly #onFailed: (error: unknown) => void;
  #running: Promise<void> | undefined;
  #closed = false;

  /** `kept`: newest blocks whose bodies stay; 0 keeps all. Throws NodeError `bad-configuration`. */
  constructor(
    store: Pick<LedgerStore, 'final' | 'prunedHeight' | 'cutBodies'>,
    kept: number,
    onFailed: (error: unknown) => void,
  ) {
    if (kept !== 0 && kept < KEPT_MIN)
      throw new NodeError(
        'bad-configuration',
        `expected 0 or at least ${KEPT_MIN} for ledger.keep-bodies, got ${kept}`,
      );
    this.#store = store;
    this.#kept = kept;
    this.#onFailed = onFailed;
  }

  /** To be called after commits; works aside, a stretch at a time. */
  committed(): void {
    if (this.#kept === 0 || this.#running !== undefined || this.#closed) return;
    if (this.#due < STRETCH) return;
    this.#running = this.#run()
      .catch(this.#onFailed)
      .finally(() => {
        this.#running = undefined;
      });
  }

  /** When what is under way is on disk. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#running;
  }

  get #due(): number {
    return this.#store.final.height - this.#kept - this.#store.prunedHeight;
  }

  async #run(): Promise<void> {
    while (this.#due >= STRETCH && !this.#closed) {
      const from = this.#store.prunedHeight + 1;
      await this.#store.cutBodies(from, from + STRETCH - 1);
    }
  }
}
