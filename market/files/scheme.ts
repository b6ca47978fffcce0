import { MarketError } from '../errors.ts';

/** How a slab is spread: any `data` of `data + parity` fragments bring it back. */
export interface Scheme {
  readonly data: number;
  readonly parity: number;
}

const FRAGMENTS_MAX = 60;
/** Recovery below this, at 75 % of fragments available, is marked as weak. */
const SAFE = 0.9999;

/** The scheme for `offering` other nodes that offer storage: always leaves one to repair to. Throws `not-enough-hosts`. */
export function defaultScheme(offering: number): Scheme {
  if (offering >= 40) return { data: 10, parity: 20 };
  if (offering >= 14) return { data: 4, parity: 8 };
  if (offering >= 6) return { data: 2, parity: 3 };
  if (offering >= 5) return { data: 2, parity: 2 };
  if (offering >= 3) return { data: 1, parity: 1 };
  throw new MarketError(
    'not-enough-hosts',
    `expected at least 3 other nodes that offer storage, found ${offering}; more must join first`,
  );
}

/** Reads `K+M`. Throws MarketError `bad-scheme`. */
export function parseScheme(text: string): Scheme {
  const match = /^(\d{1,2})\+(\d{1,2})$/.exec(text);
  const data = Number(match?.[1]);
  const parity = Number(match?.[2]);
  if (match === null || data < 1 || parity < 1 || data + parity > FRAGMENTS_MAX) {
    throw new MarketError(
      'bad-scheme',
      `expected a redundancy such as 2+3: data and parity at least 1, together at most ${FRAGMENTS_MAX}; got "${text}"`,
    );
  }
  return { data, parity };
}

/** The chance that at least `data` fragments are there, each with probability `available` on its own. */
export function recoveryProbability({ data, parity }: Scheme, available = 0.75): number {
  const n = data + parity;
  let sum = 0;
  let choose = 1;
  for (let k = 0; k <= n; k++) {
    if (k > 0) choose = (choose * (n - k + 1)) / k;
    if (k >= data) sum += choose * available ** k * (1 - available) ** (n - k);
  }
  return sum;
}

/** Whether a scheme is weak: less than 99.99 % recovery at 75 % availability. */
export function isWeak(scheme: Scheme): boolean {
  return recoveryProbability(scheme) < SAFE;
}
