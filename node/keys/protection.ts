import { randomBytes, scrypt } from 'node:crypto';
import { fromHex, toHex } from '../../ledger/bytes.ts';
import { type Tpm, TpmError } from '../tpm/tpm.ts';
import { KeystoreError } from './keystore-error.ts';

/** What guards the keys at rest: a chip, or a passphrase where there is none. */
export type Protection =
  | { readonly kind: 'tpm'; readonly tpm: Tpm }
  | { readonly kind: 'passphrase'; readonly passphrase: string };

/** What the key file says of its protection: enough to open it with the right chip or passphrase, no secret. */
export type ProtectionRecord =
  | {
      readonly kind: 'tpm';
      readonly tpmKind: Tpm['kind'];
      readonly ekId: string;
      /** Hex of the sealed wrapping key. */
      readonly sealed: string;
    }
  | {
      readonly kind: 'passphrase';
      readonly scrypt: { readonly N: number; readonly r: number; readonly p: number };
      /** 16 bytes, hex. */
      readonly salt: string;
    };

/** 128 MiB and about half a second a guess (RFC 7914; OWASP's first choice). */
const SCRYPT = { N: 131_072, r: 8, p: 1 } as const;
const SCRYPT_MEMORY_BYTES_MAX = 256 * 1_024 * 1_024;
const WRAPPING_KEY_BYTES = 32;
const NO_AUTH = new Uint8Array(0);

const PASSPHRASE_CHARACTERS_MIN = 8;

/** A new wrapping key (32 bytes) and the record that brings it back. Throws TpmError or KeystoreError. */
export async function newWrappingKey(
  protection: Protection,
): Promise<{ readonly key: Uint8Array; readonly record: ProtectionRecord }> {
  if (protection.kind === 'tpm') {
    const { tpm } = protection;
    const key = Uint8Array.from(randomBytes(WRAPPING_KEY_BYTES));
    const sealed = toHex(await tpm.seal(key, NO_AUTH));
    const { ekId } = await tpm.ek();
    return { key, record: { kind: 'tpm', tpmKind: tpm.kind, ekId, sealed } };
  }
  const { passphrase } = protection;
  if ([...passphrase].length < PASSPHRASE_CHARACTERS_MIN)
    throw new KeystoreError(
      'wrong-passphrase',
      `a passphrase of at least ${PASSPHRASE_CHARACTERS_MIN} characters expected`,
    );
  const salt = Uint8Array.from(randomBytes(16));
  const key = await stretch(passphrase, salt, SCRYPT);
  return { key, record: { kind: 'passphrase', scrypt: SCRYPT, salt: toHex(salt) } };
}

/** The wrapping key of a record. Throws KeystoreError `wrong-chip`, `wrong-protection`, `damaged`; TpmError. */
export async function openWrappingKey(protection: Protection, record: ProtectionRecord): Promise<Uint8Array> {
  if (record.kind === 'tpm') {
    if (protection.kind !== 'tpm')
      throw new KeystoreError(
        'wrong-protection',
        `these keys are sealed to the TPM ${record.ekId.slice(0, 16)}…; open them with that TPM`,
      );
    return unsealWith(protection.tpm, record);
  }
  if (protection.kind !== 'passphrase')
    throw new KeystoreError(
      'wrong-protection',
      'a passphrase guards these keys, not a TPM: set tpm.device to "none"',
    );
  const salt = fromHex(record.salt);
  if (salt?.length !== 16) throw new KeystoreError('damaged', 'the key file holds a damaged salt');
  return stretch(protection.passphrase, salt, record.scrypt);
}

async function unsealWith(tpm: Tpm, record: Extract<ProtectionRecord, { kind: 'tpm' }>): Promise<Uint8Array> {
  const { ekId } = await tpm.ek();
  const elsewhere = () =>
    new KeystoreError(
      'wrong-chip',
      `these keys are sealed to the TPM ${record.ekId.slice(0, 16)}…, this machine has ${ekId.slice(0, 16)}…; ` +
        'run the node on its own machine, or restore the wallet here from its 24 words and rebind',
    );
  if (record.tpmKind !== tpm.kind || record.ekId !== ekId) throw elsewhere();
  const sealed = fromHex(record.sealed);
  if (sealed === undefined) throw new KeystoreError('damaged', 'the key file holds a damaged sealed key');
  try {
    return await tpm.unseal(sealed, NO_AUTH);
  } catch (error) {
    if (error instanceof TpmError && error.code === 'wrong-chip') throw elsewhere();
    throw error;
  }
}

function stretch(
  passphrase: string,
  salt: Uint8Array,
  { N, r, p }: { readonly N: number; readonly r: number; readonly p: number },
): Promise<Uint8Array> {
  const options = { N, r, p, maxmem: SCRYPT_MEMORY_BYTES_MAX };
  return new Promise((resolve, reject) => {
    const failed = () =>
      reject(new KeystoreError('damaged', 'the key file asks for scrypt parameters that are not taken'));
    try {
      scrypt(passphrase.normalize('NFKC'), salt, WRAPPING_KEY_BYTES, options, (error, key) =>
        error === null ? resolve(new Uint8Array(key)) : failed(),
      );
    } catch {
      failed();
    }
  });
}
