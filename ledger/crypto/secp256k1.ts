import { hmac } from '@noble/hashes/hmac.js';
import { sha256 as nobleSha256 } from '@noble/hashes/sha2.js';
import * as noble from '@noble/secp256k1';
import { compareBytes, fromHex, utf8 } from '../bytes.ts';
import { sha256 } from './sha256.ts';

/**
 * ECDSA on secp256k1 (SEC 2), RFC 6979 nonces, 64-byte compact signatures, low S only. The native libsecp256k1 where
 * its prebuild loads (50 times faster to verify), noble everywhere else; tests hold the two equal.
 */
export interface Signer {
  readonly name: 'native' | 'noble';
  publicKey(secretKey: Uint8Array): Uint8Array;
  sign(digest: Uint8Array, secretKey: Uint8Array): Uint8Array;
  verify(signature: Uint8Array, digest: Uint8Array, publicKey: Uint8Array): boolean;
  validPublicKey(publicKey: Uint8Array): boolean;
}

noble.hashes.sha256 = nobleSha256;
noble.hashes.hmacSha256 = (key, message) => hmac(nobleSha256, key, message);

/** Half the group order, 32 bytes. */
const HALF_ORDER = fromHex((noble.Point.CURVE().n / 2n).toString(16).padStart(64, '0')) as Uint8Array;

/** True for 64 bytes whose S is in the lower half of the group order: the one form that is accepted. */
export function isLowS(signature: Uint8Array): boolean {
  return signature.length === 64 && compareBytes(signature.subarray(32), HALF_ORDER) <= 0;
}

export const nobleSigner: Signer = {
  name: 'noble',
  publicKey: (secretKey) => noble.getPublicKey(secretKey, true),
  sign: (digest, secretKey) => noble.sign(digest, secretKey, { prehash: false, lowS: true }),
  verify(signature, digest, publicKey) {
    if (signature.length !== 64 || digest.length !== 32 || publicKey.length !== 33) return false;
    try {
      return noble.verify(signature, digest, publicKey, { prehash: false, lowS: true });
    } catch {
      return false;
    }
  },
  validPublicKey: (publicKey) => publicKey.length === 33 && noble.utils.isValidPublicKey(publicKey, true),
};

interface NativeSecp256k1 {
  publicKeyCreate(secretKey: Uint8Array, compressed: boolean): Uint8Array;
  publicKeyVerify(publicKey: Uint8Array): boolean;
  ecdsaSign(digest: Uint8Array, secretKey: Uint8Array): { signature: Uint8Array };
  ecdsaVerify(signature: Uint8Array, digest: Uint8Array, publicKey: Uint8Array): boolean;
}

function loadNative(): Signer | undefined {
  const modules = globalThis.process?.getBuiltinModule?.('node:module');
  if (modules === undefined) return undefined;
  let library: NativeSecp256k1;
  try {
    library = modules.createRequire(import.meta.url)('secp256k1/bindings') as NativeSecp256k1;
  } catch {
    return undefined;
  }
  return {
    name: 'native',
    publicKey: (secretKey) => library.publicKeyCreate(secretKey, true),
    sign: (digest, secretKey) => library.ecdsaSign(digest, secretKey).signature,
    verify(signature, digest, publicKey) {
      if (signature.length !== 64 || digest.length !== 32 || publicKey.length !== 33) return false;
      if (!isLowS(signature)) return false;
      try {
        return library.ecdsaVerify(signature, digest, publicKey);
      } catch {
        return false;
      }
    },
    validPublicKey: (publicKey) => publicKey.length === 33 && library.publicKeyVerify(publicKey),
  };
}

/** The native signer, where it loads. */
export const nativeSigner: Signer | undefined = loadNative();
const signer = nativeSigner ?? nobleSigner;

/** Every purpose has a signing domain of its own: what was signed for one can never be used for another. */
export type SigningDomain =
  | 'transaction'
  | 'hello'
  | 'session'
  | 'record'
  | 'endorsement'
  | 'binding'
  | 'terms'
  | 'revision'
  | 'receipt'
  | 'close'
  | 'block'
  | 'vote'
  | 'delivery'
  | 'tpm-request';

/** sha256("blocktree/<domain>/1" ‖ bytes): what is signed. 32 bytes. */
export function signingDigest(domain: SigningDomain, ...parts: readonly Uint8Array[]): Uint8Array {
  return sha256(domainBytes(domain), ...parts);
}

const domains = new Map<SigningDomain, Uint8Array>();

function domainBytes(domain: SigningDomain): Uint8Array {
  const known = domains.get(domain) ?? utf8(`blocktree/${domain}/1`);
  domains.set(domain, known);
  return known;
}

/** 64-byte compact low-S signature of a 32-byte digest. */
export function sign(digest: Uint8Array, secretKey: Uint8Array): Uint8Array {
  return signer.sign(digest, secretKey);
}

/** Whether `signature` (64 bytes) is a low-S signature of `digest` (32 bytes) by `publicKey` (33 bytes). Never throws. */
export function verify(signature: Uint8Array, digest: Uint8Array, publicKey: Uint8Array): boolean {
  return signer.verify(signature, digest, publicKey);
}

/** The compressed public key (33 bytes) of a secret key (32 bytes). */
export function publicKeyOf(secretKey: Uint8Array): Uint8Array {
  return signer.publicKey(secretKey);
}

/** Whether the 33 bytes are a point on the curve in compressed form. */
export function isPublicKey(bytes: Uint8Array): boolean {
  try {
    return signer.validPublicKey(bytes);
  } catch {
    return false;
  }
}
