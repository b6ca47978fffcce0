import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import { compareBytes, concat, fromHex } from '../bytes.ts';

/**
 * ECDSA on P-256 (FIPS 186-5) over SHA-256, as TPMs sign: 64 bytes r ‖ s, low S only. OpenSSL takes either half of the
 * group order, and a TPM makes either; the ledger takes one, so that a signature has one form.
 */
const ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
const HALF_ORDER = scalarBytes(ORDER / 2n);

/** SubjectPublicKeyInfo of an uncompressed P-256 point, up to the 64 bytes of x ‖ y (RFC 5480). */
const SPKI_PREFIX = fromHex('3059301306072a8648ce3d020106082a8648ce3d03010703420004') as Uint8Array;

function scalarBytes(value: bigint): Uint8Array {
  return fromHex(value.toString(16).padStart(64, '0')) as Uint8Array;
}

/** True for 64 bytes whose s is in the lower half of the group order. */
export function isLowSP256(signature: Uint8Array): boolean {
  return signature.length === 64 && compareBytes(signature.subarray(32), HALF_ORDER) <= 0;
}

/** The low-S form of a 64-byte signature: the claimant's side, about half of a TPM's signatures need it. */
export function toLowSP256(signature: Uint8Array): Uint8Array {
  if (isLowSP256(signature)) return signature;
  let s = 0n;
  for (const byte of signature.subarray(32)) s = (s << 8n) | BigInt(byte);
  return concat(signature.subarray(0, 32), scalarBytes(ORDER - s));
}

/** The key at (x, y), 32 bytes each; `undefined` when that is no point of the curve. */
export function p256Key(x: Uint8Array, y: Uint8Array): KeyObject | undefined {
  try {
    return createPublicKey({ key: Buffer.from(concat(SPKI_PREFIX, x, y)), format: 'der', type: 'spki' });
  } catch {
    return undefined;
  }
}

/** Whether the 64-byte signature is by `key` over `message`. Says nothing of its S half. */
export function verifyP256(signature: Uint8Array, message: Uint8Array, key: KeyObject): boolean {
  return verify('sha256', message, { key, dsaEncoding: 'ieee-p1363' }, signature);
}
