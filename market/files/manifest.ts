import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import { fromHex, toHex, utf8 } from '../../ledger/bytes.ts';
import type { Hash, NodeId } from '../../ledger/ids.ts';
import { MarketError } from '../errors.ts';
import type { Scheme } from './scheme.ts';

/** One fragment of a slab: what it is and who keeps it. Its place in the list is its place in the erasure code. */
export interface PlacedFragment {
  readonly root: Hash;
  readonly host: NodeId;
}

export interface Slab {
  /** Plaintext bytes. */
  readonly length: number;
  /** The slab's key, encrypted to the owner: nonce 12 ‖ key 32 ‖ tag 16, hex. */
  readonly key: string;
  readonly fragments: readonly PlacedFragment[];
}

/** All that is needed to get a file back, except the owner's secret. */
export interface Manifest {
  readonly version: 1;
  readonly name: string;
  readonly sizeBytes: number;
  readonly createdMs: number;
  /** SHA-256 of the content, hex. */
  readonly contentHash: string;
  readonly scheme: Scheme;
  readonly slabs: readonly Slab[];
}

const NAME_BYTES_MAX = 1_024;

/** A name as it is kept: NFC. Throws MarketError `bad-name` that says what was expected. */
export function normalName(text: string): string {
  const name = text.normalize('NFC');
  const bytes = utf8(name).length;
  if (bytes < 1 || bytes > NAME_BYTES_MAX)
    throw new MarketError('bad-name', `expected a name of 1 to ${NAME_BYTES_MAX} bytes, got ${bytes}`);
  if (/\p{Cc}|\p{Cs}/u.test(name))
    throw new MarketError('bad-name', 'expected a name without control characters');
  if (name.split('/').some((part) => part === '' || part === '.' || part === '..')) {
    throw new MarketError('bad-name', 'expected a name without empty parts, "." and ".." between slashes');
  }
  return name;
}

/** The key that encrypts slab keys: HKDF (RFC 5869) of the owner's 32-byte files secret. */
export function slabKeyWrap(filesSecret: Uint8Array): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', filesSecret, new Uint8Array(0), 'blocktree/slab-keys/1', 32));
}

/** Encrypts the 32-byte key of a slab: nonce 12 ‖ AES-256-GCM ciphertext 32 ‖ tag 16, in hex. */
export function wrapKey(wrap: Uint8Array, key: Uint8Array): string {
  const nonce = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', wrap, nonce);
  const body = cipher.update(key);
  cipher.final();
  return toHex(Buffer.concat([nonce, body, cipher.getAuthTag()]));
}

/** Throws MarketError `damaged`. */
export function unwrapKey(wrap: Uint8Array, wrapped: string): Uint8Array {
  const bytes = fromHex(wrapped) ?? new Uint8Array(0);
  if (bytes.length !== 60) throw new MarketError('damaged', 'the key of a slab is damaged');
  const decipher = createDecipheriv('aes-256-gcm', wrap, bytes.subarray(0, 12));
  decipher.setAuthTag(bytes.subarray(44));
  const key = new Uint8Array(decipher.update(bytes.subarray(12, 44)));
  try {
    decipher.final();
  } catch {
    throw new MarketError('damaged', 'the key of a slab does not belong to this owner');
  }
  return key;
}
