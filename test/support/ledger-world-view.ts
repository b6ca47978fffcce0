import { decode } from '../../ledger/codec.ts';
import type { AccountId, ContractId, Hash, NodeId } from '../../ledger/ids.ts';
import { pairKey } from '../../ledger/state/contract-due.ts';
import { accountOf, clockOf } from '../../ledger/state/draft.ts';
import { BEACONS, CONTRACTS, NODES, PAIRS, type StorageContract, TPMS } from '../../ledger/state/entities.ts';
import type { StorageOffer } from '../../ledger/storage-formats.ts';
import type { LiveContract, MarketLedger, OfferingNode } from '../../market/interfaces.ts';
import type { LedgerWorld, Person } from './ledger-world.ts';

/** A ledger world as one person's market sees it. */
export class LedgerWorldView implements MarketLedger {
  readonly #world: LedgerWorld;
  readonly #now: () => number;
  readonly accountId: AccountId;
  readonly nodeId: NodeId;

  constructor(world: LedgerWorld, who: Person, now: () => number) {
    this.#world = world;
    this.#now = now;
    this.accountId = who.accountId;
    this.nodeId = who.nodeId;
  }

  get chainId(): MarketLedger['chainId'] {
    return this.#world.rules.chainId;
  }

  get parameters(): MarketLedger['parameters'] {
    return this.#world.rules.parameters;
  }

  period(): number {
    return this.#world.period;
  }

  periodProgress(): number {
    const { periodStartedMs } = clockOf(this.#world.state);
    return Math.max(0, Math.min(1, (this.#now() - periodStartedMs) / this.parameters.periodMs));
  }

  beacon(period: number): Hash | undefined {
    return this.#world.state.read(BEACONS, String(period))?.beacon;
  }

  balanceGrains(accountId: AccountId): bigint {
    return accountOf(this.#world.state, accountId).balanceGrains;
  }

  contract(id: ContractId): StorageContract | undefined {
    return this.#world.contract(id);
  }

  contractBetween(renterId: AccountId, hostNodeId: NodeId): LiveContract | undefined {
    const host = this.#world.state.read(NODES, hostNodeId);
    const id = host && this.#world.state.read(PAIRS, pairKey(renterId, host.ekId))?.contractId;
    const contract = id && this.contract(id);
    return id === undefined || contract === undefined ? undefined : { id, contract };
  }

  async contractsOf(role: 'renter' | 'host'): Promise<readonly LiveContract[]> {
    return this.#rows('contract/').flatMap(([id, row]) => {
      const contract = decode(CONTRACTS.codec, row, 'a contract');
      const whose = role === 'renter' ? contract.renterId : contract.hostAccountId;
      return whose === this.accountId ? [{ id: id as ContractId, contract }] : [];
    });
  }

  hostNodeOf(contract: StorageContract): NodeId {
    const tpm = this.#world.state.read(TPMS, contract.hostEkId);
    if (tpm === undefined) throw new Error('the host of a contract has no TPM');
    return tpm.nodeId;
  }

  async offers(): Promise<readonly OfferingNode[]> {
    return this.#rows('node/').flatMap(([id, row]) => {
      const { ownerId, addresses, storageOffer } = decode(NODES.codec, row, 'a node');
      const nodeId = id as NodeId;
      return storageOffer === undefined
        ? []
        : [{ nodeId, ownerId, addresses, offer: storageOffer, member: false }];
    });
  }

  offerOf(nodeId: NodeId): StorageOffer | undefined {
    return this.#world.state.read(NODES, nodeId)?.storageOffer;
  }

  ownOffer(): StorageOffer | undefined {
    return this.offerOf(this.nodeId);
  }

  #rows(prefix: string): readonly (readonly [string, Uint8Array])[] {
    return [...this.#world.rows]
      .filter(([key]) => key.startsWith(prefix))
      .map(([key, row]) => [key.slice(prefix.length), row] as const);
  }
}
