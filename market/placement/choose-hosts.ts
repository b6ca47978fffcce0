import type { NodeId } from '../../ledger/ids.ts';
import { MarketError } from '../errors.ts';
import type { OfferingNode } from '../interfaces.ts';

/** A node that could keep a fragment, with what is known of it. */
export interface Candidate extends OfferingNode {
  /** 0 to 1, see `score.ts`. */
  readonly score: number;
  readonly reachable: boolean;
  readonly suspended: boolean;
  /** Its terms allow a new contract, or more in the one that there is. */
  readonly takesMore: boolean;
}

/** The /24 or /48 of an address: hosts in one share power and uplink. */
function prefixOf(address: string): string {
  const host = address.replace(/:\d+$/, '').replace(/^\[|\]$/g, '');
  return host.includes(':') ? host.split(':').slice(0, 3).join(':') : host.split('.').slice(0, 3).join('.');
}

/**
 * Picks `count` different hosts, best first: different owners before different address prefixes, then nodes that are not
 * in the committee (they have nothing else to do), then score against price. `random` breaks ties, 0 to 1. Those to
 * `avoid` are not picked, and the others had better not be their neighbours.
 * Throws MarketError `not-enough-hosts`.
 */
export function chooseHosts(
  candidates: readonly Candidate[],
  count: number,
  random: () => number,
  avoid: ReadonlySet<NodeId> = new Set(),
): readonly Candidate[] {
  const able = candidates.filter(
    ({ nodeId, reachable, suspended, takesMore }) =>
      reachable && !suspended && takesMore && !avoid.has(nodeId),
  );
  if (able.length < count) {
    throw new MarketError(
      'not-enough-hosts',
      `expected ${count} reachable hosts that offer storage, found ${able.length} of ${candidates.length}`,
    );
  }
  const cheapest = Math.min(...able.map(({ offer }) => Number(offer.priceGrainsPerGiBPeriod)));
  const worth = (candidate: Candidate): number => {
    const price = Number(candidate.offer.priceGrainsPerGiBPeriod) || 1;
    return (candidate.score * (cheapest || 1)) / price + (candidate.member ? 0 : 1) + random() * 0.01;
  };
  const ranked = able
    .map((candidate) => ({ candidate, worth: worth(candidate) }))
    .sort((a, b) => b.worth - a.worth);
  const chosen: Candidate[] = [];
  const owners = new Map<string, number>();
  const prefixes = new Map<string, number>();
  const crowd = ({ ownerId, addresses }: Candidate): void => {
    owners.set(ownerId, (owners.get(ownerId) ?? 0) + 1);
    for (const prefix of new Set(addresses.map(prefixOf)))
      prefixes.set(prefix, (prefixes.get(prefix) ?? 0) + 1);
  };
  for (const candidate of candidates) if (avoid.has(candidate.nodeId)) crowd(candidate);
  while (chosen.length < count) {
    let best: { candidate: Candidate; rank: number } | undefined;
    for (const [i, { candidate }] of ranked.entries()) {
      if (chosen.includes(candidate)) continue;
      const neighbours =
        (owners.get(candidate.ownerId) ?? 0) * 1_000_000 +
        Math.max(0, ...candidate.addresses.map((address) => prefixes.get(prefixOf(address)) ?? 0)) * 1_000;
      const rank = neighbours + i;
      if (best === undefined || rank < best.rank) best = { candidate, rank };
    }
    const { candidate } = best as { candidate: Candidate };
    chosen.push(candidate);
    crowd(candidate);
  }
  return chosen;
}
