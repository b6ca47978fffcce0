import { equalBytes } from '../../ledger/bytes.ts';
import { sign } from '../../ledger/crypto/secp256k1.ts';
import { type AccountId, type ContractId, type Hash, hashId, idBytes } from '../../ledger/ids.ts';
import {
  FRAGMENT_BYTES,
  fragmentLevels,
  LEAF_BYTES,
  LEAVES_PER_FRAGMENT,
  merklePath,
  pathInLevels,
} from '../../ledger/merkle.ts';
import {
  egressPrice,
  newestRoot,
  periodPrice,
  reservedStorageGrains,
} from '../../ledger/state/contract-terms.ts';
import type { StorageContract } from '../../ledger/state/entities.ts';
import {
  closeDigest,
  type LeafProof,
  revisionDigest,
  type StorageOffer,
  type StorageRevision,
  type StorageTerms,
  termsDigest,
} from '../../ledger/transaction.ts';
import { MarketError } from '../errors.ts';
import { ALL_FRAMES, type Frames, isFrames, sealFrames } from '../files/frames.ts';
import { commitmentOf, decodeList, encodeList, type FragmentList, revisedList } from '../fragment-list.ts';
import type { KeyValues, MarketLedger, SealedNote } from '../interfaces.ts';
import { Tally } from '../tally.ts';
import { Notes } from './notes.ts';
import { Pending } from './pending.ts';
import { Proposals, type Validity } from './proposals.ts';
import { damagedRoots, isFragment, type ScrubOutcome, scrub } from './scrub.ts';
import type { FragmentShelf } from './shelf.ts';
import { Sweep } from './sweep.ts';

/**
 * What a host agrees to. Fragments first, contract after: it keeps what a renter sends for a while, signs terms only over
 * fragments that it holds durably, and so never owes a proof that it cannot give.
 */

/** Bytes that a renter may have at this host without a contract over them. */
export const PENDING_BYTES_MAX = 256 * 1_048_576;
/**
 * Bytes served that a renter did not count and is forgiven with each period's receipt: answers that never arrived. Without
 * it they would add up until the escrow seems to be used up.
 */
const EGRESS_FORGIVEN_BYTES = 16 * FRAGMENT_BYTES;
const CHALLENGE_LEAVES_MAX = 16;
/** Periods that a renter may be ahead of this host, in what both know of the ledger. */
const PERIODS_AHEAD = 1;
/** Roots of one request: a revision over more comes in several. */
export const ROOTS_MAX = 16_384;

/** Collateral that a revision may add: up to the percentage of the storage to come, less what is locked already. */
export function addedCollateralMost(
  contract: StorageContract,
  storageGrains: bigint,
  collateralPercent: number,
): bigint {
  const most = (storageGrains * BigInt(collateralPercent)) / 100n - contract.collateralGrains;
  return most > 0n ? most : 0n;
}

export interface HostOptions {
  readonly ledger: MarketLedger;
  readonly shelf: FragmentShelf;
  readonly store: KeyValues;
  readonly nodeSecret: Uint8Array;
  now(): number;
}

export class Host {
  readonly #ledger: MarketLedger;
  readonly #shelf: FragmentShelf;
  readonly #store: KeyValues;
  readonly #nodeSecret: Uint8Array;
  readonly #now: () => number;
  readonly #pending: Pending;
  readonly #proposals: Proposals;
  readonly #sweep: Sweep;
  readonly #notes: Notes;
  /** Members of the newest list of a contract, loaded when first asked. */
  readonly #members = new Map<ContractId, ReadonlySet<Hash>>();
  /** Bytes served under a contract, as far as its renter is to pay for them. */
  readonly #egress: Tally<ContractId>;

