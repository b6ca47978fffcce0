import { type Grains, grains } from '../../ledger/grains.ts';
import type { ContractId, Hash, NodeId } from '../../ledger/ids.ts';
import { FRAGMENT_BYTES, LEAVES_PER_FRAGMENT } from '../../ledger/merkle.ts';
import {
  egressPrice,
  newestRoot,
  periodPrice,
  reservedStorageGrains,
} from '../../ledger/state/contract-terms.ts';
import type { StorageContract } from '../../ledger/state/entities.ts';
import type { StorageRevision, StorageTerms } from '../../ledger/transaction.ts';
import { MarketError } from '../errors.ts';
import { commitmentOf, decodeList, encodeList, type FragmentList, revisedList } from '../fragment-list.ts';
import { addedCollateralMost } from '../host/host.ts';
import type { HostLink, KeyValues, MarketLedger, MarketWallet, OfferingNode } from '../interfaces.ts';

/**
 * The renter's contracts: one a host. What uploads and removals want of a host is gathered and becomes one transaction:
 * a contract, or a revision of it.
 */

/** How long a contract is made for, in periods, where the host's offer allows it. */
const PERIODS_WANTED = 720;
/** The periods that a contract is made or renewed for with a host that takes at most `periodsMax`. */
export function termOf(periodsMax: number): number {
  return Math.max(1, Math.min(PERIODS_WANTED, periodsMax));
}
/** The escrow also pays for reading everything this often. */
const READS_COVERED = 3n;
const ATTEMPTS = 3;
/** Fragments in one revision at most. */
const ROOTS_PER_REVISION = 8_192;

interface Wish {
  readonly added: readonly Hash[];
  readonly removed: readonly Hash[];
  /** The end that a renewal asks for. */
  readonly extend: boolean;
  resolve(): void;
  reject(error: Error): void;
}

export interface ContractorOptions {
  readonly ledger: MarketLedger;
  readonly wallet: MarketWallet;
  readonly link: HostLink;
  readonly store: KeyValues;
}

export class Contractor {
  readonly #options: ContractorOptions;
  readonly #wishes = new Map<NodeId, Wish[]>();
  readonly #running = new Map<NodeId, Promise<void>>();

  constructor(options: ContractorOptions) {
    this.#options = options;
  }

  /** Puts fragments that the host holds under contract, and takes others out; resolves when the ledger says so, finally. */
  commit(host: NodeId, added: readonly Hash[], removed: readonly Hash[] = []): Promise<void> {
    return this.#wish(host, added, removed, false);
  }

  /** Gives the contract with a host a later end. */
  renew(host: NodeId): Promise<void> {
    return this.#wish(host, [], [], true);
  }

