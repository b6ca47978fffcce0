import type { AccountId, Hash } from '../../ledger/ids.ts';
import { FRAGMENT_BYTES } from '../../ledger/merkle.ts';
import type { KeyValues } from '../interfaces.ts';
import type { FragmentShelf } from './shelf.ts';

/** What no contract covers is kept this long after its renter last sent something, */
const PENDING_MS = 15 * 60_000;
/** and this long in all: an upload over a slow line takes hours, but puts under contract what it has sent meanwhile. */
const PENDING_MOST_MS = 24 * 3_600_000;

/** Fragments that came and that no contract covers yet. */
export class Pending {
  readonly #shelf: FragmentShelf;
  readonly #store: KeyValues;
  readonly #now: () => number;
  readonly #senders = new Map<Hash, AccountId>();
  readonly #bytes = new Map<AccountId, number>();
  readonly #lastMs = new Map<AccountId, number>();
  /** Fragments that were here already when somebody sent them again, and when. */
  readonly #againMs = new Map<Hash, number>();

  constructor(shelf: FragmentShelf, store: KeyValues, now: () => number) {
    this.#shelf = shelf;
    this.#store = store;
    this.#now = now;
  }

  /** Takes up what had come before a restart; a crash may have noted what it did not store. */
  async open(): Promise<void> {
    const lost: { key: string; value: undefined }[] = [];
    for (const { key, value } of await this.#store.range('pending/')) {
      const root = key.slice('pending/'.length) as Hash;
      if (this.#shelf.has(root)) this.#add(root, new TextDecoder().decode(value) as AccountId);
      else lost.push({ key, value: undefined });
    }
    await this.#store.write(lost);
  }

  #add(root: Hash, renter: AccountId): void {
    this.#senders.set(root, renter);
    this.count(renter, FRAGMENT_BYTES);
    this.#lastMs.set(renter, this.#now());
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

  /** Notes what is on the shelf now, durably. `known`: it was before. */
  async came(root: Hash, renter: AccountId, known: boolean): Promise<void> {
    this.#lastMs.set(renter, this.#now());
    if (known) this.#againMs.set(root, this.#now());
    if (known || this.#senders.has(root)) return;
    this.#add(root, renter);
    await this.#store.write([{ key: `pending/${root}`, value: new TextEncoder().encode(renter) }]);
  }

  /** Forgets a fragment; gives what is to be written for that. */
  drop(root: Hash): readonly { readonly key: string; readonly value: undefined }[] {
    const renter = this.#senders.get(root);
    if (renter === undefined) return [];
    this.#senders.delete(root);
    this.count(renter, -FRAGMENT_BYTES);
    return [{ key: `pending/${root}`, value: undefined }];
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
