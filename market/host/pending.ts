import type { AccountId, Hash } from '../../ledger/ids.ts';
import { FRAGMENT_BYTES } from '../../ledger/merkle.ts';
import type { FragmentShelf } from './shelf.ts';

/** What no contract covers is kept this long after its renter last sent something, */
const PENDING_MS = 15 * 60_000;
/** and this long in all: an upload over a slow line takes hours, but puts under contract what it has sent meanwhile. */
const PENDING_MOST_MS = 24 * 3_600_000;

/**
 * Fragments that came and that no contract covers yet. It is not on disk: after a restart they are kept for a while as
 * anybody's.
 */
export class Pending {
  readonly #shelf: FragmentShelf;
  readonly #now: () => number;
  readonly #senders = new Map<Hash, AccountId>();
  readonly #bytes = new Map<AccountId, number>();
  readonly #lastMs = new Map<AccountId, number>();
  /** Fragments that were here already when somebody sent them again, and when. */
  readonly #againMs = new Map<Hash, number>();

  constructor(shelf: FragmentShelf, now: () => number) {
    this.#shelf = shelf;
    this.#now = now;
  }

  sender(root: Hash): AccountId | undefined {
    return this.#senders.get(root);
  }

  /** Of a renter, with what is just being received. */
  bytes(renter: AccountId): number {
    return this.#bytes.get(renter) ?? 0;
  }

  count(renter: AccountId, bytes: number): void {
    const sum = this.bytes(renter) + bytes;
    if (sum === 0) this.#bytes.delete(renter);
    else this.#bytes.set(renter, sum);
  }

  /** Notes what is on the shelf now. `known`: it was before. */
  came(root: Hash, renter: AccountId, known: boolean): void {
    this.#lastMs.set(renter, this.#now());
    if (known) this.#againMs.set(root, this.#now());
    if (known || this.#senders.has(root)) return;
    this.#senders.set(root, renter);
    this.count(renter, FRAGMENT_BYTES);
  }

  drop(root: Hash): void {
    const renter = this.#senders.get(root);
    if (renter === undefined) return;
    this.#senders.delete(root);
    this.count(renter, -FRAGMENT_BYTES);
  }

  /** Whether a contract over the fragment may still come, if none covers it. */
  isFresh(root: Hash): boolean {
    const nowMs = this.#now();
    const renter = this.#senders.get(root);
    const lastMs = renter === undefined ? undefined : this.#lastMs.get(renter);
    const againMs = this.#againMs.get(root);
    if (againMs !== undefined && nowMs - againMs < PENDING_MS) return true;
    const ageMs = nowMs - (this.#shelf.storedMs(root) ?? 0);
    if (lastMs === undefined) return ageMs < PENDING_MS;
    return nowMs - lastMs < PENDING_MS && ageMs < PENDING_MOST_MS;
  }

  /** Forgets who was here long ago. */
  tidy(): void {
    const before = this.#now() - PENDING_MS;
    for (const [root, ms] of this.#againMs) if (ms < before) this.#againMs.delete(root);
    for (const [renter, ms] of this.#lastMs) if (ms < before) this.#lastMs.delete(renter);
  }
}
