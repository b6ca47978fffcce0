import type { NodeId } from '../../ledger/ids.ts';
import type { Manifest } from '../files/manifest.ts';
import type { MarketLedger } from '../interfaces.ts';
import type { HostBook } from './host-book.ts';
import { isExtensible, isRenewalDue } from './renewal.ts';

/** How files do, as far as the ledger and what was seen of hosts tell. */

export interface FileHealth {
  readonly state: 'healthy' | 'degraded' | 'lost';
  /** In the slab that has the fewest. */
  readonly fragmentsAlive: number;
  readonly fragmentsNeeded: number;
  readonly fragmentsTotal: number;
}

/** Whether a host is thought to have what it was given, and to go on having it. */
export function isAlive(host: NodeId, book: HostBook, ledger: MarketLedger): boolean {
  const notes = book.notes(host);
  if (notes.suspended === 'lied' || notes.suspended === 'lost-data') return false;
  if (notes.failedInARow >= ledger.parameters.maxMissed) return false;
  const live = ledger.contractBetween(ledger.accountId, host);
  if (live === undefined) return false;
  const [period, offer] = [ledger.period(), ledger.offerOf(host)];
  return !isRenewalDue(live.contract, period, offer) || isExtensible(live.contract, period, offer);
}

/** Each host is asked about once. */
export function healthOf({ scheme, slabs }: Manifest, alive: (host: NodeId) => boolean): FileHealth {
  const fragmentsNeeded = scheme.data;
  const fragmentsTotal = scheme.data + scheme.parity;
  const hosts = new Set(slabs.flatMap(({ fragments }) => fragments.map(({ host }) => host)));
  const living = new Set([...hosts].filter(alive));
  const fragmentsAlive = Math.min(
    fragmentsTotal,
    ...slabs.map(({ fragments }) => fragments.filter(({ host }) => living.has(host)).length),
  );
  const state =
    fragmentsAlive >= fragmentsTotal ? 'healthy' : fragmentsAlive >= fragmentsNeeded ? 'degraded' : 'lost';
  return { state, fragmentsAlive, fragmentsNeeded, fragmentsTotal };
}
