import type { NodeId } from '../../ledger/ids.ts';
import type { HostLink, KeyValues, MarketLedger } from '../interfaces.ts';
import { jsonValue, readJson } from '../interfaces.ts';
import type { Candidate } from '../placement/choose-hosts.ts';
import { isExtensible, PERIODS_LEAST } from './renewal.ts';

/** What this renter knows of hosts: how audits and transfers went. */

/** Weight of the past when a new result comes in. */
const DECAY = 0.95;
/** Periods after which a silence says nothing any more, where no audit ends it: the host gets another chance. */
const SILENCE_PERIODS = 30;

/** Gave bytes that are not in the contract, said that it has not got them, or said nothing. */
export type HostFault = 'lied' | 'lost-data' | 'silent';

export interface HostNotes {
  /** Share of audits that succeeded, newer ones count more; 0 to 1. */
  readonly auditSuccess: number;
  readonly audits: number;
  /** Audits that failed since the last that succeeded. */
  readonly failedInARow: number;
  /** The period of the newest that failed. */
  readonly failedPeriod: number | undefined;
  /** Mean answer time of a challenge in ms, newer ones count more. */
  readonly latencyMs: number;
  /** Why it gets no new fragments, while it does not. */
  readonly suspended: HostFault | undefined;
}

/** What is known of a host that nothing was asked of yet. */
export const FRESH: HostNotes = {
  auditSuccess: 1,
  audits: 0,
  failedInARow: 0,
  failedPeriod: undefined,
  latencyMs: 50,
  suspended: undefined,
};

/** Score of a host, 0 to 1, with every factor: what it is multiplied from. */
export function scoreOf(
  notes: HostNotes,
  collateralPercent: number,
): { readonly score: number; readonly factors: Readonly<Record<string, number>> } {
  const factors = {
    audits: notes.auditSuccess,
    latency: 1 / (1 + notes.latencyMs / 1_000),
    experience: 1 - 0.3 / (1 + notes.audits / 5),
    collateral: 1 - 0.3 / (1 + collateralPercent / 25),
  };
  return { score: Object.values(factors).reduce((product, factor) => product * factor, 1), factors };
}

export class HostBook {
  readonly #store: KeyValues;
  readonly #ledger: MarketLedger;

  constructor(store: KeyValues, ledger: MarketLedger) {
    this.#store = store;
    this.#ledger = ledger;
  }

  notes(host: NodeId): HostNotes {
    const notes = readJson<HostNotes>(this.#store, `host-notes/${host}`) ?? FRESH;
    const { suspended, failedPeriod } = notes;
    const old = failedPeriod === undefined || this.#ledger.period() - failedPeriod > SILENCE_PERIODS;
    const lapsed = old && (suspended === 'silent' || suspended === undefined);
    return lapsed ? { ...notes, suspended: undefined, failedInARow: 0 } : notes;
  }

  async #write(host: NodeId, notes: HostNotes): Promise<HostNotes> {
    await this.#store.write([{ key: `host-notes/${host}`, value: jsonValue(notes) }]);
    return notes;
  }

  /** An audit succeeded: a silence is over; what a host lied about or lost stays with it. */
  passed(host: NodeId, latencyMs: number): Promise<HostNotes> {
    const before = this.notes(host);
    return this.#write(host, {
      ...before,
      auditSuccess: before.auditSuccess * DECAY + 1 - DECAY,
      audits: before.audits + 1,
      failedInARow: 0,
      latencyMs: before.latencyMs * 0.8 + latencyMs * 0.2,
      suspended: before.suspended === 'silent' ? undefined : before.suspended,
    });
  }

  /** An audit failed: nothing new is placed at the host until one succeeds. */
  failed(host: NodeId, period: number, why: HostFault): Promise<HostNotes> {
    const before = this.notes(host);
    return this.#write(host, {
      ...before,
      auditSuccess: before.auditSuccess * DECAY,
      audits: before.audits + 1,
      failedInARow: before.failedInARow + 1,
      failedPeriod: period,
      suspended: before.suspended === undefined || before.suspended === 'silent' ? why : before.suspended,
    });
  }

  /** A download showed a fault, outside of audits. */
  async suspend(host: NodeId, why: 'lied' | 'lost-data'): Promise<void> {
    await this.#write(host, { ...this.notes(host), suspended: why, failedPeriod: this.#ledger.period() });
  }

  /** Hosts of which something is amiss now, or was a short while ago when nothing is left at them. */
  async troubles(): Promise<readonly HostTrouble[]> {
    const rows = await this.#store.range('host-notes/');
    return rows.flatMap(({ key }) => {
      const host = key.slice('host-notes/'.length) as NodeId;
      const notes = this.notes(host);
      const { suspended, failedInARow, failedPeriod = 0 } = notes;
      if (suspended === undefined) return [];
      const renting = this.#ledger.contractBetween(this.#ledger.accountId, host) !== undefined;
      if (!renting && this.#ledger.period() - failedPeriod > SILENCE_PERIODS) return [];
      return [{ host, why: suspended, failedInARow, renting }];
    });
  }

  /** Every other node that offers storage, as placement wants it, in the order of addresses. */
  async candidates(ledger: MarketLedger, link: HostLink): Promise<readonly Candidate[]> {
    const offers = [...(await ledger.offers())];
    offers.sort((a, b) => ((a.addresses[0] ?? '') < (b.addresses[0] ?? '') ? -1 : 1));
    return offers
      .filter((node) => node.nodeId !== ledger.nodeId && node.ownerId !== ledger.accountId)
      .map((node) => {
        const notes = this.notes(node.nodeId);
        const live = ledger.contractBetween(ledger.accountId, node.nodeId);
        return {
          ...node,
          score: scoreOf(notes, node.offer.collateralPercent).score,
          reachable: link.reachable(node.nodeId),
          suspended: notes.suspended !== undefined,
          takesMore:
            node.offer.periodsMax >= PERIODS_LEAST &&
            (live === undefined || isExtensible(live.contract, ledger.period(), node.offer)),
        };
      });
  }
}

/** A host that this renter had better know of. */
export interface HostTrouble {
  readonly host: NodeId;
  readonly why: HostFault;
  readonly failedInARow: number;
  /** Whether a contract with it is live. */
  readonly renting: boolean;
}
