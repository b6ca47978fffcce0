/** What hosts, renters and schedulers refuse, as stable codes; they go over the wire unchanged. */
export type MarketErrorCode =
  | 'bad-name'
  | 'bad-range'
  | 'bad-scheme'
  | 'bad-terms'
  | 'collateral-short'
  | 'contract-ended'
  | 'contract-unknown'
  | 'damaged'
  | 'exists'
  | 'no-room'
  | 'not-enough-fragments'
  | 'not-enough-hosts'
  | 'not-found'
  | 'not-offering'
  | 'not-recovered'
  | 'not-synced'
  | 'outdated'
  | 'price-too-low'
  | 'renter-out-of-escrow'
  | 'too-late'
  | 'too-many-bytes-in-flight'
  | 'unknown-volume'
  | 'wrong-root'
  | 'wrong-size';

/** The one error class of this room. `message` says what was expected and, where there is something, what to do. */
export class MarketError extends Error {
  readonly code: MarketErrorCode;
  constructor(code: MarketErrorCode, message: string) {
    super(message);
    this.name = 'MarketError';
    this.code = code;
  }
}

/** The code of whatever was thrown: what the other side of a link refused with, else its own; empty when it has none. */
export function codeOf(error: unknown): string {
  const { code, remoteCode } = error as { code?: string; remoteCode?: string };
  return remoteCode ?? code ?? '';
}
