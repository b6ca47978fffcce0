import { LedgerError } from './errors.ts';

declare const brand: unique symbol;

/** An amount of currency in base units, 0 … 2^64 − 1. 1 acorn = 10^9 grains. */
export type Grains = bigint & { readonly [brand]: 'Grains' };

export const GRAINS_PER_ACORN = 1_000_000_000n;
const GRAINS_MAX = 2n ** 64n - 1n;

/** `value` as an amount. Throws LedgerError `amount-out-of-range` outside u64. */
export function grains(value: bigint | number): Grains {
  const amount = BigInt(value);
  if (amount < 0n || amount > GRAINS_MAX) {
    throw new LedgerError('amount-out-of-range', `expected 0 to ${GRAINS_MAX} grains, got ${amount}`);
  }
  return amount as Grains;
}

export const ZERO_GRAINS = 0n as Grains;

/** The smaller of two amounts. */
export function least(a: Grains, b: Grains): Grains {
  return a < b ? a : b;
}

/** Decimal acorns without trailing zeros: `12.5`, `0.000000001`. */
export function formatAcorns(amount: bigint): string {
  const whole = amount / GRAINS_PER_ACORN;
  const rest = (amount % GRAINS_PER_ACORN).toString().padStart(9, '0').replace(/0+$/, '');
  return rest === '' ? `${whole}` : `${whole}.${rest}`;
}

/** Reads decimal acorns with up to nine decimals. Throws LedgerError `malformed`. */
export function parseAcorns(text: string): Grains {
  const match = /^(\d{1,11})(?:\.(\d{1,9}))?$/.exec(text.trim());
  if (match === null) {
    throw new LedgerError(
      'malformed',
      `expected an amount in acorns such as 12 or 0.25 (up to nine decimals), got "${text}"`,
    );
  }
  return grains(BigInt(match[1] as string) * GRAINS_PER_ACORN + BigInt((match[2] ?? '').padEnd(9, '0')));
}
