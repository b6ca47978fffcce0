import { type BlockHeader, blockIdOf } from '../../ledger/block.ts';
import { utf8 } from '../../ledger/bytes.ts';
import { decode } from '../../ledger/codec.ts';
import { publicKeyOf, sign } from '../../ledger/crypto/secp256k1.ts';
import { sha256 } from '../../ledger/crypto/sha256.ts';
import { LedgerError } from '../../ledger/errors.ts';
import {
  chainIdOf,
  DEFAULT_PARAMETERS,
  type Genesis,
  type Parameters,
  type Seat,
} from '../../ledger/genesis.ts';
import { grains } from '../../ledger/grains.ts';
import {
  type AccountId,
  type BlockId,
  type ContractId,
  type EkId,
  type Hash,
  hashId,
  keyId,
  type NodeId,
} from '../../ledger/ids.ts';
import { beginBlock, type TracedEvent } from '../../ledger/state/apply.ts';
import type { ChainRules } from '../../ledger/state/context.ts';
import { clockOf, readerOver, StateDraft, type StateReader, supplyOf } from '../../ledger/state/draft.ts';
import {
  ACCOUNTS,
  CONTRACTS,
  NODES,
  SEATS,
  type StorageContract,
  SUPPLY,
  TPMS,
} from '../../ledger/state/entities.ts';
import { genesisChanges } from '../../ledger/state/genesis-state.ts';
import {
  revisionDigest,
  type StorageRevision,
  type StorageTerms,
  termsDigest,
} from '../../ledger/storage-formats.ts';
import {
  encodeTransaction,
  feeFloor,
  signTransaction,
  type TransactionBody,
  transactionId,
} from '../../ledger/transaction.ts';

/** A ledger in memory with people who have money: for tests of the rules. */

export interface Person {
  readonly name: string;
  readonly accountId: AccountId;
  readonly accountSecret: Uint8Array;
  readonly nodeId: NodeId;
  readonly nodeSecret: Uint8Array;
  readonly ekId: EkId;
}

export function person(name: string): Person {
  const accountSecret = sha256(utf8(`account of ${name}`));
  const nodeSecret = sha256(utf8(`node of ${name}`));
  return {
    name,
    accountSecret,
    nodeSecret,
    accountId: keyId<AccountId>(publicKeyOf(accountSecret)),
    nodeId: keyId<NodeId>(publicKeyOf(nodeSecret)),
    ekId: hashId<EkId>(sha256(utf8(`chip of ${name}`))),
  };
}

/** The place of a person's chip in a committee. */
export function seatOf({ ekId, nodeId, accountId }: Person): Seat {
  return { seatId: ekId as string as Hash, nodeId, accountId };
}

export class LedgerWorld {
  readonly people: readonly Person[];
  readonly genesis: Genesis;
  readonly rules: ChainRules;
  readonly rows = new Map<string, Uint8Array>();
  readonly state: StateReader = readerOver((key) => this.rows.get(key));
  header: BlockHeader;
  nowMs: number;

  constructor(
    names: readonly string[],
    balance = 1_000_000_000_000n,
    periodMs = 10_000,
    parameters: Partial<Parameters> = {},
    seats = 1,
  ) {
    this.people = names.map(person);
    const [first] = this.people;
    if (first === undefined) throw new Error('a world needs a person');
    this.genesis = {
      name: 'test',
      timestampMs: 1_000_000,
      kind: 'dev',
      issuers: [],
      committee: this.people.slice(0, seats).map(seatOf),
      parameters: { ...DEFAULT_PARAMETERS, periodMs, ...parameters },
    };
    this.rules = {
      chainId: chainIdOf(this.genesis),
      chainKind: 'dev',
      issuers: [],
      parameters: this.genesis.parameters,
    };
    this.#write(genesisChanges(this.genesis));
    const draft = new StateDraft(this.state);
    for (const one of this.people) {
      draft.write(ACCOUNTS, one.accountId, { balanceGrains: grains(balance), nonce: 0 });
      draft.write(TPMS, one.ekId, {
        ownerId: one.accountId,
        nodeId: one.nodeId,
        denominationGrains: grains(balance),
        claimedHeight: 0,
      });
      draft.write(NODES, one.nodeId, {
        ekId: one.ekId,
        ownerId: one.accountId,
        addresses: [],
        storageOffer: undefined,
        announcedHeight: 0,
      });
    }
    draft.write(SUPPLY, 'supply', {
      ...supplyOf(draft),
      claimedGrains: grains(balance * BigInt(names.length)),
    });
    this.#write(draft.changes());
    this.nowMs = this.genesis.timestampMs;
    this.header = {
      chainId: this.rules.chainId,
      epoch: 0,
      view: 0,
      height: 0,
      parentId: '00'.repeat(32) as BlockId,
      timestampMs: this.nowMs,
      proposer: first.nodeId,
      txRoot: '00'.repeat(32) as Hash,
      stateRoot: '00'.repeat(32) as Hash,
      nextCommitteeHash: '00'.repeat(32) as Hash,
    };
  }

