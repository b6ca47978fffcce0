import {
  type Block,
  type BlockHeader,
  blockIdOf,
  committeeHash,
  encodeBlock,
  HEADER_BYTES,
  txRootOf,
} from '../../../ledger/block.ts';
import { commitInSteps } from '../../../ledger/commitment/commitment.ts';
import type { Boundary } from '../../../ledger/consensus/trust-chain.ts';
import type { Certificate } from '../../../ledger/consensus/votes.ts';
import { demand, invariant, LedgerError } from '../../../ledger/errors.ts';
import { chainIdOf, type Genesis, type Seat } from '../../../ledger/genesis.ts';
import { type BlockId, type Hash, type NodeId, ZERO_HASH } from '../../../ledger/ids.ts';
import type { PooledTransaction } from '../../../ledger/mempool.ts';
import {
  type BlockExecution,
  type BlockOutcome,
  beginBlock,
  periodTurnDue,
  type TracedEvent,
} from '../../../ledger/state/apply.ts';
import type { ChainRules } from '../../../ledger/state/context.ts';
import type { StateReader } from '../../../ledger/state/draft.ts';
import { committeeOf, epochOf } from '../../../ledger/state/epoch-turn.ts';
import { encodeTransaction } from '../../../ledger/transaction.ts';
import { Breather, inSteps } from '../../breather.ts';
import { Signatures } from '../signatures/signatures.ts';
import { VerifyPool } from '../signatures/verify-pool.ts';
import type { FinalRecord } from '../store/final-record.ts';
import { ledgerLocation, openError } from '../store/ledger-database.ts';
import { IndexBatch } from '../store/ledger-index.ts';
import { LedgerStore } from '../store/ledger-store.ts';
import { StagedState } from '../store/staged-state.ts';
import { Overlays } from './overlays.ts';

/**
 * The chain as this node knows it: the final state in the store, and executed blocks that are not final as overlays in
 * memory. Calls come one after another from the consensus driver; only reads may interleave.
 */

/** Executed blocks that stay in memory although their views were given up. */
const OVERLAYS_KEPT = 32;
/** Waiting transactions looked at to tell whether there is work. */
const TRIED_MAX = 32;

/** A block that became final. */
export interface FinalBlock {
  readonly id: BlockId;
  readonly block: Block;
  readonly events: readonly TracedEvent[];
}

export interface BuildRequest {
  readonly parentId: BlockId;
  readonly epoch: number;
  readonly view: number;
  readonly proposer: NodeId;
  readonly nowMs: number;
}

export class Chain {
  readonly genesis: Genesis;
  readonly rules: ChainRules;
  readonly store: LedgerStore;
  readonly #overlays: Overlays;
  readonly signatures: Signatures;

  private constructor(genesis: Genesis, store: LedgerStore, pool: VerifyPool) {
    this.genesis = genesis;
    this.store = store;
    this.#overlays = new Overlays(store);
    this.signatures = new Signatures(pool);
    this.rules = {
      chainId: chainIdOf(genesis),
      chainKind: genesis.kind,
      issuers: genesis.issuers,
      parameters: genesis.parameters,
    };
  }

  /** Opens or makes the ledger in `folder`; closes `pool` when it is closed. Throws NodeError as LedgerStore.open. */
  static async open(folder: string, genesis: Genesis, pool = new VerifyPool()): Promise<Chain> {
    const store = await LedgerStore.open(folder, genesis);
    try {
      await StagedState.tidy(store);
    } catch (error) {
      await store.close();
      throw openError(ledgerLocation(folder), error);
    }
    return new Chain(genesis, store, pool);
  }

  async close(): Promise<void> {
    await this.signatures.close();
    await this.store.close();
  }

  get final(): FinalRecord {
    return this.store.final;
  }

  /** The newest final state. */
  get state(): StateReader {
    return this.store.state;
  }

  /** Whether the state after this block is at hand. */
  hasState(id: BlockId): boolean {
    return id === this.final.id || this.#overlays.has(id);
  }

  /** The epoch of the next block. */
  get epoch(): number {
    return epochOf(this.state).epoch;
  }

  /** Who votes on the next block. */
  get seats(): readonly Seat[] {
    return committeeOf(this.state);
  }

  /** The committee after an executed block that is the last of its epoch. */
  nextSeats(id: BlockId): readonly Seat[] | undefined {
    return this.#overlays.get(id)?.outcome.nextCommittee;
  }

  header(id: BlockId): BlockHeader | undefined {
    return this.#overlays.get(id)?.block.header ?? this.store.header(id);
  }

  /** The encoded block, final or executed. */
  blockBytes(id: BlockId): Uint8Array | undefined {
    const overlay = this.#overlays.get(id);
    return overlay === undefined ? this.store.blockBytes(id) : encodeBlock(overlay.block);
  }

  /** Executed blocks that are neither final nor abandoned yet. */
  pending(): readonly Block[] {
    return this.#overlays.blocks();
  }

