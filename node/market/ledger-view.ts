import { decode } from '../../ledger/codec.ts';
import { invariant } from '../../ledger/errors.ts';
import type { AccountId, ContractId, Hash, NodeId } from '../../ledger/ids.ts';
import { pairKey } from '../../ledger/state/contract-due.ts';
import { accountOf, clockOf } from '../../ledger/state/draft.ts';
import { BEACONS, CONTRACTS, NODES, PAIRS, type StorageContract, TPMS } from '../../ledger/state/entities.ts';
import type { StorageOffer } from '../../ledger/storage-formats.ts';
import type { LiveContract, MarketLedger, OfferingNode } from '../../market/interfaces.ts';
import type { Chain } from '../ledger/chain/chain.ts';

const NODES_MAX = 10_000;
const CONTRACTS_MAX = 100_000;

/** The newest final state as the market wants to see it. */
export class LedgerView implements MarketLedger {
  readonly #chain: Chain;
  /** When the period was first seen, by the monotonic clock. */
  #turn = { period: -1, seenMs: 0 };
  readonly accountId: AccountId;
  readonly nodeId: NodeId;

  constructor(chain: Chain, accountId: AccountId, nodeId: NodeId) {
    this.#chain = chain;
    this.accountId = accountId;
    this.nodeId = nodeId;
  }

  get chainId(): MarketLedger['chainId'] {
    return this.#chain.rules.chainId;
  }

  get parameters(): MarketLedger['parameters'] {
    return this.#chain.rules.parameters;
  }

  /** Of the newest final block: nothing here changes while it does not. */
  get height(): number {
    return this.#chain.final.height;
  }

  period(): number {
    return clockOf(this.#chain.state).period;
  }

  periodProgress(): number {
    const { period, periodStartedMs } = clockOf(this.#chain.state);
    const nowMs = performance.now();
    if (this.#turn.period !== period) this.#turn = { period, seenMs: nowMs };
    // A clock that is far behind would see no period progress; that it turned a while ago is certain all the same.
    const elapsedMs = Math.max(Date.now() - periodStartedMs, nowMs - this.#turn.seenMs);
    return Math.min(1, elapsedMs / this.parameters.periodMs);
  }

  beacon(period: number): Hash | undefined {
    return this.#chain.state.read(BEACONS, String(period))?.beacon;
  }

  balanceGrains(accountId: AccountId): bigint {
    return accountOf(this.#chain.state, accountId).balanceGrains;
  }

  contract(id: ContractId): StorageContract | undefined {
    return this.#chain.state.read(CONTRACTS, id);
  }

  /** The account that owns a node, once it has claimed. */
  ownerOf(nodeId: NodeId): AccountId | undefined {
    return this.#chain.state.read(NODES, nodeId)?.ownerId;
  }

  contractBetween(renterId: AccountId, hostNodeId: NodeId): LiveContract | undefined {
    const host = this.#chain.state.read(NODES, hostNodeId);
    if (host === undefined) return undefined;
    const id = this.#chain.state.read(PAIRS, pairKey(renterId, host.ekId))?.contractId;
    const contract = id === undefined ? undefined : this.contract(id);
    return id === undefined || contract === undefined ? undefined : { id, contract };
  }

  async contractsOf(role: 'renter' | 'host'): Promise<readonly LiveContract[]> {
    const entries = await this.#chain.store.indexRange<ContractId>(`live-of/${this.accountId}/`, {
      limit: CONTRACTS_MAX,
    });
    return entries.flatMap(({ value: id }) => {
      const contract = this.contract(id);
      const whose = role === 'renter' ? contract?.renterId : contract?.hostAccountId;
      return contract === undefined || whose !== this.accountId ? [] : [{ id, contract }];
    });
  }

  hostNodeOf(contract: StorageContract): NodeId {
    const tpm = this.#chain.state.read(TPMS, contract.hostEkId);
    invariant(tpm !== undefined, 'the host of a contract has no TPM');
    return tpm.nodeId;
  }

  async offers(): Promise<readonly OfferingNode[]> {
    const members = new Set(this.#chain.seats.map((seat) => seat.nodeId));
    const rows = await this.#chain.store.rows('node', undefined, NODES_MAX);
    return rows.flatMap(([id, row]) => {
      const { ownerId, addresses, storageOffer } = decode(NODES.codec, row, 'a node');
      const nodeId = id as NodeId;
      return storageOffer === undefined
        ? []
        : [{ nodeId, ownerId, addresses, offer: storageOffer, member: members.has(nodeId) }];
    });
  }

  offerOf(nodeId: NodeId): StorageOffer | undefined {
    return this.#chain.state.read(NODES, nodeId)?.storageOffer;
  }

  ownOffer(): StorageOffer | undefined {
    return this.offerOf(this.nodeId);
  }
}
