import type { ContractId } from '../../ledger/ids.ts';
import { codeOf } from '../errors.ts';
import { DOUBTFUL, type FragmentSource } from '../files/download.ts';
import type { PlacedFragment } from '../files/manifest.ts';
import type { HostLink, KeyValues, MarketLedger } from '../interfaces.ts';
import { Tally } from '../tally.ts';
import type { HostBook } from './host-book.ts';

/**
 * Gets fragments from hosts: best hosts first, those remembered that lie or have lost what they are paid for, and the bytes
 * counted that they are to be paid for.
 */

/** A host that answers so much later is asked one place later. */
const LATENCY_STEP_MS = 50;

export interface HostSourceOptions {
  readonly ledger: MarketLedger;
  readonly link: HostLink;
  readonly book: HostBook;
  readonly store: KeyValues;
}

export class HostSource implements FragmentSource {
  readonly #options: HostSourceOptions;
  /** Bytes got under a contract since it opened. */
  readonly #egress: Tally<ContractId>;

  constructor(options: HostSourceOptions) {
    this.#options = options;
    this.#egress = new Tally(options.store, 'egress-in/');
  }

  /** Takes up what was counted before a restart. */
  open(): Promise<void> {
    return this.#egress.open();
  }

  async fetch(
    { host, root }: PlacedFragment,
    frames: Parameters<FragmentSource['fetch']>[1],
  ): Promise<Uint8Array> {
    const { link, book } = this.#options;
    try {
      return await link.fetchFragment(host, root, frames);
    } catch (error) {
      // It says itself that it has not got what it is paid for.
      if (codeOf(error) === 'not-found') await book.suspend(host, 'lost-data');
      throw error;
    }
  }

  rank({ host }: PlacedFragment): number {
    const { link, book } = this.#options;
    const { suspended, latencyMs } = book.notes(host);
    return (
      (link.reachable(host) ? 0 : 10 * DOUBTFUL) +
      (suspended === undefined ? 0 : DOUBTFUL) +
      Math.min(DOUBTFUL - 1, Math.round(latencyMs / LATENCY_STEP_MS))
    );
  }

  /** Counted on disk when it resolves, but where the disk is full: then it comes with the next. What was got is paid for. */
  async onGood({ host }: PlacedFragment, bytes: number): Promise<void> {
    const { ledger } = this.#options;
    const live = ledger.contractBetween(ledger.accountId, host);
    if (live !== undefined)
      await this.#egress.set(live.id, this.egressBytes(live.id) + bytes).catch(() => undefined);
  }

  async onBad({ host }: PlacedFragment, why: 'lied' | 'failed'): Promise<void> {
    if (why === 'lied') await this.#options.book.suspend(host, 'lied').catch(() => undefined);
  }

  /** Bytes got under a contract so far. */
  egressBytes(id: ContractId): number {
    const paid = this.#options.ledger.contract(id)?.egressBytes ?? 0;
    return Math.max(this.#egress.get(id), paid);
  }

  /** Forgets what was got under contracts that are over. */
  async tidy(): Promise<void> {
    for (const id of this.#egress.ids())
      if (this.#options.ledger.contract(id) === undefined) await this.#egress.set(id, undefined);
  }
}