  /** The state after a block; its overlays shine through to the store as they become final. */
  stateAfter(id: BlockId): StateReader {
    invariant(this.hasState(id), 'the state of a block that was not executed');
    return this.#overlays.stateAfter(id);
  }

  #begin(parentId: BlockId, parent: BlockHeader, timestampMs: number, proposer: NodeId): BlockExecution {
    return beginBlock(this.stateAfter(parentId), this.rules, {
      height: parent.height + 1,
      parentId,
      timestampMs,
      proposer,
    });
  }

  /** Whether a block on `parentId` at `nowMs` may be empty because a period turns. */
  periodTurnDue(parentId: BlockId, nowMs: number): boolean {
    return periodTurnDue(this.stateAfter(parentId), nowMs, this.rules.parameters.periodMs);
  }

  /**
   * Executes a block whose parent's state is at hand and keeps its overlay. The caller has checked view, epoch and leader.
   * Throws LedgerError (`bad-block`, `bad-state-root`, or what a transaction was refused for).
   */
  async execute(block: Block): Promise<BlockId> {
    const { header, transactions } = block;
    const id = blockIdOf(header);
    if (this.#overlays.has(id)) return id;
    const parent = this.header(header.parentId);
    invariant(parent !== undefined, 'execution of a block whose parent is unknown');
    const { parameters, chainId } = this.rules;
    demand(header.chainId === chainId, 'wrong-chain', 'the block is of another chain');
    demand(
      header.height === parent.height + 1,
      'bad-block',
      `expected height ${parent.height + 1}, got ${header.height}`,
    );
    const { epoch } = epochOf(this.stateAfter(header.parentId));
    demand(header.epoch === epoch, 'bad-block', `expected epoch ${epoch}, got ${header.epoch}`);
    demand(header.timestampMs > parent.timestampMs, 'bad-block', 'a block is later than its parent');
    demand(transactions.length <= parameters.blockTransactionsMax, 'bad-block', 'too many transactions');
    demand(
      transactions.length > 0 || this.periodTurnDue(header.parentId, header.timestampMs),
      'bad-block',
      'an empty block is only for the first of a period in which contracts live',
    );
    const signed = this.signatures.blockHolds(block);
    const execution = this.#begin(header.parentId, parent, header.timestampMs, header.proposer);
    let bytesLeft = parameters.blockBytesMax - HEADER_BYTES - 4;
    const breather = new Breather();
    for (const transaction of transactions) {
      const bytes = encodeTransaction(transaction);
      bytesLeft -= bytes.length + 4;
      demand(bytesLeft >= 0, 'bad-block', `a block has at most ${parameters.blockBytesMax} bytes`);
      execution.add(transaction, bytes);
      if (breather.due) await breather.breathe();
    }
    const outcome = execution.finish();
    demand(
      header.nextCommitteeHash === nextCommitteeHashOf(outcome),
      'bad-block',
      'the header names another next committee',
    );
    const { root, pages } = await inSteps(
      commitInSteps(this.#overlays.pagesAfter(header.parentId), outcome.changes),
    );
    demand(
      root === header.stateRoot,
      'bad-state-root',
      `execution gives the state root ${root}, the header says ${header.stateRoot}`,
    );
    demand(await signed, 'bad-signature', 'the sender must sign its transaction');
    this.#overlays.add({ id, block, outcome, pages });
    return id;
  }

  /**
   * Builds the next block on `parentId` from waiting transactions and keeps its overlay; `undefined` when there is
   * nothing to include. `refused` hears of transactions that no block on this state can take.
   */
  async build(
    request: BuildRequest,
    candidates: Iterable<PooledTransaction>,
    refused: (pooled: PooledTransaction, error: LedgerError) => void,
  ): Promise<Block | undefined> {
    const parent = this.header(request.parentId);
    invariant(parent !== undefined, 'building on a block that is unknown');
    const { parameters, chainId } = this.rules;
    const timestampMs = Math.max(request.nowMs, parent.timestampMs + 1);
    const execution = this.#begin(request.parentId, parent, timestampMs, request.proposer);
    const included: PooledTransaction[] = [];
    let bytesLeft = parameters.blockBytesMax - HEADER_BYTES - 4;
    const breather = new Breather();
    for (const pooled of candidates) {
      if (included.length >= parameters.blockTransactionsMax) break;
      if (pooled.bytes.length + 4 > bytesLeft) continue;
      try {
        execution.add(pooled.transaction, pooled.bytes);
      } catch (error) {
        if (!(error instanceof LedgerError)) throw error;
        refused(pooled, error);
        continue;
      }
      included.push(pooled);
      bytesLeft -= pooled.bytes.length + 4;
      if (breather.due) await breather.breathe();
    }
    if (included.length === 0 && !this.periodTurnDue(request.parentId, timestampMs)) return undefined;
    const outcome = execution.finish();
    const { root, pages } = await inSteps(
      commitInSteps(this.#overlays.pagesAfter(request.parentId), outcome.changes),
    );
    const block: Block = {
      header: {
        chainId,
        epoch: request.epoch,
        view: request.view,
        height: parent.height + 1,
        parentId: request.parentId,
        timestampMs,
        proposer: request.proposer,
        txRoot: txRootOf(included.map((pooled) => pooled.bytes)),
        stateRoot: root,
        nextCommitteeHash: nextCommitteeHashOf(outcome),
      },
      transactions: included.map((pooled) => pooled.transaction),
    };
    this.#overlays.add({ id: blockIdOf(block.header), block, outcome, pages });
    return block;
  }

  /** Whether a block on `parentId` could take one of the first candidates. `refused` hears of those that it could not. */
  takesOne(
    { parentId, nowMs, proposer }: Pick<BuildRequest, 'parentId' | 'nowMs' | 'proposer'>,
    candidates: Iterable<PooledTransaction>,
    refused: (pooled: PooledTransaction, error: LedgerError) => void,
  ): boolean {
    const parent = this.header(parentId);
    invariant(parent !== undefined, 'a try on a block that is unknown');
    const execution = this.#begin(parentId, parent, Math.max(nowMs, parent.timestampMs + 1), proposer);
    let left = TRIED_MAX;
    for (const pooled of candidates) {
      if (left-- === 0) return true;
      try {
        execution.add(pooled.transaction, pooled.bytes);
        return true;
      } catch (error) {
        if (!(error instanceof LedgerError)) throw error;
        refused(pooled, error);
      }
    }
    return false;
  }

  /**
   * Makes executed blocks final, oldest first, the first a child of the final block: one durable batch with state,
   * blocks, indexes and certificate. Executed blocks that can never become final are kept as abandoned.
   */
  async commit(
    ids: readonly BlockId[],
    at: { epoch: number; view: number; certificate: Certificate | undefined },
  ): Promise<readonly FinalBlock[]> {
    const overlays = ids.map((id) => {
      const overlay = this.#overlays.get(id);
      invariant(overlay !== undefined, 'a block that was not executed became final');
      return overlay;
    });
    const last = overlays.at(-1);
    invariant(
      last !== undefined && overlays[0]?.block.header.parentId === this.final.id,
      'final blocks do not extend the chain',
    );
    const abandoned = this.#overlays.abandonedBy(last);
    const index = new IndexBatch((key) => this.store.index(key));
    const breather = new Breather();
    for (const { block, outcome } of overlays) {
      index.addBlock(block, outcome.events);
      if (breather.due) await breather.breathe();
    }
    await this.store.commit({
      changes: overlays.map((overlay) => overlay.outcome.changes),
      pages: overlays.map((overlay) => overlay.pages),
      blocks: overlays.map((overlay) => overlay.block),
      abandoned: abandoned.map((overlay) => overlay.block),
      index: index.changes(),
      boundary:
        at.certificate === undefined || last.outcome.nextCommittee === undefined
          ? undefined
          : {
              header: last.block.header,
              certificate: at.certificate,
              nextSeats: last.outcome.nextCommittee,
            },
      final: {
        id: last.id,
        height: last.block.header.height,
        epoch: at.epoch,
        view: at.view,
        timestampMs: last.block.header.timestampMs,
        certificate: at.certificate,
      },
    });
    for (const overlay of [...overlays, ...abandoned]) this.#overlays.delete(overlay.id);
    return overlays.map(({ id, block, outcome }) => ({ id, block, events: outcome.events }));
  }

  /**
   * Goes on from a state that was not executed here; executed blocks that are not final are forgotten. `boundaries` lead
   * from this epoch to that of the state. Throws LedgerError `bad-state-root`.
   */
  async adopt(state: StagedState, boundaries: readonly Boundary[]): Promise<void> {
    await state.complete();
    this.#overlays.clear();
    await state.adopt(boundaries);
  }

  /** The final block is final by a later view too: that one and its certificate are kept from now on, durably. */
  async confirm(at: { epoch: number; view: number; certificate: Certificate }): Promise<void> {
    const { epoch, view } = this.final;
    if (at.epoch < epoch || (at.epoch === epoch && at.view <= view)) return;
    await this.store.confirm({ ...this.final, ...at });
  }

  /**
   * Lets go of the state after an executed block whose view was given up, when there are many such, so that a long time
   * without finality fills no memory. The block itself is stored, for those who may still ask for it.
   */
  async release(id: BlockId): Promise<void> {
    const overlay = this.#overlays.get(id);
    if (overlay === undefined || this.#overlays.size <= OVERLAYS_KEPT) return;
    if (this.#overlays.isParent(id)) return;
    await this.store.keep(overlay.block);
    this.#overlays.delete(id);
  }

  /** A block that was let go of, or abandoned. */
  stored(id: BlockId): Block | undefined {
    return this.store.block(id);
  }
}

/** The hash of the next committee where a block is the last of its epoch, zero elsewhere. */
function nextCommitteeHashOf({ nextCommittee }: BlockOutcome): Hash {
  return nextCommittee === undefined ? ZERO_HASH : committeeHash(nextCommittee);
}
