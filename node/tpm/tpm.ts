import type { EkId } from '../../ledger/ids.ts';

/** What can go wrong with a chip, as stable codes; `TPM_HELP` says what to do. */
export type TpmErrorCode =
  | 'unavailable'
  | 'permission'
  | 'busy'
  | 'timeout'
  | 'io'
  | 'bad-auth'
  | 'lockout'
  | 'integrity'
  | 'object-memory'
  | 'wrong-chip'
  | 'unsupported';

/** What a person can do about each. */
const TPM_HELP: Readonly<Record<TpmErrorCode, string>> = {
  unavailable:
    'check that the TPM is switched on in the firmware setup and that the address is right; to read the ledger without one, set tpm.device to "none"',
  permission: 'let this user use the chip: sudo usermod -aG tss $USER, then log in again',
  busy: 'another program holds the chip; stop it, or use /dev/tpmrm0 rather than /dev/tpm0',
  timeout: 'the chip did not answer in time; try again, and restart the machine if it goes on',
  io: 'the link to the chip broke; try again',
  'bad-auth': 'the password for this object is wrong',
  lockout: 'too many wrong passwords: the chip refuses more for a while; wait, then try again',
  integrity: 'this is not what the chip once sealed, or it was changed; restore from the backup words',
  'object-memory': 'another program fills the chip’s memory; stop it, or use /dev/tpmrm0, which shares it',
  'wrong-chip': 'this belongs to another chip; restore from the backup words and rebind',
  unsupported: 'this chip lacks what is needed: TPM 2.0 with RSA-2048 and P-256',
};

/** The one error class of this folder: `code` for programs; `message` ends with what to do. */
export class TpmError extends Error {
  readonly code: TpmErrorCode;
  /** The chip's own response code (TPM_RC), where it gave one. */
  readonly responseCode: number | undefined;

  constructor(code: TpmErrorCode, message: string, responseCode?: number) {
    super(`TPM: ${message}; ${TPM_HELP[code]}`);
    this.name = 'TpmError';
    this.code = code;
    this.responseCode = responseCode;
  }
}

/** A secret that one chip alone opens again. Opaque; at most `SEALED_BYTES_MAX` bytes, safe to keep in a file. */
export type SealedBlob = Uint8Array;

/** Longest secret that a TPM seals (MAX_SYM_DATA). */
export const SEAL_SECRET_BYTES_MAX = 128;

/** The endorsement key: what makes a chip this chip. */
export interface EndorsementKey {
  /** `TPMT_PUBLIC` of the RSA-2048 key of the TCG's template L-1. */
  readonly publicArea: Uint8Array;
  /** The manufacturer's X.509 certificate, DER, where the chip has one. */
  readonly certificate?: Uint8Array;
  readonly ekId: EkId;
}

/** A TPM 2.0, or the software stand-in of development networks. Calls may overlap; the driver takes them in turn. */
export interface Tpm {
  readonly kind: 'tpm2' | 'software';
  info(): Promise<{ readonly manufacturer: string; readonly firmware: bigint }>;
  ek(): Promise<EndorsementKey>;
  /** The attestation key, the same at each start: `TPMT_PUBLIC` of 88 bytes, and its name of 34. */
  ak(): Promise<{ readonly publicArea: Uint8Array; readonly name: Uint8Array }>;
  /** Opens a credential made for this chip's endorsement key and attestation key (TPM2_ActivateCredential). */
  activate(credential: Uint8Array, encryptedSecret: Uint8Array): Promise<Uint8Array>;
  /** Quotes over `extra` (at most 32 bytes): `TPMS_ATTEST`, and 64 bytes of low-S signature. */
  attest(extra: Uint8Array): Promise<{ readonly attest: Uint8Array; readonly signature: Uint8Array }>;
  seal(secret: Uint8Array, auth: Uint8Array): Promise<SealedBlob>;
  unseal(blob: SealedBlob, auth: Uint8Array): Promise<Uint8Array>;
  close(): Promise<void>;
}
