import { type BlockHeader, blockIdOf } from '../../ledger/block.ts';
import { toHex, u32, utf8 } from '../../ledger/bytes.ts';
import { encode } from '../../ledger/codec.ts';
import { commit, type PageChanges } from '../../ledger/commitment/commitment.ts';
import { publicKeyOf } from '../../ledger/crypto/secp256k1.ts';
import { sha256 } from '../../ledger/crypto/sha256.ts';
import { DEFAULT_PARAMETERS, type Genesis } from '../../ledger/genesis.ts';
import { grains } from '../../ledger/grains.ts';
import { type AccountId, type EkId, type Hash, hashId, keyId, type NodeId } from '../../ledger/ids.ts';
import { type StateChanges, StateDraft, stateKey, supplyOf } from '../../ledger/state/draft.ts';
import { ACCOUNTS, SUPPLY } from '../../ledger/state/entities.ts';
import { Chain } from '../../node/ledger/chain/chain.ts';
import type { FinalRecord } from '../../node/ledger/store/final-record.ts';

/** A ledger folder whose state has as many accounts as wanted, without the blocks that would have made them. */

export interface Signer {
  readonly accountId: AccountId;
  readonly secret: Uint8Array;
}

const BALANCE = grains(1_000_000_000_000n);
/** Entries of one LevelDB batch: bounds the memory of writing a million rows. */
const BATCH_ENTRIES = 50_000;

/** The key pair number `i` of a bench. */
export function signerOf(i: number): Signer {
  const secret = sha256(utf8('bench account'), u32(i));
  return { secret, accountId: keyId<AccountId>(publicKeyOf(secret)) };
}

export interface BenchNode extends Signer {
  readonly nodeId: NodeId;
  readonly nodeSecret: Uint8Array;
}

/** The node number `i` of a bench and the account of its owner. */
export function benchNode(i: number): BenchNode {
  const nodeSecret = sha256(utf8('bench node'), u32(i));
  return { ...signerOf(0x1000_0000 + i), nodeSecret, nodeId: keyId<NodeId>(publicKeyOf(nodeSecret)) };
}

/** A development genesis with a committee of the first `seats` bench nodes. */
export function benchGenesis(seats: number): Genesis {
  return {
    name: 'bench',
    timestampMs: Date.UTC(2026, 0, 1),
    kind: 'dev',
    issuers: [],
    committee: Array.from({ length: seats }, (_, i) => {
      const { nodeId, accountId } = benchNode(i);
      return { seatId: hashId<EkId>(sha256(utf8(nodeId))) as string as Hash, nodeId, accountId };
    }),
    parameters: DEFAULT_PARAMETERS,
  };
}

/**
 * Makes a ledger in `folder` whose newest block, at height 1, has `accounts` accounts with money: those of `signers`,
 * and others that nobody has keys of.
 */
export async function prepareLedger(
  folder: string,
  genesis: Genesis,
  signers: readonly Signer[],
  accounts: number,
): Promise<void> {
  const chain = await Chain.open(folder, genesis);
  const draft = new StateDraft(chain.state);
  draft.write(SUPPLY, 'supply', {
    ...supplyOf(draft),
    claimedGrains: grains(BALANCE * BigInt(accounts)),
  });
  const rows = new Map(draft.changes());
  const row = encode(ACCOUNTS.codec, { balanceGrains: BALANCE, nonce: 0 }, 'an account');
  for (const { accountId } of signers) rows.set(stateKey(ACCOUNTS, accountId), row);
  for (let i = signers.length; i < accounts; i++)
    rows.set(stateKey(ACCOUNTS, `02${toHex(sha256(utf8('nobody'), u32(i)))}`), row);
  const { root, pages } = commit(chain.store.page, rows);
  const genesisBlock = chain.header(chain.final.id) as BlockHeader;
  const header: BlockHeader = {
    ...genesisBlock,
    height: 1,
    view: 1,
    parentId: blockIdOf(genesisBlock),
    timestampMs: genesis.timestampMs + 1,
    stateRoot: root,
  };
  const id = blockIdOf(header);
  const { height, view, timestampMs } = header;
  const final: FinalRecord = { id, height, epoch: 0, view, timestampMs, certificate: undefined };
  const write = (changes: StateChanges, tree: PageChanges): Promise<void> =>
    chain.store.commit({
      changes: [changes],
      pages: [tree],
      blocks: [{ header, transactions: [] }],
      abandoned: [],
      index: new Map(),
      boundary: undefined,
      final,
    });
  for (const part of stretches(rows)) await write(part, new Map());
  for (const part of stretches(pages)) await write(new Map(), part);
  await chain.close();
}

/** The entries of a map, in maps of a size that one LevelDB batch bears. */
function* stretches<K, V>(map: ReadonlyMap<K, V>): Generator<ReadonlyMap<K, V>> {
  let part = new Map<K, V>();
  for (const [key, value] of map) {
    part.set(key, value);
    if (part.size < BATCH_ENTRIES) continue;
    yield part;
    part = new Map();
  }
  yield part;
}
