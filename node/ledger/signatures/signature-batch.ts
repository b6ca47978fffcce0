import { verify } from '../../../ledger/crypto/secp256k1.ts';

/** Signatures to check, packed into one array that can be handed to another thread without a copy. */

export interface SignatureCheck {
  /** 33 bytes. */
  readonly publicKey: Uint8Array;
  /** 32 bytes: what was signed. */
  readonly digest: Uint8Array;
  /** 64 bytes. */
  readonly signature: Uint8Array;
}

const DIGEST_AT = 33;
const SIGNATURE_AT = DIGEST_AT + 32;
const CHECK_BYTES = SIGNATURE_AT + 64;

/** publicKey ‖ digest ‖ signature of each check, 129 bytes, in an ArrayBuffer of its own. */
export function packChecks(checks: readonly SignatureCheck[]): Uint8Array<ArrayBuffer> {
  const packed = new Uint8Array(checks.length * CHECK_BYTES);
  for (const [i, { publicKey, digest, signature }] of checks.entries()) {
    packed.set(publicKey, i * CHECK_BYTES);
    packed.set(digest, i * CHECK_BYTES + DIGEST_AT);
    packed.set(signature, i * CHECK_BYTES + SIGNATURE_AT);
  }
  return packed;
}

/** One byte a check, in order: 1 where the signature holds. */
export function verifyPacked(packed: Uint8Array): Uint8Array<ArrayBuffer> {
  const verdicts = new Uint8Array(packed.length / CHECK_BYTES);
  for (let i = 0; i < verdicts.length; i++) {
    const check = packed.subarray(i * CHECK_BYTES, (i + 1) * CHECK_BYTES);
    const holds = verify(
      check.subarray(SIGNATURE_AT),
      check.subarray(DIGEST_AT, SIGNATURE_AT),
      check.subarray(0, DIGEST_AT),
    );
    verdicts[i] = holds ? 1 : 0;
  }
  return verdicts;
}
