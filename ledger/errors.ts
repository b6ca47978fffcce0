/** Everything the ledger can refuse, as stable codes: they reach the API, the command line and peers unchanged. */
export type LedgerErrorCode =
  // bytes
  | 'malformed'
  | 'oversized'
  // envelope
  | 'wrong-chain'
  | 'bad-signature'
  | 'bad-nonce'
  | 'fee-too-low'
  | 'insufficient-balance'
  | 'amount-out-of-range'
  | 'unknown-account'
  // tpm
  | 'endorsement-version'
  | 'endorsement-encoding'
  | 'endorsement-signature'
  | 'endorsement-chain'
  | 'issuer-unknown'
  | 'software-tpm-refused'
  | 'ak-encoding'
  | 'ak-type'
  | 'ak-attributes'
  | 'ak-policy'
  | 'ak-scheme'
  | 'ak-point'
  | 'attest-encoding'
  | 'attest-type'
  | 'attest-signer'
  | 'attest-extra'
  | 'attest-signature'
  | 'attest-high-s'
  | 'already-claimed'
  | 'node-already-bound'
  | 'tpm-unknown'
  | 'tpm-tombstoned'
  | 'not-owner'
  // committees
  | 'seat-unknown'
  | 'seat-bound'
  | 'bad-evidence'
  // market
  | 'node-unknown'
  | 'bad-offer'
  | 'bad-record'
  | 'contract-unknown'
  | 'contract-ended'
  | 'bad-terms'
  | 'bad-host-signature'
  | 'bad-receipt'
  | 'bad-proof'
  | 'bad-revision'
  | 'nothing-due'
  | 'period-not-open'
  // blocks
  | 'bad-block'
  | 'bad-state-root'
  // light proofs
  | 'bad-certificate'
  | 'bad-path';

/** The one error class of this room. `message` says what was expected; `code` is for programs. */
export class LedgerError extends Error {
  readonly code: LedgerErrorCode;
  constructor(code: LedgerErrorCode, message: string) {
    super(message);
    this.name = 'LedgerError';
    this.code = code;
  }
}

/** Refuses with `code` unless `condition` holds. Where every transfer comes by, the message is only made when it is needed. */
export function demand(
  condition: boolean,
  code: LedgerErrorCode,
  message: string | (() => string),
): asserts condition {
  if (!condition) throw new LedgerError(code, typeof message === 'string' ? message : message());
}

/** For what cannot happen unless this program is wrong: stops loudly instead of going on with a wrong state. */
export function invariant(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(`invariant violated: ${message}`);
}
