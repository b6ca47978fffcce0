import type { Block } from '../../../ledger/block.ts';
import type { PageChanges, PageReader } from '../../../ledger/commitment/commitment.ts';
import { invariant } from '../../../ledger/errors.ts';
import type { BlockId } from '../../../ledger/ids.ts';
import type { BlockOutcome } from '../../../ledger/state/apply.ts';
import { readerOver, type StateReader } from '../../../ledger/state/draft.ts';

/** Far more than any view window leaves open. */
const OVERLAYS_MAX = 256;

/** An executed block that is not final, and what it changes. */
export interface Overlay {
  readonly id: BlockId;
  readonly block: Block;
  readonly outcome: BlockOutcome;
  readonly pages: PageChanges;
}

/** Encoded rows by state key, and pages of the commitment by path. */
export interface FinalState {
  row(key: string): Uint8Array | undefined;
  readonly page: PageReader;
}

/** The executed blocks that are not final: a tree in memory, over the final state, which they shine through to. */
export class Overlays {
  readonly #below: FinalState;
  readonly #byId = new Map<BlockId, Overlay>();

  constructor(below: FinalState) {
    this.#below = below;
  }

  get size(): number {
    return this.#byId.size;
  }

  has(id: BlockId): boolean {
    return this.#byId.has(id);
  }

  get(id: BlockId): Overlay | undefined {
    return this.#byId.get(id);
  }

  add(overlay: Overlay): void {
    this.#byId.set(overlay.id, overlay);
    invariant(this.#byId.size <= OVERLAYS_MAX, 'too many blocks are executed and not final');
  }

  delete(id: BlockId): void {
    this.#byId.delete(id);
  }

  clear(): void {
    this.#byId.clear();
  }

  blocks(): readonly Block[] {
    return [...this.#byId.values()].map(({ block }) => block);
  }

  isParent(id: BlockId): boolean {
    return [...this.#byId.values()].some(({ block }) => block.header.parentId === id);
  }

  /** The state after a block, which stays right while its ancestors become final. */
  stateAfter(id: BlockId): StateReader {
    return readerOver((key) => {
      for (let at = this.get(id); at !== undefined; at = this.#parentOf(at))
        if (at.outcome.changes.has(key)) return at.outcome.changes.get(key);
      return this.#below.row(key);
    });
  }

  /** The pages of the commitment after a block. */
  pagesAfter(id: BlockId): PageReader {
    return (path) => {
      for (let at = this.get(id); at !== undefined; at = this.#parentOf(at))
        if (at.pages.has(path)) return at.pages.get(path);
      return this.#below.page(path);
    };
  }

  /** Those that neither are `last` or an ancestor of it, nor descend from it: when it becomes final they never can. */
  abandonedBy(last: Overlay): readonly Overlay[] {
    const becomeFinal = new Set<Overlay>();
    for (let at: Overlay | undefined = last; at !== undefined; at = this.#parentOf(at)) becomeFinal.add(at);
    const descends = (overlay: Overlay): boolean => {
      for (let at: Overlay | undefined = overlay; at !== undefined; at = this.#parentOf(at))
        if (at === last) return true;
      return false;
    };
    return [...this.#byId.values()].filter((overlay) => !becomeFinal.has(overlay) && !descends(overlay));
  }

  #parentOf({ block }: Overlay): Overlay | undefined {
    return this.#byId.get(block.header.parentId);
  }
}
