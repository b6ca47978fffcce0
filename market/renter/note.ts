import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import { gunzipSync, gzipSync } from 'node:zlib';
import { FRAGMENT_BYTES } from '../../ledger/merkle.ts';
import { MarketError } from '../errors.ts';
import type { Manifest } from '../files/manifest.ts';

/**
 * A note is what a renter leaves with each of its hosts: with it and the 24 words all files are found again. It names the
 * snapshot, a file that holds the manifests of all others, and has whatever changed since then itself.
 * Sealed: nonce 12 ‖ AES-256-GCM(gzip of JSON) ‖ tag 16, with its sequence number as associated data, so that a host can
 * withhold a note and cannot pass an old one off as new.
 */

export interface Note {
  readonly version: 1;
  readonly snapshot: Manifest | undefined;
  /** Name and manifest of each file that changed since the snapshot; `null` for one that was removed. */
  readonly changes: readonly (readonly [name: string, manifest: Manifest | null])[];
}

/** The most that a host takes. */
export const NOTE_BYTES_MAX = FRAGMENT_BYTES;
/** What a note may unfold to. */
const JSON_BYTES_MAX = 16 * NOTE_BYTES_MAX;

/** The key of notes: HKDF (RFC 5869) of the owner's 32-byte files secret. */
export function noteKey(filesSecret: Uint8Array): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', filesSecret, new Uint8Array(0), 'blocktree/notes/1', 32));
}

function sequenceBytes(sequence: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(sequence));
  return bytes;
}

/** Compressed and encrypted: nonce 12 ‖ AES-256-GCM ciphertext ‖ tag 16. Its number is authenticated with it. */
export function sealNote(note: Note, sequence: number, key: Uint8Array): Uint8Array {
  const nonce = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(sequenceBytes(sequence));
  const body = cipher.update(gzipSync(JSON.stringify(note)));
  cipher.final();
  return new Uint8Array(Buffer.concat([nonce, body, cipher.getAuthTag()]));
}

/** Throws MarketError `damaged` when it is not what was sealed under this number. */
export function openNote(sealed: Uint8Array, sequence: number, key: Uint8Array): Note {
  try {
    const end = sealed.length - 16;
    const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, 12));
    decipher.setAAD(sequenceBytes(sequence)).setAuthTag(sealed.subarray(end));
    const body = Buffer.concat([decipher.update(sealed.subarray(12, end)), decipher.final()]);
    const json = gunzipSync(body, { maxOutputLength: JSON_BYTES_MAX });
    return JSON.parse(json.toString('utf8')) as Note;
  } catch {
    throw new MarketError('damaged', 'a note is not what its renter left');
  }
}
