import { sign } from '../../ledger/crypto/secp256k1.ts';
import type { AccountId, ContractId, Hash } from '../../ledger/ids.ts';
import { FRAGMENT_BYTES, LEAVES_PER_FRAGMENT } from '../../ledger/merkle.ts';
import { periodPrice } from '../../ledger/state/contract-terms.ts';
import type { StorageContract } from '../../ledger/state/entities.ts';
import {
  closeDigest,
  type LeafProof,
  revisionDigest,
  type StorageOffer,
  type StorageRevision,
  type StorageTerms,
  termsDigest,
} from '../../ledger/storage-formats.ts';
import { MarketError } from '../errors.ts';
import { ALL_FRAMES, type Frames, isFrames, sealFrames } from '../files/frames.ts';
import { type FragmentList, revisedList } from '../fragment-list.ts';
import type { KeyValues, MarketLedger, SealedNote } from '../interfaces.ts';
import { checkClose, checkCommitment, checkRevision, checkTerms } from './agreement.ts';
import { ContractLists } from './contract-lists.ts';
import { Notes } from './notes.ts';
import { Pending } from './pending.ts';
import { Proposals } from './proposals.ts';
import { proveLeaves } from './prove-leaves.ts';
import { damagedRoots, isFragment, type ScrubOutcome, scrub } from './scrub.ts';
import { Served } from './served.ts';
import type { FragmentShelf } from './shelf.ts';
import { Sweep } from './sweep.ts';

/**
 * What a host agrees to. Fragments first, contract after: it keeps what a renter sends for a while, signs terms only over
 * fragments that it holds durably, and so never owes a proof that it cannot give.
 */

