import { type Block, type BlockHeader, blockIdOf, committeeHash } from '../../ledger/block.ts';
import { utf8 } from '../../ledger/bytes.ts';
import { sha256 } from '../../ledger/crypto/sha256.ts';
import type { Seat } from '../../ledger/genesis.ts';
import {
  type BlockId,
  type ChainId,
  type Hash,
  hashId,
  idBytes,
  type NodeId,
  ZERO_HASH,
} from '../../ledger/ids.ts';

/**
 * Blocks of the model: headers whose transactions are numbers. The rules of epochs are those of the ledger in small: a
 * committee of one size is drawn by the parent's id from all that were not convicted; a block that convicts a member, or
 * that comes late enough in its epoch, is a boundary.
 */

/** Transactions from here on convict the node with that number. */
export const CONVICTION = 1_000_000;

/** What holds after a block. */
export interface ModelState {
  readonly epoch: number;
  readonly seats: readonly Seat[];
  readonly convicted: ReadonlySet<NodeId>;
  readonly epochHeight: number;
}

export interface ModelBlock {
  readonly block: Block;
  readonly transactions: readonly number[];
  readonly after: ModelState;
  /** The next committee, when this block is the last of its epoch. */
  readonly nextSeats: readonly Seat[] | undefined;
  /** Whether its header says what its parent's state demands. */
  readonly fits: boolean;
}

export class ModelChain {
  readonly chainId: ChainId;
  readonly genesisId: BlockId;
  readonly #all: readonly Seat[];
  readonly #size: number;
  readonly #epochBlocks: number | undefined;
  readonly #blocks = new Map<BlockId, ModelBlock>();
  #nonce = 0;

  /** `epochBlocks`: an epoch ends after this many blocks; `undefined`: only when a member is convicted. */
  constructor(chainId: ChainId, all: readonly Seat[], size: number, epochBlocks: number | undefined) {
    this.chainId = chainId;
    this.#all = all;
    this.#size = size;
    this.#epochBlocks = epochBlocks;
    const header: BlockHeader = {
      chainId,
      epoch: 0,
      view: 0,
      height: 0,
      parentId: ZERO_HASH as string as BlockId,
      timestampMs: 0,
      proposer: (all[0] as Seat).nodeId,
      txRoot: ZERO_HASH,
      stateRoot: ZERO_HASH,
      nextCommitteeHash: ZERO_HASH,
    };
    this.genesisId = blockIdOf(header);
    this.#blocks.set(this.genesisId, {
      block: { header, transactions: [] },
      transactions: [],
      after: { epoch: 0, seats: all.slice(0, size), convicted: new Set(), epochHeight: 0 },
      nextSeats: undefined,
      fits: true,
    });
  }

  get made(): number {
    return this.#nonce;
  }

  get(id: BlockId): ModelBlock {
    const block = this.#blocks.get(id);
    if (block === undefined) throw new Error('a block that nobody made');
    return block;
  }

  header(id: BlockId): BlockHeader {
    return this.get(id).block.header;
  }

  /** Blocks of the model travel whole. */
  transactionIds(): readonly [] {
    return [];
  }

  add(
    parentId: BlockId,
    at: { proposer: NodeId; epoch: number; view: number; nowMs: number },
    transactions: readonly number[],
  ): BlockId {
    const parent = this.get(parentId);
    const { after, nextSeats } = this.#execute(parentId, parent, transactions);
    const header: BlockHeader = {
      chainId: this.chainId,
      epoch: at.epoch,
      view: at.view,
      height: parent.block.header.height + 1,
      parentId,
      timestampMs: Math.max(at.nowMs, parent.block.header.timestampMs + 1),
      proposer: at.proposer,
      txRoot: hashId<Hash>(sha256(utf8(`${this.#nonce++} ${transactions.join(' ')}`))),
      stateRoot: ZERO_HASH,
      nextCommitteeHash: nextSeats === undefined ? ZERO_HASH : committeeHash(nextSeats),
    };
    const id = blockIdOf(header);
    const fits = at.epoch === parent.after.epoch;
    this.#blocks.set(id, { block: { header, transactions: [] }, transactions, after, nextSeats, fits });
    return id;
  }

  #execute(
    parentId: BlockId,
    parent: ModelBlock,
    transactions: readonly number[],
  ): { after: ModelState; nextSeats: readonly Seat[] | undefined } {
    const { after: before } = parent;
    const convicted = new Set(before.convicted);
    for (const transaction of transactions) {
      const culprit = this.#all[transaction - CONVICTION];
      if (culprit !== undefined) convicted.add(culprit.nodeId);
    }
    const height = parent.block.header.height + 1;
    const forced = before.seats.some(
      (seat) => convicted.has(seat.nodeId) && !before.convicted.has(seat.nodeId),
    );
    const due = this.#epochBlocks !== undefined && height - before.epochHeight >= this.#epochBlocks;
    const same = { ...before, convicted };
    if (!forced && !due) return { after: same, nextSeats: undefined };
    const order = (seat: Seat): string => hashId(sha256(idBytes(parentId), idBytes(seat.seatId)));
    const standing = this.#all.filter((seat) => !convicted.has(seat.nodeId));
    const next = [...standing].sort((a, b) => (order(a) < order(b) ? -1 : 1)).slice(0, this.#size);
    if (next.length < this.#size || committeeHash(next) === committeeHash(before.seats))
      return { after: same, nextSeats: undefined };
    return {
      after: { epoch: before.epoch + 1, seats: next, convicted, epochHeight: height },
      nextSeats: next,
    };
  }
}
