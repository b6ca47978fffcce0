import { createCipheriv, createDecipheriv } from 'node:crypto';
import { FRAGMENT_BYTES } from '../../ledger/merkle.ts';
import { MarketError } from '../errors.ts';
import type { Scheme } from './scheme.ts';

/**
 * A slab's encryption: AES-256-GCM (NIST SP 800-38D) in frames of 64 KiB ciphertext, tag included, so that a byte range
 * needs only its frames. A key is used for one slab only, the nonce is the frame's number; the last frame is marked in
 * the nonce, so that frames can be neither cut off, swapped nor repeated.
 */

export const FRAME_BYTES = 65_536;
const TAG_BYTES = 16;
/** Plaintext in a full frame. */
export const FRAME_PLAIN_BYTES = FRAME_BYTES - TAG_BYTES;
const FRAMES_PER_FRAGMENT = FRAGMENT_BYTES / FRAME_BYTES;

/** Plaintext that a slab of `data` fragments holds. */
export function slabCapacity({ data }: Scheme): number {
  return data * FRAMES_PER_FRAGMENT * FRAME_PLAIN_BYTES;
}

function nonce(frame: number, last: boolean): Buffer {
  const bytes = Buffer.alloc(12);
  bytes[0] = last ? 1 : 0;
  bytes.writeUInt32BE(frame, 8);
  return bytes;
}

/** Encrypts `plain` into `into`, frame after frame; the rest of `into` stays as it is. */
export function encryptSlab(plain: Uint8Array, key: Uint8Array, into: Uint8Array): void {
  const frames = Math.max(1, Math.ceil(plain.length / FRAME_PLAIN_BYTES));
  for (let frame = 0; frame < frames; frame++) {
    const cipher = createCipheriv('aes-256-gcm', key, nonce(frame, frame === frames - 1));
    const part = plain.subarray(frame * FRAME_PLAIN_BYTES, (frame + 1) * FRAME_PLAIN_BYTES);
    into.set(cipher.update(part), frame * FRAME_BYTES);
    cipher.final();
    into.set(cipher.getAuthTag(), frame * FRAME_BYTES + part.length);
  }
}

/**
 * Decrypts the frames of a slab of `length` plaintext bytes from `first` on, as many as there are in `cipherText`. Throws
 * MarketError `damaged` when one is not what was encrypted.
 */
export function decryptSlab(cipherText: Uint8Array, key: Uint8Array, length: number, first = 0): Uint8Array {
  const frames = Math.max(1, Math.ceil(length / FRAME_PLAIN_BYTES));
  const end = Math.min(frames, first + Math.ceil(cipherText.length / FRAME_BYTES));
  const plain = new Uint8Array(Math.min(length, end * FRAME_PLAIN_BYTES) - first * FRAME_PLAIN_BYTES);
  for (let frame = first; frame < end; frame++) {
    const partLength = Math.min(FRAME_PLAIN_BYTES, length - frame * FRAME_PLAIN_BYTES);
    const at = (frame - first) * FRAME_BYTES;
    const decipher = createDecipheriv('aes-256-gcm', key, nonce(frame, frame === frames - 1));
    decipher.setAuthTag(cipherText.subarray(at + partLength, at + partLength + TAG_BYTES));
    plain.set(decipher.update(cipherText.subarray(at, at + partLength)), (frame - first) * FRAME_PLAIN_BYTES);
    try {
      decipher.final();
    } catch {
      throw new MarketError('damaged', `frame ${frame} of a slab is not what was encrypted`);
    }
  }
  return plain;
}