  #wish(host: NodeId, added: readonly Hash[], removed: readonly Hash[], extend: boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const wishes = this.#wishes.get(host) ?? [];
      this.#wishes.set(host, wishes);
      wishes.push({ added, removed, extend, resolve, reject });
      if (this.#running.has(host)) return;
      const run = this.#run(host).finally(() => this.#running.delete(host));
      this.#running.set(host, run);
    });
  }

  async #run(host: NodeId): Promise<void> {
    for (;;) {
      // One turn of the event loop, so that what is asked at once goes together.
      await new Promise((resolve) => setImmediate(resolve));
      const wishes = this.#wishes.get(host)?.splice(0, ROOTS_PER_REVISION) ?? [];
      if (wishes.length === 0) return;
      try {
        await this.#fulfil(host, wishes);
        for (const wish of wishes) wish.resolve();
      } catch (error) {
        for (const wish of wishes) wish.reject(error as Error);
      }
    }
  }

  async #fulfil(host: NodeId, wishes: readonly Wish[]): Promise<void> {
    const { ledger } = this.#options;
    let added = wishes.flatMap((wish) => wish.added);
    const removed = wishes.flatMap((wish) => wish.removed);
    const extend = wishes.some((wish) => wish.extend);
    for (let attempt = 1; ; attempt++) {
      try {
        const live = ledger.contractBetween(ledger.accountId, host);
        const usable = live !== undefined && ledger.period() < live.contract.endPeriod;
        if (live === undefined || !usable) {
          if (live !== undefined)
            throw new MarketError('contract-ended', 'the contract with this host is about to end');
          if (added.length === 0) return;
          await this.#open(host, added);
        } else {
          const list = this.listOf(live.id, live.contract);
          // An earlier attempt may have become final after all.
          const present = new Set(list);
          added = added.filter((root) => !present.has(root));
          const still = removed.filter((root) => present.has(root));
          if (added.length === 0 && still.length === 0 && !extend) return;
          await this.#revise(host, live.id, live.contract, list, added, still);
        }
        return;
      } catch (error) {
        const code = (error as { code?: string }).code ?? '';
        if (
          attempt >= ATTEMPTS ||
          !['bad-terms', 'bad-revision', 'contract-unknown', 'timeout'].includes(code)
        )
          throw error;
      }
    }
  }

  async #offerOf(host: NodeId): Promise<OfferingNode> {
    const offering = (await this.#options.ledger.offers()).find((node) => node.nodeId === host);
    if (offering === undefined)
      throw new MarketError('not-offering', 'the host does not offer storage any more');
    return offering;
  }

  async #open(host: NodeId, added: FragmentList): Promise<void> {
    const { ledger, link, store, wallet } = this.#options;
    const { offer } = await this.#offerOf(host);
    const { root, leafCount } = commitmentOf(added);
    const startPeriod = ledger.period() + 1;
    const periods = Math.max(offer.periodsMin, termOf(offer.periodsMax));
    const storage = periodPrice(offer.priceGrainsPerGiBPeriod, leafCount) * BigInt(periods);
    const terms: StorageTerms = {
      hostNodeId: host,
      priceGrainsPerGiBPeriod: offer.priceGrainsPerGiBPeriod,
      egressGrainsPerGiB: offer.egressGrainsPerGiB,
      root,
      leafCount,
      startPeriod,
      endPeriod: startPeriod + periods - 1,
      escrowGrains: grains(storage + readingGrains(offer.egressGrainsPerGiB, leafCount)),
      collateralGrains: grains((storage * BigInt(offer.collateralPercent)) / 100n),
    };
    const hostSignature = await link.signTerms(host, terms, added);
    await store.write([{ key: `renting/${root}`, value: encodeList(added) }]);
    await wallet.submit({ kind: 'storage.open', ...terms, hostSignature });
  }

  async #revise(
    host: NodeId,
    contractId: ContractId,
    contract: StorageContract,
    list: FragmentList,
    added: FragmentList,
    removed: FragmentList,
  ): Promise<void> {
    const { ledger, link, store, wallet } = this.#options;
    const next = revisedList(list, added, removed);
    const { root, leafCount } = commitmentOf(next);
    const period = ledger.period();
    const grows = leafCount > newestRoot(contract).leafCount;
    let { endPeriod } = contract;
    let addedCollateralGrains = grains(0);
    // A contract that shrinks stays as long as it was; one that grows, or is renewed, gets the full time again.
    if (grows || (added.length === 0 && removed.length === 0)) {
      const { offer } = await this.#offerOf(host);
      endPeriod = Math.max(endPeriod, period + termOf(offer.periodsMax));
      const storage = periodPrice(contract.priceGrainsPerGiBPeriod, leafCount) * BigInt(endPeriod - period);
      addedCollateralGrains = grains(addedCollateralMost(contract, storage, offer.collateralPercent));
    }
    const revision: StorageRevision = {
      contractId,
      revision: contract.revision + 1,
      root,
      leafCount,
      endPeriod,
      addedEscrowGrains: addedEscrow(contract, period, endPeriod, leafCount),
      addedCollateralGrains,
    };
    const hostSignature = await link.signRevision(host, revision, added, removed);
    await store.write([{ key: `renting/${root}`, value: encodeList(next) }]);
    await wallet.submit({ kind: 'storage.revise', ...revision, hostSignature });
    const before = newestRoot(contract).root;
    if (before !== root) await store.write([{ key: `renting/${before}`, value: undefined }]);
  }

  /** The fragments under a contract, in order, as this renter committed them. Throws MarketError `damaged`. */
  listOf(contractId: ContractId, contract: StorageContract): FragmentList {
    const { root, leafCount } = newestRoot(contract);
    if (leafCount === 0) return [];
    const bytes = this.#options.store.get(`renting/${root}`);
    if (bytes === undefined)
      throw new MarketError(
        'damaged',
        `the list of fragments of contract ${contractId} is not in this data folder`,
      );
    return decodeList(bytes);
  }
}

function readingGrains(egressGrainsPerGiB: Grains, leafCount: number): bigint {
  return egressPrice(egressGrainsPerGiB, (leafCount / LEAVES_PER_FRAGMENT) * FRAGMENT_BYTES) * READS_COVERED;
}

/** What the escrow lacks for storage to the end and for reading everything a few times. */
function addedEscrow(
  contract: StorageContract,
  period: number,
  endPeriod: number,
  leafCount: number,
): Grains {
  const revised: StorageContract = {
    ...contract,
    endPeriod,
    roots: [
      ...contract.roots,
      { fromPeriod: period + 1, revision: contract.revision + 1, root: newestRoot(contract).root, leafCount },
    ],
  };
  // The period may turn before the transaction is final: then one more period has the old size.
  const needed =
    reservedStorageGrains(revised) +
    periodPrice(contract.priceGrainsPerGiBPeriod, newestRoot(contract).leafCount);
  const wanted = needed + readingGrains(contract.egressGrainsPerGiB, leafCount);
  return grains(wanted > contract.escrowGrains ? wanted - contract.escrowGrains : 0n);
}
