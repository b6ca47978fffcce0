import { Committee } from '../../ledger/consensus/committee.ts';
import type { Certificate } from '../../ledger/consensus/votes.ts';
import type { BlockId } from '../../ledger/ids.ts';
import { CONVICTION, type ModelChain } from './model-chain.ts';
import type { NodeSurroundings } from './node-surroundings.ts';
import type { SimulatedDisk } from './simulated-disk.ts';

const BLOCK_TRANSACTIONS_MAX = 20;

/** What one node of the model has of blocks and transactions: which it could give or include, which are valid, which are final. */
export class SimulatedLedger {
  /** Blocks that it could give to others. */
  readonly blocks: Set<BlockId>;
  readonly #pool = new Set<number>();
  readonly #world: Pick<NodeSurroundings, 'chain' | 'observer' | 'boundaries' | 'committees'>;
  readonly #disk: SimulatedDisk;

  constructor(world: NodeSurroundings, disk: SimulatedDisk, blocks: Set<BlockId>) {
    this.#world = world;
    this.#disk = disk;
    this.blocks = blocks;
  }

  /** Transactions of unfinal ancestors of a block. */
  #pending(id: BlockId): Set<number> {
    const included = new Set<number>();
    for (let at = id; at !== this.#disk.final.id; ) {
      const model = this.#world.chain.get(at);
      if (model.block.header.height <= this.#disk.final.height) break;
      for (const transaction of model.transactions) included.add(transaction);
      at = model.block.header.parentId;
    }
    return included;
  }

  /** Takes a transaction up; false when it waits here already, or is final. */
  take(transaction: number): boolean {
    if (this.#pool.has(transaction) || this.#disk.transactions.has(transaction)) return false;
    this.#pool.add(transaction);
    return true;
  }

  /** The process ended: what waited is forgotten. */
  forgetWaiting(): void {
    this.#pool.clear();
  }

  /** Waiting transactions that a block on `parentId` can take. */
  includable(parentId: BlockId): number[] {
    if (this.#pool.size === 0) return [];
    const included = this.#pending(parentId);
    return [...this.#pool].filter(
      (transaction) => !included.has(transaction) && !this.#disk.transactions.has(transaction),
    );
  }

  /** A block is valid when it and its unfinal ancestors are. */
  isValid(id: BlockId): boolean {
    const { fits, transactions, block } = this.#world.chain.get(id);
    if (id === this.#disk.final.id) return true;
    if (block.header.height <= this.#disk.final.height)
      return this.#world.observer.finalByHeight.get(block.header.height) === id;
    const before = this.#pending(block.header.parentId);
    const repeated = transactions.some(
      (transaction) => before.has(transaction) || this.#disk.transactions.has(transaction),
    );
    return fits && !repeated && this.isValid(block.header.parentId);
  }

  /** Makes a block of at most twenty transactions; `undefined` when none can be included. */
  build(parentId: BlockId, at: Parameters<ModelChain['add']>[1]): BlockId | undefined {
    const transactions = this.includable(parentId).slice(0, BLOCK_TRANSACTIONS_MAX);
    if (transactions.length === 0) return undefined;
    const id = this.#world.chain.add(parentId, at, transactions);
    this.blocks.add(id);
    return id;
  }

  /** A block and its ancestors, as far as they are not here. */
  missing(id: BlockId): readonly BlockId[] {
    const missing: BlockId[] = [];
    for (let at = id; !this.blocks.has(at); at = this.#world.chain.header(at).parentId) missing.push(at);
    return missing;
  }

  /** A block and its ancestors are final. */
  commit(id: BlockId, certificate: Certificate): void {
    const path: BlockId[] = [];
    for (let at = id; at !== this.#disk.final.id; ) {
      const header = this.#world.chain.header(at);
      if (header.height <= this.#disk.final.height)
        return this.#world.observer.violate('a final block does not extend the final chain');
      path.unshift(at);
      at = header.parentId;
    }
    const { chain, observer, boundaries, committees } = this.#world;
    for (const one of path) {
      observer.final(chain, one, this.#disk.transactions);
      for (const transaction of chain.get(one).transactions) {
        this.#pool.delete(transaction);
        if (transaction >= CONVICTION) observer.count('convictions');
      }
    }
    const { block, nextSeats, after } = chain.get(id);
    const { epoch, view } = certificate;
    if (nextSeats !== undefined) {
      boundaries.set(epoch, { kind: 'certificate', certificate });
      committees.set(after.epoch, new Committee(chain.chainId, after.epoch, nextSeats));
    }
    const { height, timestampMs } = block.header;
    this.#disk.commit({ epoch, view, height, id, timestampMs, certificate });
  }
}
