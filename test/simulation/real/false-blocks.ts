import {
  type Block,
  type BlockHeader,
  blockIdOf,
  encodeBlock,
  encodeHeader,
  txRootOf,
} from '../../../ledger/block.ts';
import { utf8 } from '../../../ledger/bytes.ts';
import { sha256 } from '../../../ledger/crypto/sha256.ts';
import {
  type BlockId,
  type ChainId,
  type Hash,
  hashId,
  type TransactionId,
  ZERO_HASH,
} from '../../../ledger/ids.ts';
import { decodeTransaction, transactionId, transactionIdOfBytes } from '../../../ledger/transaction.ts';
import type { ByzantineChain } from '../byzantine.ts';

/** Blocks of misbehaving leaders on the real ledger: of real transactions, with a state root out of thin air. */

const POOL_MAX = 32;
const TAKEN_MAX = 3;

export class FalseBlocks implements ByzantineChain {
  readonly genesisId: BlockId;
  readonly #chainId: ChainId;
  readonly #headers = new Map<BlockId, BlockHeader>();
  readonly #blocks = new Map<BlockId, Block>();
  readonly #pool = new Map<TransactionId, Uint8Array>();

  constructor(chainId: ChainId, genesis: BlockHeader) {
    this.#chainId = chainId;
    this.genesisId = blockIdOf(genesis);
    this.#headers.set(this.genesisId, genesis);
  }

  get made(): number {
    return this.#blocks.size;
  }

  /** A header that somebody proposed. */
  learn(header: BlockHeader): void {
    this.#headers.set(blockIdOf(header), header);
  }

  /** A transaction that is gossiped. */
  hear(bytes: Uint8Array): void {
    this.#pool.set(transactionIdOfBytes(bytes), bytes);
    const [oldest] = this.#pool.keys();
    if (this.#pool.size > POOL_MAX && oldest !== undefined) this.#pool.delete(oldest);
  }

  header(id: BlockId): BlockHeader {
    const header = this.#headers.get(id);
    if (header === undefined) throw new Error('a block that nobody made');
    return header;
  }

  transactionIds(id: BlockId): readonly TransactionId[] {
    const { transactions = [] } = this.#blocks.get(id) ?? {};
    return transactions.map(transactionId);
  }

  /** What it says when it is asked for a header or a block that it made. */
  headerBytes(id: BlockId): Uint8Array | undefined {
    const block = this.#blocks.get(id);
    return block && encodeHeader(block.header);
  }

  blockBytes(id: BlockId): Uint8Array | undefined {
    const block = this.#blocks.get(id);
    return block && encodeBlock(block);
  }

  add(
    parentId: BlockId,
    at: { proposer: BlockHeader['proposer']; epoch: number; view: number; nowMs: number },
  ): BlockId {
    const parent = this.#headers.get(parentId) ?? this.header(this.genesisId);
    const taken = [...this.#pool.values()].slice(-TAKEN_MAX);
    const header: BlockHeader = {
      chainId: this.#chainId,
      epoch: at.epoch,
      view: at.view,
      height: parent.height + 1,
      parentId,
      timestampMs: Math.max(at.nowMs, parent.timestampMs + 1),
      proposer: at.proposer,
      txRoot: txRootOf(taken),
      stateRoot: hashId<Hash>(sha256(utf8(`${this.made} of ${at.proposer}`))),
      nextCommitteeHash: ZERO_HASH,
    };
    const id = blockIdOf(header);
    this.#headers.set(id, header);
    this.#blocks.set(id, { header, transactions: taken.map((bytes) => decodeTransaction(bytes)) });
    return id;
  }
}