  constructor(options: HostOptions) {
    this.#ledger = options.ledger;
    this.#shelf = options.shelf;
    this.#store = options.store;
    this.#nodeSecret = options.nodeSecret;
    this.#now = options.now;
    const { ledger, shelf, store, now } = options;
    this.#pending = new Pending(shelf, now);
    this.#proposals = new Proposals(store, ledger);
    this.#egress = new Tally(store, 'egress/');
    this.#notes = new Notes(store);
    this.#sweep = new Sweep({
      ...{ ledger, shelf, store, now },
      pending: this.#pending,
      proposals: this.#proposals,
      notes: this.#notes,
      adoptAll: () => this.#adoptAll(),
    });
  }

  /** Takes up what was agreed before a restart. */
  async open(): Promise<void> {
    await this.#egress.open();
    await this.#adoptAll();
  }

  async #adoptAll(): Promise<void> {
    for (const { id, contract } of await this.#ledger.contractsOf('host')) await this.adopt(id, contract);
  }

  #offer(): StorageOffer {
    const offer = this.#ledger.ownOffer();
    if (offer === undefined) throw new MarketError('not-offering', 'this node does not offer storage');
    return offer;
  }

  /** Keeps a fragment for a renter; on disk when it resolves. Throws MarketError with the reason of a refusal. */
  async storeFragment(renter: AccountId, root: Hash, bytes: Uint8Array): Promise<void> {
    const offer = this.#offer();
    if (bytes.length !== FRAGMENT_BYTES)
      throw new MarketError(
        'wrong-size',
        `expected a fragment of ${FRAGMENT_BYTES} bytes, got ${bytes.length}`,
      );
    if (this.#shelf.roomBytes < FRAGMENT_BYTES) throw new MarketError('no-room', 'this host is full');
    const pending = this.#pending.bytes(renter);
    if (pending + FRAGMENT_BYTES > PENDING_BYTES_MAX) {
      throw new MarketError(
        'too-many-bytes-in-flight',
        `expected a contract over the ${pending} bytes that were sent before more are sent`,
      );
    }
    const price = periodPrice(
      offer.priceGrainsPerGiBPeriod,
      ((pending + FRAGMENT_BYTES) / FRAGMENT_BYTES) * LEAVES_PER_FRAGMENT,
    );
    if (this.#ledger.balanceGrains(renter) < price * BigInt(offer.periodsMin)) {
      throw new MarketError('renter-out-of-escrow', 'the renter cannot pay for what it sends');
    }
    this.#pending.count(renter, FRAGMENT_BYTES);
    try {
      if (!isFragment(bytes, root))
        throw new MarketError('wrong-root', 'the bytes are not those of the fragment');
      await this.#sweep.settled(root);
      const known = this.#shelf.has(root) && this.#pending.sender(root) === undefined;
      await this.#shelf.put(root, bytes);
      this.#pending.came(root, renter, known);
    } finally {
      this.#pending.count(renter, -FRAGMENT_BYTES);
    }
  }

  /**
   * A fragment that a contract of the renter covers, or that it sent just now, or some of its frames, see `sealFrames`;
   * counted as egress. Throws MarketError.
   */
  async readFragment(renter: AccountId, root: Hash, frames: Frames = ALL_FRAMES): Promise<Uint8Array> {
    if (!isFrames(frames)) throw new MarketError('bad-range', 'expected frames of a fragment');
    const live = this.#ledger.contractBetween(renter, this.#ledger.nodeId);
    const covered = live !== undefined && this.#membersOf(live.id, live.contract).has(root);
    if (!covered && this.#pending.sender(root) !== renter)
      throw new MarketError('contract-unknown', 'no contract of this renter covers the fragment');
    if (live !== undefined) this.#checkEgress(live.id, live.contract);
    const fragment = await this.#shelf.get(root);
    const suspect = this.#store.get(`damaged/${root}`) !== undefined;
    if (fragment === undefined || (suspect && !isFragment(fragment, root)))
      throw new MarketError('not-found', 'this host lost the fragment');
    const bytes = frames.count === ALL_FRAMES.count ? fragment : sealFrames(fragment, frames);
    if (live !== undefined) await this.#egress.set(live.id, this.#egress.get(live.id) + bytes.length);
    return bytes;
  }

  #checkEgress(id: ContractId, contract: StorageContract): void {
    const unpaid = Math.max(0, this.#egress.get(id) + FRAGMENT_BYTES - contract.egressBytes);
    const free = contract.escrowGrains - reservedStorageGrains(contract);
    if (egressPrice(contract.egressGrainsPerGiB, unpaid) > free) {
      throw new MarketError(
        'renter-out-of-escrow',
        'the escrow does not cover more downloads; a revision can add to it',
      );
    }
  }

  /** Bytes served under a contract since it opened, as far as its renter is to pay for them. */
  egressBytes(id: ContractId): number {
    return this.#egress.get(id);
  }

  /** The receipt of one more period was taken: a little that its renter did not count is forgiven. */
  async agreeEgress(id: ContractId, receiptBytes: number): Promise<void> {
    const served = this.#egress.get(id);
    if (served > receiptBytes)
      await this.#egress.set(id, Math.max(receiptBytes, served - EGRESS_FORGIVEN_BYTES));
  }

  #checkPrices(
    offer: StorageOffer,
    terms: { priceGrainsPerGiBPeriod: bigint; egressGrainsPerGiB: bigint },
  ): void {
    if (
      terms.priceGrainsPerGiBPeriod < offer.priceGrainsPerGiBPeriod ||
      terms.egressGrainsPerGiB < offer.egressGrainsPerGiB
    ) {
      throw new MarketError(
        'price-too-low',
        `expected at least ${offer.priceGrainsPerGiBPeriod} grains a GiB and period and ${offer.egressGrainsPerGiB} a GiB of egress`,
      );
    }
  }

  #checkHeld(list: FragmentList): void {
    const missing = this.#sweep.holds(list);
    if (missing > 0) throw new MarketError('bad-terms', `${missing} of the fragments are not at this host`);
  }

  #checkCommitment(list: FragmentList, terms: { root: Hash; leafCount: number }): void {
    const { root, leafCount } = commitmentOf(list);
    if (root !== terms.root || leafCount !== terms.leafCount)
      throw new MarketError('bad-terms', 'root and size are not those of the fragments');
  }

  /** Signs the terms of a new contract over exactly `added`. Throws MarketError. */
  async signTerms(renter: AccountId, terms: StorageTerms, added: FragmentList): Promise<Uint8Array> {
    const offer = this.#offer();
    this.#checkPrices(offer, terms);
    const period = this.#ledger.period();
    const periods = terms.endPeriod - terms.startPeriod + 1;
    if (terms.hostNodeId !== this.#ledger.nodeId)
      throw new MarketError('bad-terms', 'the terms are for another host');
    if (terms.startPeriod < period || terms.startPeriod > period + PERIODS_AHEAD + 1)
      throw new MarketError('bad-terms', `expected a start soon after period ${period}`);
    if (periods < offer.periodsMin || periods > offer.periodsMax) {
      throw new MarketError(
        'bad-terms',
        `expected ${offer.periodsMin} to ${offer.periodsMax} periods, got ${periods}`,
      );
    }
    const storage = periodPrice(terms.priceGrainsPerGiBPeriod, terms.leafCount) * BigInt(periods);
    if (terms.escrowGrains < storage)
      throw new MarketError('bad-terms', `expected an escrow of at least ${storage} grains`);
    this.#checkCollateral(terms.collateralGrains, storage, offer);
    this.#checkCommitment(added, terms);
    this.#checkHeld(added);
    await this.#proposals.keep(renter, terms.root, added, { kind: 'terms', startPeriod: terms.startPeriod });
    return sign(termsDigest(this.#ledger.chainId, renter, terms), this.#nodeSecret);
  }

  #checkCollateral(collateral: bigint, storage: bigint, offer: StorageOffer): void {
    const most = (storage * BigInt(offer.collateralPercent)) / 100n;
    if (collateral > most)
      throw new MarketError(
        'bad-terms',
        `expected a collateral of at most ${most} grains, got ${collateral}`,
      );
    if (collateral > this.#ledger.balanceGrains(this.#ledger.accountId))
      throw new MarketError('collateral-short', 'this host has not that much collateral to give');
  }

  /** Signs a revision of a live contract of the renter. Throws MarketError. */
  async signRevision(
    renter: AccountId,
    revision: StorageRevision,
    added: FragmentList,
    removed: FragmentList,
  ): Promise<Uint8Array> {
    const contract = this.#ledger.contract(revision.contractId);
    if (
      contract === undefined ||
      contract.renterId !== renter ||
      contract.hostAccountId !== this.#ledger.accountId
    ) {
      throw new MarketError('contract-unknown', 'this renter has no such live contract here');
    }
    const period = this.#ledger.period();
    if (period >= contract.endPeriod)
      throw new MarketError('contract-ended', 'the contract is in its last period or past it');
    if (revision.revision !== contract.revision + 1)
      throw new MarketError(
        'bad-terms',
        `expected revision ${contract.revision + 1}, got ${revision.revision}`,
      );
    const grows =
      revision.leafCount > newestRoot(contract).leafCount || revision.endPeriod > contract.endPeriod;
    if (grows) {
      const offer = this.#offer();
      this.#checkPrices(offer, contract);
      // The renter may have seen the period turn before this host did.
      if (revision.endPeriod - period > offer.periodsMax + PERIODS_AHEAD)
        throw new MarketError('bad-terms', `expected an end within ${offer.periodsMax} periods`);
      const storage =
        periodPrice(contract.priceGrainsPerGiBPeriod, revision.leafCount) *
        BigInt(revision.endPeriod - period);
      const most = addedCollateralMost(contract, storage, offer.collateralPercent);
      if (revision.addedCollateralGrains > most)
        throw new MarketError('bad-terms', `expected at most ${most} grains of added collateral`);
      if (revision.addedCollateralGrains > this.#ledger.balanceGrains(this.#ledger.accountId))
        throw new MarketError('collateral-short', 'this host has not that much collateral to give');
    } else if (revision.addedCollateralGrains > 0n)
      throw new MarketError('bad-terms', 'nothing grows, so no collateral is added');
    const list = revisedList(this.#list(revision.contractId, contract.revision), added, removed);
    this.#checkCommitment(list, revision);
    this.#checkHeld(added);
    const validity: Validity = {
      kind: 'revision',
      contractId: revision.contractId,
      revision: revision.revision,
    };
    await this.#proposals.keep(revision.contractId, revision.root, list, validity);
    return sign(revisionDigest(this.#ledger.chainId, revision), this.#nodeSecret);
  }

  /** Signs that a contract ends now, which the renter could have by taking everything out. Throws MarketError. */
  async signClose(renter: AccountId, contractId: ContractId, egressBytes: number): Promise<Uint8Array> {
    const contract = this.#ledger.contract(contractId);
    if (contract?.renterId !== renter || contract.hostAccountId !== this.#ledger.accountId)
      throw new MarketError('contract-unknown', 'this renter has no such live contract here');
    if (this.#ledger.period() <= contract.startPeriod)
      throw new MarketError('bad-terms', 'a contract can be closed after its first period');
    if (egressBytes < contract.egressBytes)
      throw new MarketError(
        'bad-terms',
        `expected at least the ${contract.egressBytes} bytes of the last receipt`,
      );
    const served = this.#egress.get(contractId);
    if (egressBytes < served - EGRESS_FORGIVEN_BYTES)
      throw new MarketError('bad-terms', `expected about the ${served} bytes that were got`);
    return sign(closeDigest(this.#ledger.chainId, contractId, egressBytes), this.#nodeSecret);
  }

  #list(id: ContractId, revision: number): FragmentList {
    const bytes = this.#store.get(`list/${id}/${revision}`);
    return bytes === undefined ? [] : decodeList(bytes);
  }

  #membersOf(id: ContractId, contract: StorageContract): ReadonlySet<Hash> {
    const known = this.#members.get(id);
    if (known !== undefined) return known;
    // What a revision removed may still be read until it is in force.
    const members = new Set(contract.roots.flatMap(({ revision }) => this.#list(id, revision)));
    this.#members.set(id, members);
    return members;
  }

  /** What the ledger says of a contract is now so: proposed lists become lists, those no period can ask for go. */
  async adopt(id: ContractId, contract: StorageContract): Promise<void> {
    const changes: { readonly key: string; readonly value: Uint8Array | undefined }[] = [];
    for (const { revision, root, leafCount } of contract.roots) {
      if (leafCount === 0 || this.#store.get(`list/${id}/${revision}`) !== undefined) continue;
      const owner = revision === 0 ? contract.renterId : id;
      const proposed = this.#proposals.list(owner, root);
      if (proposed === undefined) continue;
      changes.push({ key: `list/${id}/${revision}`, value: encodeList(proposed) });
      for (const fragment of proposed) this.#pending.drop(fragment);
    }
    const kept = new Set(contract.roots.map(({ revision }) => revision));
    for (const { key } of await this.#store.range(`list/${id}/`)) {
      const revision = Number(key.split('/')[2]);
      // Newer ones are of a time that a ledger which is fetched again has not reached.
      if (!kept.has(revision) && revision < contract.revision) changes.push({ key, value: undefined });
    }
    this.#members.delete(id);
    await this.#store.write(changes);
  }

  /** A contract is over: nothing is read under it any more; its fragments follow when a sweep finds it long over. */
  async forget(id: ContractId): Promise<void> {
    this.#members.delete(id);
    await this.#egress.set(id, undefined);
    await this.#store.write([{ key: `receipt/${id}`, value: undefined }]);
  }

  /** The leaves of a contract and their paths to the root of that revision. Throws MarketError. */
  async prove(id: ContractId, revision: number, leaves: readonly number[]): Promise<readonly LeafProof[]> {
    if (leaves.length > CHALLENGE_LEAVES_MAX)
      throw new MarketError('bad-range', `expected at most ${CHALLENGE_LEAVES_MAX} leaves`);
    const stored = this.#store.get(`list/${id}/${revision}`);
    // A host that comes back learns of its newest agreements as it catches up with the ledger.
    if (stored === undefined)
      throw new MarketError('not-synced', `this host does not know revision ${revision} of the contract yet`);
    const list = decodeList(stored);
    const roots = list.map(idBytes);
    const proofs: LeafProof[] = [];
    for (const leaf of leaves) {
      const at = Math.floor(leaf / LEAVES_PER_FRAGMENT);
      const root = list[at];
      if (root === undefined || leaf < 0)
        throw new MarketError('bad-range', `leaf ${leaf} is not in the contract`);
      const bytes = await this.#shelf.get(root);
      const levels = fragmentLevels(bytes ?? new Uint8Array(FRAGMENT_BYTES));
      if (bytes === undefined || !equalBytes(levels.at(-1)?.[0] as Uint8Array, idBytes(root)))
        throw new MarketError('not-found', 'this host lost a fragment');
      const inside = leaf % LEAVES_PER_FRAGMENT;
      const path = [...pathInLevels(levels, inside), ...merklePath(roots, at)];
      proofs.push({
        leaf: Uint8Array.from(bytes.subarray(inside * LEAF_BYTES, (inside + 1) * LEAF_BYTES)),
        path: path.map((hash) => hashId<Hash>(hash)),
      });
    }
    return proofs;
  }

  /** Answers a renter's challenge. Throws MarketError. */
  answerChallenge(
    renter: AccountId,
    id: ContractId,
    revision: number,
    leaves: readonly number[],
  ): Promise<readonly LeafProof[]> {
    const contract = this.#ledger.contract(id);
    if (contract === undefined || contract.renterId !== renter)
      throw new MarketError('contract-unknown', 'this renter has no such live contract here');
    return this.prove(id, revision, leaves);
  }

  /** Keeps a note for a renter with a live contract. Throws MarketError. */
  async keepNote(renter: AccountId, note: SealedNote): Promise<void> {
    if (this.#ledger.contractBetween(renter, this.#ledger.nodeId) === undefined)
      throw new MarketError('contract-unknown', 'this renter has no live contract here');
    await this.#notes.keep(renter, note);
  }

  /** Throws MarketError `not-found`. */
  noteOf(renter: AccountId): SealedNote {
    const note = this.#notes.get(renter);
    if (note === undefined) throw new MarketError('not-found', 'this renter left no note here');
    return note;
  }

  /** Fragments of the newest revision of a renter's contract, from a place on. Throws MarketError. */
  listFragments(renter: AccountId, id: ContractId, from: number): FragmentList {
    const contract = this.#ledger.contract(id);
    if (contract === undefined || contract.renterId !== renter)
      throw new MarketError('contract-unknown', 'this renter has no such live contract here');
    return this.#list(id, contract.revision).slice(from, from + ROOTS_MAX);
  }

  /** Reads the part of the fragments again whose turn it is. */
  scrub(signal: AbortSignal): Promise<ScrubOutcome> {
    return scrub({ shelf: this.#shelf, store: this.#store, now: this.#now }, this.#ledger.period(), signal);
  }

  /** How many fragments are not as they were stored, as far as scrubs know. */
  async damagedFragments(): Promise<number> {
    return (await damagedRoots(this.#store)).size;
  }

  /** Deletes what nothing speaks of; gives the number of fragments. */
  sweep(): Promise<number> {
    return this.#sweep.run();
  }
}
