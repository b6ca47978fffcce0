import type { NodeId } from '../../ledger/ids.ts';
import type { HostLink, KeyValues, MarketLedger } from '../interfaces.ts';
import { jsonValue, readJson } from '../interfaces.ts';
import type { Candidate } from '../placement/choose-hosts.ts';

/** What this renter knows of hosts: how audits and transfers went. */

/** Weight of the past when a new result comes in. */
const DECAY = 0.95;

export interface HostNotes {
  /** Share of audits that succeeded, newer ones count more; 0 to 1. */
  readonly auditSuccess: number;
  readonly audits: number;
  /** Audits that failed since the last that succeeded. */
  readonly failedInARow: number;
  /** Mean answer time of a challenge in ms, newer ones count more. */
  readonly latencyMs: number;
  /** Why it gets no new fragments, while it does not. */
  readonly suspended: 'lied' | 'lost-data' | 'silent' | undefined;
}

const FRESH: HostNotes = { auditSuccess: 1, audits: 0, failedInARow: 0, latencyMs: 50, suspended: undefined };

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

  constructor(store: KeyValues) {
    this.#store = store;
  }

  notes(host: NodeId): HostNotes {
    return readJson<HostNotes>(this.#store, `host-notes/${host}`) ?? FRESH;
  }

  async audited(
    host: NodeId,
    ok: boolean,
    latencyMs: number,
    why: 'lied' | 'lost-data' | 'silent' | undefined,
  ): Promise<HostNotes> {
    const before = this.notes(host);
    const after: HostNotes = {
      auditSuccess: before.auditSuccess * DECAY + (ok ? 1 - DECAY : 0),
      audits: before.audits + 1,
      failedInARow: ok ? 0 : before.failedInARow + 1,
      latencyMs: ok ? before.latencyMs * 0.8 + latencyMs * 0.2 : before.latencyMs,
      suspended: ok ? (before.suspended === 'silent' ? undefined : before.suspended) : why,
    };
    await this.#store.write([{ key: `host-notes/${host}`, value: jsonValue(after) }]);
    return after;
  }

  async suspend(host: NodeId, why: 'lied' | 'lost-data'): Promise<void> {
    await this.#store.write([
      { key: `host-notes/${host}`, value: jsonValue({ ...this.notes(host), suspended: why }) },
    ]);
  }

  /** Every other node that offers storage, as placement wants it, in the order of addresses. */
  async candidates(ledger: MarketLedger, link: HostLink): Promise<readonly Candidate[]> {
    const offers = [...(await ledger.offers())];
    offers.sort((a, b) => ((a.addresses[0] ?? '') < (b.addresses[0] ?? '') ? -1 : 1));
    return offers
      .filter((node) => node.nodeId !== ledger.nodeId && node.ownerId !== ledger.accountId)
      .map((node) => {
        const notes = this.notes(node.nodeId);
        return {
          ...node,
          score: scoreOf(notes, node.offer.collateralPercent).score,
          reachable: link.reachable(node.nodeId),
          suspended: notes.suspended !== undefined,
        };
      });
  }
}
