import { blockIdOf } from '../../ledger/block.ts';
import type { ConsensusEvent } from '../../ledger/consensus/events.ts';
import type { LedgerError } from '../../ledger/errors.ts';
import type { BlockId, NodeId } from '../../ledger/ids.ts';
import type { Mempool, PooledTransaction } from '../../ledger/mempool.ts';
import { clockOf } from '../../ledger/state/draft.ts';
import { transactionId } from '../../ledger/transaction.ts';
import type { BuildRequest, Chain } from './chain/chain.ts';

/** Makes this node's own blocks from what waits in the pool, and tells when there is something to make one of. */

type Built = NonNullable<Extract<ConsensusEvent, { kind: 'built' }>['built']>;

export interface BlockMakerOptions {
  readonly chain: Chain;
  readonly mempool: Mempool;
  readonly nodeId: NodeId;
  /** The next block on this state cannot take a transaction. */
  refused(pooled: PooledTransaction, error: LedgerError): void;
}

export class BlockMaker {
  readonly #options: BlockMakerOptions;

  constructor(options: BlockMakerOptions) {
    this.#options = options;
  }

  /** Whether a block on `parentId` could be made now: a transaction waits that it can take, or a period turns. */
  hasWork(parentId: BlockId): boolean {
    const { chain, mempool, nodeId, refused } = this.#options;
    const nowMs = Date.now();
    if (chain.periodTurnDue(parentId, nowMs)) return true;
    const candidates = mempool.heads(chain.stateAfter(parentId));
    return chain.takesOne({ parentId, nowMs, proposer: nodeId }, candidates, refused);
  }

  /** Wall time at which the next period turns; only where contracts live does that take a block. */
  periodTurnMs(): number | undefined {
    const { state, rules } = this.#options.chain;
    const { liveContracts, periodStartedMs } = clockOf(state);
    return liveContracts > 0 ? periodStartedMs + rules.parameters.periodMs : undefined;
  }

  /** Makes a block and keeps the state after it; `undefined` when there is nothing to include. */
  async build(at: Pick<BuildRequest, 'parentId' | 'epoch' | 'view'>): Promise<Built | undefined> {
    const { chain, mempool, nodeId, refused } = this.#options;
    const request = { ...at, proposer: nodeId, nowMs: Date.now() };
    const block = await chain.build(request, mempool.inOrder(chain.stateAfter(at.parentId)), refused);
    if (block === undefined) return undefined;
    return {
      block,
      transactionIds: block.transactions.map(transactionId),
      nextSeats: chain.nextSeats(blockIdOf(block.header)),
    };
  }
}