  #write(changes: ReadonlyMap<string, Uint8Array | undefined>): void {
    for (const [key, value] of changes)
      value === undefined ? this.rows.delete(key) : this.rows.set(key, value);
  }

  get period(): number {
    return clockOf(this.state).period;
  }

  /** One block with what the given people send, `afterMs` after the last. Refused ones are given back with their codes. */
  block(
    sent: readonly (readonly [Person, TransactionBody])[],
    afterMs = 100,
  ): {
    events: readonly TracedEvent[];
    refused: readonly (LedgerError | undefined)[];
    ids: readonly ContractId[];
    nextCommittee: readonly Seat[] | undefined;
  } {
    this.nowMs += afterMs;
    const parentId = blockIdOf(this.header);
    const height = this.header.height + 1;
    const [first] = this.people as [Person];
    const execution = beginBlock(this.state, this.rules, {
      height,
      parentId,
      timestampMs: this.nowMs,
      proposer: first.nodeId,
    });
    const nonces = new Map<AccountId, number>();
    const ids: ContractId[] = [];
    const refused = sent.map(([sender, body]) => {
      const nonce = nonces.get(sender.accountId) ?? this.state.read(ACCOUNTS, sender.accountId)?.nonce ?? 0;
      const unsigned = {
        chainId: this.rules.chainId,
        sender: sender.accountId,
        nonce,
        feeGrains: grains(0),
        body,
      };
      const size = encodeTransaction({ ...unsigned, signature: new Uint8Array(64) }).length;
      const priced = { ...unsigned, feeGrains: feeFloor(size, this.rules.parameters.feeFloorGrainsPerKiB) };
      ids.push(transactionId(priced) as string as ContractId);
      try {
        execution.add(signTransaction(priced, sender.accountSecret));
        nonces.set(sender.accountId, nonce + 1);
        return undefined;
      } catch (error) {
        if (error instanceof LedgerError) return error;
        throw error;
      }
    });
    const { changes, events, nextCommittee } = execution.finish();
    this.#write(changes);
    this.header = { ...this.header, height, parentId, timestampMs: this.nowMs };
    return { events, refused, ids, nextCommittee };
  }

  /** An empty block that opens the next period. */
  turn(): readonly TracedEvent[] {
    return this.block([], this.rules.parameters.periodMs).events;
  }

  open(renter: Person, host: Person, terms: Omit<StorageTerms, 'hostNodeId'>): TransactionBody {
    const full = { ...terms, hostNodeId: host.nodeId };
    const hostSignature = sign(termsDigest(this.rules.chainId, renter.accountId, full), host.nodeSecret);
    return { kind: 'storage.open', ...full, hostSignature };
  }

  revise(host: Person, revision: StorageRevision): TransactionBody {
    return {
      kind: 'storage.revise',
      ...revision,
      hostSignature: sign(revisionDigest(this.rules.chainId, revision), host.nodeSecret),
    };
  }

  contract(id: ContractId): StorageContract | undefined {
    return this.state.read(CONTRACTS, id);
  }

  balance(who: Person): bigint {
    return this.state.read(ACCOUNTS, who.accountId)?.balanceGrains ?? 0n;
  }

  /** claimed − (balances + escrow + collateral + burned), summed from the rows: zero, or money was made or lost. */
  imbalance(): bigint {
    return imbalanceOf(this.rows, this.state);
  }
}

/** What `LedgerWorld.imbalance` says, of any rows and the state that they are. */
export function imbalanceOf(
  rows: Iterable<readonly [key: string, row: Uint8Array]>,
  state: StateReader,
): bigint {
  let balances = 0n;
  let escrow = 0n;
  let collateral = 0n;
  for (const [key, row] of rows) {
    if (key.startsWith('account/')) balances += decode(ACCOUNTS.codec, row, 'account').balanceGrains;
    if (key.startsWith('contract/')) {
      const contract = decode(CONTRACTS.codec, row, 'contract');
      escrow += contract.escrowGrains;
      collateral += contract.collateralGrains;
    }
    if (key.startsWith('seat/')) collateral += decode(SEATS.codec, row, 'seat').bondGrains;
  }
  const supply = supplyOf(state);
  if (escrow !== supply.escrowGrains || collateral !== supply.collateralGrains) return -1n;
  return supply.claimedGrains - balances - escrow - collateral - supply.burnedGrains;
}
