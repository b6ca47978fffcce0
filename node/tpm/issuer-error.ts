/** Why no endorsement was made or opened, as stable codes. */
export type IssuerErrorCode =
  | 'bad-file'
  | 'wrong-chain'
  | 'endorsement-key'
  | 'software-refused'
  | 'certificate-missing'
  | 'certificate-malformed'
  | 'certificate-other-key'
  | 'certificate-untrusted'
  | 'certificate-expired'
  | 'emulator-refused'
  | 'denomination-changed'
  | 'log-damaged'
  | 'issuer-key'
  | 'issuer-address'
  | 'issuer-unreachable'
  | 'issuer-refused'
  | 'overloaded'
  | 'not-endorsed'
  | 'wrong-chip';

export class IssuerError extends Error {
  readonly code: IssuerErrorCode;
  constructor(code: IssuerErrorCode, message: string) {
    super(message);
    this.name = 'IssuerError';
    this.code = code;
  }
}
