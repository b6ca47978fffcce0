import { type Block, blockIdOf } from '../../ledger/block.ts';
import { u32 } from '../../ledger/bytes.ts';
import { Committee } from '../../ledger/consensus/committee.ts';
import type { Certificate } from '../../ledger/consensus/votes.ts';
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
import type { Chain } from '../../node/ledger/chain/chain.ts';
import type { Tpm } from '../../node/tpm/tpm.ts';
import type { Person } from './ledger-world.ts';

/** Whose keys the blocks are signed with. */
interface Signing {
  readonly members: readonly { readonly person: Person; readonly tpm: Tpm }[];
  claim(index: number): Promise<TransactionBody>;
}

/** Makes blocks on a chain as its committees would, without the time that committees take. */
export class ChainGrower {
  readonly #network: Signing;
  readonly #chain: Chain;
  #accounts = 0;
  #nowMs: number;

  constructor(network: Signing, chain: Chain) {
    this.#network = network;
    this.#chain = chain;
    this.#nowMs = chain.final.timestampMs;
  }

  /** A block with a member's claim: its account has money from then on. */
  async claim(index = 0): Promise<void> {
    await this.#block(index, [await this.#network.claim(index)]);
  }

  /** A block with which a member that has claimed takes a seat. */
  async takeSeat(index: number): Promise<void> {
    const { ekId } = await (this.#network.members[index] as Signing['members'][number]).tpm.ek();
    await this.#block(index, [{ kind: 'seat', ekId, action: 'enter' }]);
  }

  /** Blocks of transfers of the first member to accounts that nobody has seen before. */
  async grow(blocks: number, transfers = 3): Promise<void> {
    for (let i = 0; i < blocks; i++)
      await this.#block(
        0,
        Array.from({ length: transfers }, () => ({
          kind: 'transfer',
          to: accountNumber(this.#accounts++),
          amountGrains: grains(10),
          memo: '',
        })),
      );
  }

  /** A final certificate of every member of a committee whose key is known. */
  #certificate(committee: Committee, id: BlockId, view: number, height: number): Certificate {
    const position = { view, parentView: view - 1, height, blockId: id };
    const digest = committee.digest('finalize', view, position);
    const votes = new Map(
      this.#network.members.flatMap(({ person }) => {
        const seat = committee.indexOf(person.nodeId);
        return seat === undefined ? [] : [[seat, sign(digest, person.nodeSecret)] as const];
      }),
    );
    return committee.certificate('finalize', view, position, votes);
  }

  async #block(index: number, bodies: readonly TransactionBody[]): Promise<void> {
    const chain = this.#chain;
    const { final } = chain;
    const { person } = this.#network.members[index] as Signing['members'][number];
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
    const { epoch } = chain;
    const committee = new Committee(chain.rules.chainId, epoch, chain.seats);
    const view = final.epoch === epoch ? final.view + 1 : 1;
    this.#nowMs += 100;
    const block = (await chain.build(
      { parentId: final.id, epoch, view, proposer: committee.leader(view), nowMs: this.#nowMs },
      candidates,
      (_, error) => {
        throw error;
      },
    )) as Block;
    const id = blockIdOf(block.header);
    const certificate = this.#certificate(committee, id, view, block.header.height);
    await chain.commit([id], { epoch, view, certificate });
  }
}

/** The n-th of a list of accounts that nobody has the key of at hand. */
export function accountNumber(n: number): AccountId {
  return keyId<AccountId>(publicKeyOf(sha256(u32(n + 1))));
}
