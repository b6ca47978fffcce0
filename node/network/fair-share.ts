import { isIPv6 } from 'node:net';
import { splitAddress } from './node-record.ts';

/** Who gives way where there is no more room: keys are free, addresses are not, so that addresses share the places. */

/** What one person gets of addresses at once: one of IPv4, a /64 of IPv6 (RFC 6177). `host` is an IP address. */
export function addressGroup(host: string): string {
  const plain = host.replace(/%.*$/, '').replace(/^::ffff:(?=\d+\.)/i, '');
  if (!isIPv6(plain)) return plain;
  const [head = '', tail] = plain.split('::');
  const before = head === '' ? [] : head.split(':');
  const after = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? 0 : 8 - before.length - after.length - (plain.includes('.') ? 1 : 0);
  const groups = [...before, ...Array<string>(zeros).fill('0'), ...after].slice(0, 4);
  return groups.map((group) => Number.parseInt(group, 16).toString(16)).join(':');
}

/** The first of the group that has the most, and how many that has. Throws RangeError of none. */
export function largestShare<T>(
  held: Iterable<T>,
  groupOf: (one: T) => string,
): { readonly first: T; readonly count: number } {
  const shares = new Map<string, { first: T; count: number }>();
  let largest: { first: T; count: number } | undefined;
  for (const one of held) {
    const group = groupOf(one);
    const share = shares.get(group) ?? { first: one, count: 0 };
    share.count++;
    shares.set(group, share);
    if (largest === undefined || share.count > largest.count) largest = share;
  }
  if (largest === undefined) throw new RangeError('nobody holds anything');
  return largest;
}

interface Guest {
  readonly address: string;
  /** When it was last of use. */
  readonly usedMs: number;
}

/**
 * A place for a newcomer, or whose place it gets: one that is preferred gets what is reserved, then that of the stranger
 * idle longest. Others get the place of who is idle longest where most strangers come from, unless as many would then come
 * from where the newcomer does: new keys for more places do not pay. Nothing when there is no place for it.
 */
export function placeFor<G extends Guest>(
  newcomer: { readonly address: string; readonly preferred: boolean },
  freePlaces: number,
  reservedPlaces: number,
  strangers: readonly G[],
): 'free' | G | undefined {
  if (freePlaces > (newcomer.preferred ? 0 : reservedPlaces)) return 'free';
  if (strangers.length === 0) return undefined;
  const idleFirst = [...strangers].sort((a, b) => a.usedMs - b.usedMs);
  if (newcomer.preferred) return idleFirst[0];
  const groupOf = (guest: { readonly address: string }): string =>
    addressGroup(splitAddress(guest.address)?.host ?? '');
  const largest = largestShare(idleFirst, groupOf);
  const group = groupOf(newcomer);
  const own = strangers.filter((guest) => groupOf(guest) === group).length;
  return own + 1 < largest.count ? largest.first : undefined;
}
