/** Why keys were not made or opened, as stable codes; messages never hold a secret. */
export type KeystoreErrorCode =
  | 'missing'
  | 'exists'
  | 'damaged'
  | 'bad-words'
  | 'wrong-passphrase'
  | 'wrong-protection'
  | 'wrong-chip';

export class KeystoreError extends Error {
  readonly code: KeystoreErrorCode;
  constructor(code: KeystoreErrorCode, message: string) {
    super(message);
    this.name = 'KeystoreError';
    this.code = code;
  }
}
