/** Why no endorsement was made or opened, as stable codes. */
const ISSUER_ERROR_CODES = [
  'bad-file',
  'wrong-chain',
  'endorsement-key',
  'software-refused',
  'certificate-missing',
  'certificate-malformed',
  'certificate-other-key',
  'certificate-untrusted',
  'certificate-expired',
  'emulator-refused',
  'denomination-changed',
  'log-damaged',
  'issuer-key',
  'not-an-issuer',
  'overloaded',
  // the owner's side
  'issuer-address',
  'issuer-unreachable',
  'issuer-refused',
  'not-endorsed',
  'wrong-chip',
] as const;
export type IssuerErrorCode = (typeof ISSUER_ERROR_CODES)[number];

export function isIssuerErrorCode(code: unknown): code is IssuerErrorCode {
  return ISSUER_ERROR_CODES.includes(code as IssuerErrorCode);
}

export class IssuerError extends Error {
  readonly code: IssuerErrorCode;
  constructor(code: IssuerErrorCode, message: string) {
    super(message);
    this.name = 'IssuerError';
    this.code = code;
  }
}
