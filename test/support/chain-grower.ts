import { type Block, blockIdOf } from '../../ledger/block.ts';
import { u32 } from '../../ledger/bytes.ts';
import { Committee } from '../../ledger/consensus/committee.ts';
import { encodeCertificate } from '../../ledger/consensus/messages.ts';
import { publicKeyOf, sign } from '../../ledger/crypto/secp256k1.ts';
import { sha256 } from '../../ledger/crypto/sha256.ts';
import { grains } from '../../ledger/grains.ts';
import { type AccountId, type BlockId, keyId } from '../../ledger/ids.ts';
import type { PooledTransaction } from '../../ledger/mempool.ts';
import { accountOf } from '../../ledger/state/draft.ts';
import {
  encodeTransaction,
  signTransaction,
  type TransactionBody,
  transactionId,
} from '../../ledger/transaction.ts';
import type { Chain } from '../../node/ledger/chain.ts';
import type { SmallNetwork } from './small-network.ts';

/** Makes blocks on a chain as its committee would, without the time that a committee takes. */
export class ChainGrower {
  readonly #network: SmallNetwork;
  readonly #chain: Chain;
  readonly #committee: Committee;
  #accounts = 0;
  #nowMs: number;

  constructor(network: SmallNetwork, chain: Chain) {
    this.#network = network;
    this.#chain = chain;
    this.#committee = new Committee(chain.rules.chainId, 0, network.genesis.committee);
    this.#nowMs = network.genesis.timestampMs;
  }

  /** A block with the first member's claim: its account has money from then on. */
  async claim(): Promise<void> {
    await this.#block([await this.#network.claim(0)]);
  }

  /** Blocks of transfers of the first member to accounts that nobody has seen before. */
  async grow(blocks: number, transfers = 3): Promise<void> {
    for (let i = 0; i < blocks; i++)
      await this.#block(
        Array.from({ length: transfers }, () => ({
          kind: 'transfer',
          to: accountNumber(this.#accounts++),
          amountGrains: grains(10),
          memo: '',
        })),
      );
  }

  /** A final certificate of every member for a block. */
  certificate(id: BlockId, view: number, height: number): Uint8Array {
    const position = { view, parentView: view - 1, height, blockId: id };
    const digest = this.#committee.digest('finalize', view, position);
    const votes = new Map(
      this.#network.members.flatMap(({ person }) => {
        const seat = this.#committee.indexOf(person.nodeId);
        return seat === undefined ? [] : [[seat, sign(digest, person.nodeSecret)] as const];
      }),
    );
    return encodeCertificate(this.#committee.certificate('finalize', view, position, votes));
  }

  async #block(bodies: readonly TransactionBody[]): Promise<void> {
    const chain = this.#chain;
    const { final } = chain;
    const [{ person }] = this.#network.members as [SmallNetwork['members'][number]];
    const { nonce } = accountOf(chain.state, person.accountId);
    const candidates = bodies.map((body, i): PooledTransaction => {
      const transaction = signTransaction(
        {
          chainId: chain.rules.chainId,
          sender: person.accountId,
          nonce: nonce + i,
          feeGrains: grains(1_000),
          body,
        },
        person.accountSecret,
      );
      return {
        id: transactionId(transaction),
        transaction,
        bytes: encodeTransaction(transaction),
        addedMs: 0,
      };
    });
    const view = final.view + 1;
    this.#nowMs += 100;
    const block = (await chain.build(
      { parentId: final.id, epoch: 0, view, proposer: this.#committee.leader(view), nowMs: this.#nowMs },
      candidates,
      (_, error) => {
        throw error;
      },
    )) as Block;
    const id = blockIdOf(block.header);
    await chain.commit([id], {
      epoch: 0,
      view,
      certificate: this.certificate(id, view, block.header.height),
    });
  }
}

/** The n-th of a list of accounts that nobody has the key of at hand. */
export function accountNumber(n: number): AccountId {
  return keyId<AccountId>(publicKeyOf(sha256(u32(n + 1))));
}
