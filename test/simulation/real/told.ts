import type { BlockId, TransactionId } from '../../../ledger/ids.ts';
import { transactionId } from '../../../ledger/transaction.ts';
import type { Chain, FinalBlock } from '../../../node/ledger/chain/chain.ts';

/** What a node told others is final, all of which must still be there after whatever befell it. */
export class Told {
  readonly #blocks = new Map<
    number,
    { readonly id: BlockId; readonly transactions: readonly TransactionId[] }
  >();
  #height = 0;

  get height(): number {
    return this.#height;
  }

  /** Blocks of a commit, which its node announced. */
  add(blocks: readonly FinalBlock[]): void {
    for (const { id, block } of blocks) {
      this.#blocks.set(block.header.height, { id, transactions: block.transactions.map(transactionId) });
      this.reached(block.header.height);
    }
  }

  /** A height that its node announced. */
  reached(height: number): void {
    this.#height = Math.max(this.#height, height);
  }

  /** The disk is another one. */
  forget(): void {
    this.#blocks.clear();
    this.#height = 0;
  }

  /** Blocks that are final in a ledger, and whose node died before it could say so. */
  newIn({ store }: Chain): readonly FinalBlock[] {
    const blocks: FinalBlock[] = [];
    for (let height = this.#height + 1; height <= store.final.height; height++) {
      const id = store.idAt(height);
      const block = id && store.block(id);
      if (id !== undefined && block !== undefined) blocks.push({ id, block, events: [] });
    }
    return blocks;
  }

  /** What a ledger does not have of it. */
  missingFrom({ store }: Chain): string | undefined {
    if (store.final.height < this.#height)
      return `block ${this.#height} was final, after a crash only ${store.final.height} are`;
    for (const [height, { id, transactions }] of this.#blocks) {
      if (store.idAt(height) !== id || store.header(id)?.height !== height)
        return `block ${height} was final, after a crash it is not there`;
      if (transactions.some((transaction) => store.index(`tx/${transaction}`) === undefined))
        return `after a crash nobody can look up a transaction of block ${height}`;
    }
    return undefined;
  }
}
