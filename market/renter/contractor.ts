import PQueue from 'p-queue';
import { sign } from '../../ledger/crypto/secp256k1.ts';
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
import {
  closeDigest,
  type StorageOffer,
  type StorageRevision,
  type StorageTerms,
} from '../../ledger/storage-formats.ts';
import type { BodyOf } from '../../ledger/transaction.ts';
import { codeOf, MarketError } from '../errors.ts';
import { commitmentOf, decodeList, encodeList, type FragmentList, revisedList } from '../fragment-list.ts';
import { addedCollateralMost } from '../host/agreement.ts';
import { ROOTS_MAX } from '../host/host.ts';
import type { HostLink, KeyValues, LiveContract, MarketLedger, MarketWallet } from '../interfaces.ts';

import { PERIODS_WANTED, termOf } from './renewal.ts';

/**
 * The renter's contracts: one a host. What uploads and removals want of a host is gathered and becomes one transaction:
 * a contract, or a revision of it.
 */

/** The escrow also pays for reading everything this often. */
const READS_COVERED = 3n;
/** How often a revision is tried that a later moment may cure, and how long apart at first. */
const ATTEMPTS = 4;
const ATTEMPT_AGAIN_MS = 250;
/** Refusals that come from one side knowing more of the ledger than the other, or from an answer that did not come. */
const PASSING = new Set(['bad-terms', 'bad-revision', 'contract-unknown', 'timeout']);
/** Fragments that one revision adds and removes at most: half of what a host takes in a request. */
const ROOTS_PER_REVISION = ROOTS_MAX / 2;

/** Transactions that wait for their block at once: a wallet bounds them, and has others to send. */
const SUBMITS_MAX = 24;

/** Refusals for want of money: the renter's for the escrow, the host's for the collateral. */
const SHORT = new Set(['insufficient-balance', 'collateral-short']);
/** A contract is not made for fewer periods than this for want of money. */
const PERIODS_FEW = 20;

/** What a revision does to the fragments of a contract, and whether it asks for a later end. */
interface Change {
  readonly list: FragmentList;
  readonly added: FragmentList;
  readonly removed: FragmentList;
  readonly extend: boolean;
}

interface Wish {
  readonly added: readonly Hash[];
  readonly removed: readonly Hash[];
  /** A renewal: a later end. */
  readonly extend: boolean;
  /** The contract ends when nothing is left in it; the bytes that were got under it. */
  readonly closeEgressBytes: number | undefined;
  resolve(): void;
  reject(error: Error): void;
}

export interface ContractorOptions {
  readonly ledger: MarketLedger;
  readonly wallet: MarketWallet;
  readonly link: HostLink;
  readonly store: KeyValues;
  readonly accountSecret: Uint8Array;
}

export class Contractor {
  readonly #options: ContractorOptions;
  readonly #wishes = new Map<NodeId, Wish[]>();
  readonly #running = new Set<NodeId>();
  readonly #submits = new PQueue({ concurrency: SUBMITS_MAX });
  /** Roots of lists whose transaction is under way, and how many. */
  readonly #submitting = new Map<Hash, number>();

  constructor(options: ContractorOptions) {
    this.#options = options;
  }

  /**
   * Puts fragments that the host holds under contract, and takes others out; resolves when the ledger says so, finally.
   * What one call wants in while another wants it out stays in. Asked with nothing, it waits for what is under way.
   */
  async commit(host: NodeId, added: readonly Hash[], removed: readonly Hash[] = []): Promise<void> {
    const parts: Promise<void>[] = [];
    const total = Math.max(added.length, removed.length, 1);
    for (let at = 0; at < total; at += ROOTS_PER_REVISION) {
      const part = (roots: readonly Hash[]): readonly Hash[] => roots.slice(at, at + ROOTS_PER_REVISION);
      parts.push(this.#wish(host, { added: part(added), removed: part(removed) }));
    }
    await Promise.all(parts);
  }

  /** Gives the contract with a host a later end. */
  renew(host: NodeId): Promise<void> {
    return this.#wish(host, { extend: true });
  }

  /** Ends the contract with a host, if nothing is in it and nothing comes: what is left of the escrow is the renter's again. */
  close(host: NodeId, egressBytes: number): Promise<void> {
    return this.#wish(host, { closeEgressBytes: egressBytes });
  }

  #wish(host: NodeId, wanted: Partial<Omit<Wish, 'resolve' | 'reject'>>): Promise<void> {
    return new Promise((resolve, reject) => {
      const wishes = this.#wishes.get(host) ?? [];
      this.#wishes.set(host, wishes);
      wishes.push({
        added: [],
        removed: [],
        extend: false,
        closeEgressBytes: undefined,
        ...wanted,
        resolve,
        reject,
      });
      if (this.#running.has(host)) return;
      this.#running.add(host);
      void this.#run(host);
    });
  }

  async #run(host: NodeId): Promise<void> {
    for (;;) {
      // One turn of the event loop, so that what is asked at once goes together.
      await new Promise((resolve) => setImmediate(resolve));
      const wishes = this.#take(host);
      if (wishes.length === 0) {
        this.#running.delete(host);
        return;
      }
      try {
        await this.#fulfil(host, wishes);
        for (const wish of wishes) wish.resolve();
      } catch (error) {
        for (const wish of wishes) wish.reject(error as Error);
      }
    }
  }

