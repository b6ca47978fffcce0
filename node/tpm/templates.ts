import { createPublicKey, type KeyObject } from 'node:crypto';
import { concat, fromHex, u16, u32 } from '../../ledger/bytes.ts';
import { sha256 } from '../../ledger/crypto/sha256.ts';
import { type EkId, hashId } from '../../ledger/ids.ts';
import { ALG, CURVE_P256 } from '../../ledger/tpm/constants.ts';
import { attestationKeyArea } from '../../ledger/tpm/public-area.ts';
import { sized } from '../../ledger/tpm/wire.ts';

/** The public areas that this program asks of a TPM. A primary key made from the same template is the same key. */

const EMPTY = new Uint8Array(0);

/** PolicySecret(endorsement hierarchy): who may use an endorsement key (TCG EK Credential Profile, template L-1). */
const EK_POLICY = fromHex('837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa') as Uint8Array;
const EK_ATTRIBUTES = 0x000300b2;
const EK_MODULUS_BYTES = 256;

/** The RSA-2048 endorsement key with this modulus; of 256 zero bytes it is the TCG's template L-1. */
export function endorsementKeyArea(modulus: Uint8Array): Uint8Array {
  return concat(
    u16(ALG.rsa),
    u16(ALG.sha256),
    u32(EK_ATTRIBUTES),
    sized(EK_POLICY),
    AES_128_CFB,
    u16(ALG.null),
    u16(2048),
    u32(0),
    sized(modulus),
  );
}

/** TPMT_SYM_DEF_OBJECT of AES-128 in CFB mode. */
export const AES_128_CFB = concat(u16(ALG.aes), u16(128), u16(ALG.cfb));

export const EK_TEMPLATE = endorsementKeyArea(new Uint8Array(EK_MODULUS_BYTES));
export const AK_TEMPLATE = attestationKeyArea(EMPTY, EMPTY);

/** The storage root key: P-256, restricted decryption, no dictionary-attack lockout (TCG template H-2 shape). */
export const SRK_TEMPLATE = concat(
  u16(ALG.ecc),
  u16(ALG.sha256),
  u32(0x00030472),
  sized(EMPTY),
  AES_128_CFB,
  u16(ALG.null),
  u16(CURVE_P256),
  u16(ALG.null),
  sized(EMPTY),
  sized(EMPTY),
);

/** A sealed secret: fixedTPM, fixedParent, userWithAuth, noDA, so that a wrong password never locks the chip. */
export const SEALED_TEMPLATE = concat(
  u16(ALG.keyedHash),
  u16(ALG.sha256),
  u32(0x00000452),
  sized(EMPTY),
  u16(ALG.null),
  sized(EMPTY),
);

/** The RSA key of a modulus and exponent as OpenSSL takes it. */
export function rsaKey(modulus: Uint8Array, exponent: number): KeyObject {
  const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64url');
  let from = 0;
  const exponentBytes = u32(exponent);
  while (exponentBytes[from] === 0) from++;
  const jwk = { kty: 'RSA', n: base64(modulus), e: base64(exponentBytes.subarray(from)) };
  return createPublicKey({ format: 'jwk', key: jwk });
}

/** sha256 of the key's SubjectPublicKeyInfo: comparable with the certificate, independent of templates. */
export function ekIdOf(key: KeyObject): EkId {
  return hashId<EkId>(sha256(Uint8Array.from(key.export({ type: 'spki', format: 'der' }))));
}