/** Bytes that a renter may have at this host without a contract over them. */
export const PENDING_BYTES_MAX = 256 * 1_048_576;
const CHALLENGE_LEAVES_MAX = 16;
/** Roots of one request: a revision over more comes in several. */
export const ROOTS_MAX = 16_384;

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
  readonly #lists: ContractLists;
  readonly #served: Served;
  readonly #notes: Notes;
  readonly #sweep: Sweep;

  constructor(options: HostOptions) {
    this.#ledger = options.ledger;
    this.#shelf = options.shelf;
    this.#store = options.store;
    this.#nodeSecret = options.nodeSecret;
    this.#now = options.now;
    const { ledger, shelf, store, now } = options;
    this.#pending = new Pending(shelf, now);
    this.#proposals = new Proposals(store, ledger);
    this.#lists = new ContractLists(store, this.#proposals, this.#pending);
    this.#served = new Served(store);
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
    await this.#served.open();
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
    const covered = live !== undefined && this.#lists.covers(live.id, live.contract, root);
    if (!covered && this.#pending.sender(root) !== renter)
      throw new MarketError('contract-unknown', 'no contract of this renter covers the fragment');
    if (live !== undefined) this.#served.demandPaid(live.id, live.contract);
    const fragment = await this.#shelf.get(root);
    const suspect = this.#store.get(`damaged/${root}`) !== undefined;
    if (fragment === undefined || (suspect && !isFragment(fragment, root)))
      throw new MarketError('not-found', 'this host lost the fragment');
    const bytes = frames.count === ALL_FRAMES.count ? fragment : sealFrames(fragment, frames);
    if (live !== undefined) await this.#served.add(live.id, bytes.length);
    return bytes;
  }

  /** Bytes served under a contract since it opened, as far as its renter is to pay for them. */
  egressBytes(id: ContractId): number {
    return this.#served.bytes(id);
  }

  /** The receipt of one more period was taken: a little that its renter did not count is forgiven. */
  agreeEgress(id: ContractId, receiptBytes: number): Promise<void> {
    return this.#served.agree(id, receiptBytes);
  }

  /** Signs the terms of a new contract over exactly `added`. Throws MarketError. */
  async signTerms(renter: AccountId, terms: StorageTerms, added: FragmentList): Promise<Uint8Array> {
    checkTerms(terms, this.#offer(), this.#ledger);
    checkCommitment(added, terms);
    this.#checkHeld(added);
    await this.#proposals.keep(renter, terms.root, added, { kind: 'terms', startPeriod: terms.startPeriod });
    return sign(termsDigest(this.#ledger.chainId, renter, terms), this.#nodeSecret);
  }

  /** Signs a revision of a live contract of the renter. Throws MarketError. */
  async signRevision(
    renter: AccountId,
    revision: StorageRevision,
    added: FragmentList,
    removed: FragmentList,
  ): Promise<Uint8Array> {
    const { contractId } = revision;
    const contract = this.#contractOf(renter, contractId);
    checkRevision(contract, revision, () => this.#offer(), this.#ledger);
    const before = this.#lists.list(contractId, contract.revision) ?? [];
    const list = revisedList(before, added, removed);
    checkCommitment(list, revision);
    this.#checkHeld(added);
    await this.#proposals.keep(contractId, revision.root, list, {
      kind: 'revision',
      contractId,
      revision: revision.revision,
    });
    return sign(revisionDigest(this.#ledger.chainId, revision), this.#nodeSecret);
  }

  /** Signs that a contract ends now, which the renter could have by taking everything out. Throws MarketError. */
  async signClose(renter: AccountId, contractId: ContractId, egressBytes: number): Promise<Uint8Array> {
    const contract = this.#contractOf(renter, contractId);
    checkClose(contract, egressBytes, this.#served.bytes(contractId), this.#ledger);
    return sign(closeDigest(this.#ledger.chainId, contractId, egressBytes), this.#nodeSecret);
  }

  /** The live contract of a renter with this host. Throws MarketError `contract-unknown`. */
  #contractOf(renter: AccountId, id: ContractId): StorageContract {
    const contract = this.#ledger.contract(id);
    if (contract?.renterId !== renter || contract.hostAccountId !== this.#ledger.accountId)
      throw new MarketError('contract-unknown', 'this renter has no such live contract here');
    return contract;
  }

  #checkHeld(list: FragmentList): void {
    const missing = this.#sweep.holds(list);
    if (missing > 0) throw new MarketError('bad-terms', `${missing} of the fragments are not at this host`);
  }

  /** The ledger says this of a contract now. */
  adopt(id: ContractId, contract: StorageContract): Promise<void> {
    return this.#lists.adopt(id, contract);
  }

  /** A contract is over: nothing is read under it any more; its fragments follow when a sweep finds it long over. */
  async forget(id: ContractId): Promise<void> {
    this.#lists.close(id);
    await this.#served.forget(id);
    await this.#store.write([{ key: `receipt/${id}`, value: undefined }]);
  }

  /** The leaves of a contract and their paths to the root of that revision. Throws MarketError. */
  async prove(id: ContractId, revision: number, leaves: readonly number[]): Promise<readonly LeafProof[]> {
    if (leaves.length > CHALLENGE_LEAVES_MAX)
      throw new MarketError('bad-range', `expected at most ${CHALLENGE_LEAVES_MAX} leaves`);
    const list = this.#lists.list(id, revision);
    // A host that comes back learns of its newest agreements as it catches up with the ledger.
    if (list === undefined)
      throw new MarketError('not-synced', `this host does not know revision ${revision} of the contract yet`);
    return proveLeaves(list, leaves, this.#shelf);
  }

  /** Answers a renter's challenge. Throws MarketError. */
  answerChallenge(
    renter: AccountId,
    id: ContractId,
    revision: number,
    leaves: readonly number[],
  ): Promise<readonly LeafProof[]> {
    this.#contractOf(renter, id);
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
    const { revision } = this.#contractOf(renter, id);
    return (this.#lists.list(id, revision) ?? []).slice(from, from + ROOTS_MAX);
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