  /** The wishes that go into the next revision: as many as fit, and one at least. */
  #take(host: NodeId): readonly Wish[] {
    const waiting = this.#wishes.get(host) ?? [];
    let roots = 0;
    let count = 0;
    for (const { added, removed } of waiting) {
      roots += Math.max(added.length, removed.length);
      if (count > 0 && roots > ROOTS_PER_REVISION) break;
      count++;
    }
    return waiting.splice(0, count);
  }

  async #fulfil(host: NodeId, wishes: readonly Wish[]): Promise<void> {
    const { ledger } = this.#options;
    const wanted = new Set(wishes.flatMap((wish) => wish.added));
    const removed = wishes.flatMap((wish) => wish.removed).filter((root) => !wanted.has(root));
    const extend = wishes.some((wish) => wish.extend);
    const closing = wishes.find((wish) => wish.closeEgressBytes !== undefined)?.closeEgressBytes;
    let term = PERIODS_WANTED;
    for (let attempt = 1; ; attempt++) {
      try {
        const live = ledger.contractBetween(ledger.accountId, host);
        const usable = live !== undefined && ledger.period() < live.contract.endPeriod;
        if (live === undefined || !usable) {
          if (live !== undefined)
            throw new MarketError('contract-ended', 'the contract with this host is about to end');
          if (wanted.size === 0) return;
          await this.#open(host, [...wanted], term);
        } else {
          const list = this.listOf(live.id, live.contract);
          // An earlier attempt may have become final after all.
          const present = new Set(list);
          const added = [...wanted].filter((root) => !present.has(root));
          const still = removed.filter((root) => present.has(root));
          if (added.length > 0 || still.length > 0 || extend)
            await this.#revise(host, live, { list, added, removed: still, extend }, term);
          else if (closing !== undefined && list.length === 0) await this.#close(host, live.id, closing);
        }
        return;
      } catch (error) {
        // What cannot be paid, or secured, for so long can be for less; a renewal goes on from there.
        if (SHORT.has(codeOf(error)) && term / 2 >= PERIODS_FEW) {
          term /= 2;
          attempt--;
          continue;
        }
        if (attempt >= ATTEMPTS || !PASSING.has(codeOf(error))) throw error;
        await new Promise((resolve) => setTimeout(resolve, attempt * ATTEMPT_AGAIN_MS).unref());
      }
    }
  }

  #offerOf(host: NodeId): StorageOffer {
    const offer = this.#options.ledger.offerOf(host);
    if (offer === undefined)
      throw new MarketError('not-offering', 'the host does not offer storage any more');
    return offer;
  }

  async #open(host: NodeId, added: FragmentList, term: number): Promise<void> {
    const { ledger, link } = this.#options;
    const offer = this.#offerOf(host);
    const { root, leafCount } = commitmentOf(added);
    const startPeriod = ledger.period() + 1;
    const periods = Math.max(offer.periodsMin, termOf(offer.periodsMax, term));
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
    await this.#submit(added, { kind: 'storage.open', ...terms, hostSignature });
  }

  async #revise(
    host: NodeId,
    { id: contractId, contract }: LiveContract,
    { list, added, removed, extend }: Change,
    term: number,
  ): Promise<void> {
    const { ledger, link } = this.#options;
    const next = revisedList(list, added, removed);
    const { root, leafCount } = commitmentOf(next);
    const period = ledger.period();
    const grows = leafCount > newestRoot(contract).leafCount;
    let { endPeriod } = contract;
    let addedCollateralGrains = grains(0);
    // A contract that shrinks stays as long as it was; one that grows, or is renewed, gets the full time again.
    if (grows || extend) {
      const offer = this.#offerOf(host);
      endPeriod = Math.max(endPeriod, period + termOf(offer.periodsMax, term));
      if (!grows && endPeriod === contract.endPeriod)
        throw new MarketError('renter-out-of-escrow', 'the balance does not cover a longer contract');
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
    await this.#submit(next, { kind: 'storage.revise', ...revision, hostSignature });
    const before = newestRoot(contract).root;
    if (before !== root) await this.#forget(before);
  }

  async #close(host: NodeId, contractId: ContractId, egressBytes: number): Promise<void> {
    const { ledger, link, wallet, accountSecret } = this.#options;
    const hostSignature = await link.signClose(host, contractId, egressBytes);
    const renterSignature = sign(closeDigest(ledger.chainId, contractId, egressBytes), accountSecret);
    await this.#submits.add(() =>
      wallet.submit({ kind: 'storage.close', contractId, egressBytes, renterSignature, hostSignature }),
    );
  }

  /** Keeps the list, then sends what commits to it. */
  async #submit(list: FragmentList, body: BodyOf<'storage.open'> | BodyOf<'storage.revise'>): Promise<void> {
    const { store, wallet } = this.#options;
    const { root } = body;
    this.#submitting.set(root, (this.#submitting.get(root) ?? 0) + 1);
    try {
      await store.write([{ key: `renting/${root}`, value: encodeList(list) }]);
      await this.#submits.add(() => wallet.submit(body));
    } finally {
      const others = (this.#submitting.get(root) ?? 1) - 1;
      if (others > 0) this.#submitting.set(root, others);
      else this.#submitting.delete(root);
    }
  }

  /** Drops a list that no contract needs: two hosts that were given the same fragments share one. */
  async #forget(root: Hash): Promise<void> {
    const renting = await this.#options.ledger.contractsOf('renter');
    if (renting.some(({ contract }) => newestRoot(contract).root === root)) return;
    if (!this.#submitting.has(root))
      await this.#options.store.write([{ key: `renting/${root}`, value: undefined }]);
  }

  /** Whether the list of a contract is in this data folder. */
  knows(contract: StorageContract): boolean {
    const { root, leafCount } = newestRoot(contract);
    return leafCount === 0 || this.#options.store.get(`renting/${root}`) !== undefined;
  }

  /** Takes up a list that a contract's root was found to commit to. */
  takeUp(list: FragmentList): Promise<void> {
    return this.#options.store.write([
      { key: `renting/${commitmentOf(list).root}`, value: encodeList(list) },
    ]);
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
