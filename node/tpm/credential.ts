import {
  constants,
  createCipheriv,
  createDecipheriv,
  createHmac,
  type KeyObject,
  privateDecrypt,
  publicEncrypt,
  randomBytes,
  timingSafeEqual,
} from 'node:crypto';
import { concat, u32, utf8 } from '../../ledger/bytes.ts';
import { sha256 } from '../../ledger/crypto/sha256.ts';
import { sized, WireReader } from '../../ledger/tpm/wire.ts';
import { TpmError } from './tpm.ts';

const EMPTY = new Uint8Array(0);
const OAEP = {
  padding: constants.RSA_PKCS1_OAEP_PADDING,
  oaepHash: 'sha256',
  oaepLabel: Buffer.from('IDENTITY\0'),
};

/** KDFa (TPM 2.0 Library Part 1 §11.4.10.2, SP 800-108 counter mode) with HMAC-SHA-256: `bits` / 8 bytes. */
export function kdfa(
  key: Uint8Array,
  label: string,
  contextU: Uint8Array,
  contextV: Uint8Array,
  bits: number,
): Uint8Array {
  const blocks: Uint8Array[] = [];
  for (let counter = 1; blocks.length * 256 < bits; counter++) {
    const mac = createHmac('sha256', key);
    mac.update(concat(u32(counter), utf8(label), Uint8Array.of(0), contextU, contextV, u32(bits)));
    blocks.push(Uint8Array.from(mac.digest()));
  }
  return concat(...blocks).subarray(0, bits / 8);
}

/** KDFe (Part 1 §11.4.10.3) with SHA-256, 256 bits: a secret out of an ECDH shared point's x. */
export function kdfe(z: Uint8Array, label: string, partyU: Uint8Array, partyV: Uint8Array): Uint8Array {
  return sha256(u32(1), z, utf8(label), Uint8Array.of(0), partyU, partyV);
}

/** What an issuer sends so that only one chip, holding one attestation key, learns a secret. */
export interface Credential {
  /** `TPMS_ID_OBJECT`: integrity and encrypted secret. */
  readonly credential: Uint8Array;
  /** The seed, encrypted to the endorsement key. */
  readonly encryptedSecret: Uint8Array;
}

/** MakeCredential (Part 1 §24) for an RSA endorsement key and a `secret` of at most 32 bytes. Needs no TPM. */
export function makeCredential(ek: KeyObject, akName: Uint8Array, secret: Uint8Array): Credential {
  const seed = Uint8Array.from(randomBytes(32));
  const encryptedSecret = Uint8Array.from(publicEncrypt({ key: ek, ...OAEP }, seed));
  const cipher = createCipheriv('aes-128-cfb', kdfa(seed, 'STORAGE', akName, EMPTY, 128), new Uint8Array(16));
  const identity = Uint8Array.from(Buffer.concat([cipher.update(sized(secret)), cipher.final()]));
  const mac = createHmac('sha256', kdfa(seed, 'INTEGRITY', EMPTY, EMPTY, 256))
    .update(identity)
    .update(akName);
  return { credential: concat(sized(Uint8Array.from(mac.digest())), identity), encryptedSecret };
}

/** ActivateCredential without a TPM: the software driver's. Throws TpmError `wrong-chip` or `integrity`. */
export function openCredential(
  ekPrivate: KeyObject,
  akName: Uint8Array,
  { credential, encryptedSecret }: Credential,
): Uint8Array {
  let seed: Uint8Array;
  try {
    seed = Uint8Array.from(privateDecrypt({ key: ekPrivate, ...OAEP }, encryptedSecret));
  } catch {
    throw new TpmError('wrong-chip', 'the credential is for another endorsement key');
  }
  const reader = new WireReader(credential, 'malformed');
  const mac = reader.sized(64);
  const identity = reader.rest();
  const expected = createHmac('sha256', kdfa(seed, 'INTEGRITY', EMPTY, EMPTY, 256))
    .update(identity)
    .update(akName)
    .digest();
  if (mac.length !== 32 || !timingSafeEqual(mac, expected))
    throw new TpmError('integrity', 'the credential is for another attestation key, or was changed');
  const key = kdfa(seed, 'STORAGE', akName, EMPTY, 128);
  const decipher = createDecipheriv('aes-128-cfb', key, new Uint8Array(16));
  const plain = Buffer.concat([decipher.update(identity), decipher.final()]);
  return new WireReader(Uint8Array.from(plain), 'malformed').sized(32).slice();
}
