import type { ContractId, Hash } from '../../ledger/ids.ts';
import { decodeList } from '../fragment-list.ts';
import { jsonValue, type KeyValues, type MarketLedger, readJson } from '../interfaces.ts';
import type { Notes } from './notes.ts';
import type { Pending } from './pending.ts';
import type { Proposals } from './proposals.ts';
import type { FragmentShelf } from './shelf.ts';

/** Fragments of a contract that is over are kept this long: a renter who comes back late may take up a new one over them. */
const GRACE_PERIODS = 6;
const PERIOD_SEEN = 'period-seen';

export interface SweepOptions {
  readonly ledger: MarketLedger;
  readonly shelf: FragmentShelf;
  readonly store: KeyValues;
  readonly pending: Pending;
  readonly proposals: Proposals;
  readonly notes: Notes;
  now(): number;
  /** Takes up what came of proposals that the ledger would not take any more. */
  adoptAll(): Promise<void>;
}

/**
 * Deletes fragments that nothing speaks of: no contract that is live or was a while ago, nothing that was signed and may
 * come to the ledger, no fresh arrival. What is asked for meanwhile is one or the other: signed for and kept, or refused.
 */
export class Sweep {
  readonly #options: SweepOptions;
  /** What was signed for since a running sweep began. */
  #signed: Set<Hash> | undefined;
  readonly #leaving = new Set<Hash>();
  #removal: Promise<void> = Promise.resolve();
  #running: Promise<number> | undefined;

  constructor(options: SweepOptions) {
    this.#options = options;
  }

  /** Whether the fragments are all here and will be; those to be signed for, in the same turn of the event loop. */
  holds(roots: readonly Hash[]): number {
    const missing = roots.filter((root) => !this.#options.shelf.has(root) || this.#leaving.has(root)).length;
    if (missing === 0) for (const root of roots) this.#signed?.add(root);
    return missing;
  }

  /** Waits until a fragment that is being deleted is gone, so that it can come again. */
  async settled(root: Hash): Promise<void> {
    while (this.#leaving.has(root)) await this.#removal;
  }

  /** Gives the number of fragments deleted. One sweep at a time: who asks during one gets its result. */
  run(): Promise<number> {
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async #run(): Promise<number> {
    const { ledger, shelf, store, pending, proposals, notes } = this.#options;
    // A ledger that is fetched again does not know yet what is live.
    const period = ledger.period();
    if (period < (readJson<number>(store, PERIOD_SEEN) ?? 0)) return 0;
    await store.write([{ key: PERIOD_SEEN, value: jsonValue(period) }]);
    this.#signed = new Set();
    const stale: { key: string; value: undefined }[] = [];
    const gone: Hash[] = [];
    try {
      const dead = await proposals.dead();
      await this.#options.adoptAll();
      await proposals.drop(dead);
      const spoken = new Set<Hash>();
      const over = await this.#over();
      for (const { key, value } of await store.range('list/')) {
        const id = key.split('/')[1] as ContractId;
        if (over.get(id) === 'long ago')
          stale.push({ key, value: undefined }, { key: `over/${id}`, value: undefined });
        else for (const root of decodeList(value)) spoken.add(root);
      }
      for (const renter of await notes.renters())
        if (over.get(`note-${renter}`) === 'long ago')
          stale.push(
            { key: `note/${renter}`, value: undefined },
            { key: `over/note-${renter}`, value: undefined },
          );
      for await (const root of proposals.roots()) spoken.add(root);
      for (const root of shelf.roots())
        if (!spoken.has(root) && !this.#signed.has(root) && !pending.isFresh(root)) gone.push(root);
      for (const root of gone) {
        this.#leaving.add(root);
        pending.drop(root);
      }
    } finally {
      this.#signed = undefined;
    }
    pending.tidy();
    this.#removal = this.#remove(gone);
    await this.#removal;
    await store.write(stale);
    return gone.length;
  }

  async #remove(gone: readonly Hash[]): Promise<void> {
    try {
      await this.#options.shelf.remove(gone);
    } finally {
      for (const root of gone) this.#leaving.delete(root);
    }
  }

  /**
   * Contracts, and renters with a note, of which nothing is live any more, and since when: the grace counts from the first
   * sweep that sees it.
   */
  async #over(): Promise<ReadonlyMap<string, 'lately' | 'long ago'>> {
    const { ledger, store, notes, now } = this.#options;
    const hosting = await ledger.contractsOf('host');
    const live = new Set<string>(hosting.flatMap(({ id, contract }) => [id, `note-${contract.renterId}`]));
    const graceMs = GRACE_PERIODS * ledger.parameters.periodMs;
    const over = new Map<string, 'lately' | 'long ago'>();
    const lists = (await store.range('list/')).map(({ key }) => key.split('/')[1] as string);
    for (const id of [...lists, ...(await notes.renters()).map((renter) => `note-${renter}`)]) {
      if (over.has(id)) continue;
      const sinceMs = readJson<number>(store, `over/${id}`);
      if (live.has(id)) {
        if (sinceMs !== undefined) await store.write([{ key: `over/${id}`, value: undefined }]);
        continue;
      }
      over.set(id, sinceMs !== undefined && now() - sinceMs >= graceMs ? 'long ago' : 'lately');
      if (sinceMs === undefined) await store.write([{ key: `over/${id}`, value: jsonValue(now()) }]);
    }
    return over;
  }
}
