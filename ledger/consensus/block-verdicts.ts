import type { BlockId } from '../ids.ts';
import type { ExecutedBlock } from './events.ts';

/** What is known of blocks by execution: valid with all ancestors, invalid, or asked for. */
export class BlockVerdicts {
  readonly #valid = new Map<BlockId, ExecutedBlock | undefined>();
  readonly #invalid = new Set<BlockId>();
  readonly #asked = new Set<BlockId>();

  /** `finalId`: the final block, whose header nobody asks for any more. */
  constructor(finalId: BlockId) {
    this.#valid.set(finalId, undefined);
  }

  get waiting(): boolean {
    return this.#asked.size > 0;
  }

  isValid(id: BlockId): boolean {
    return this.#valid.has(id);
  }

  isInvalid(id: BlockId): boolean {
    return this.#invalid.has(id);
  }

  executed(id: BlockId): ExecutedBlock | undefined {
    return this.#valid.get(id);
  }

  /** Whether it ends its epoch: only proposals of the same block again may follow it. */
  isBoundary(id: BlockId): boolean {
    return this.#valid.get(id)?.nextSeats !== undefined;
  }

  settle(id: BlockId, executed: ExecutedBlock | undefined): void {
    this.#asked.delete(id);
    if (executed === undefined) this.#invalid.add(id);
    else this.#valid.set(id, executed);
  }

  /** Whether a block was asked for and is still waited for. */
  isAsked(id: BlockId): boolean {
    return this.#asked.has(id);
  }

  /** True the first time a block is asked for. */
  ask(id: BlockId): boolean {
    if (this.#valid.has(id) || this.#invalid.has(id) || this.#asked.has(id)) return false;
    this.#asked.add(id);
    return true;
  }

  /** What the log asked for is asked for again by the first event. */
  forgetAsked(): void {
    this.#asked.clear();
  }

  /** Forgets an executed block; true when it was one. */
  release(id: BlockId): boolean {
    return this.#valid.delete(id);
  }

  /** Verdicts are only kept of blocks that open views still speak of. */
  keepOnly(live: ReadonlySet<BlockId>): void {
    for (const known of [this.#valid, this.#invalid, this.#asked])
      for (const id of known.keys()) if (!live.has(id)) known.delete(id);
  }
}
