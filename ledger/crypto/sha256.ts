import { sha256 as nobleSha256 } from '@noble/hashes/sha2.js';
import { concat, utf8 } from '../bytes.ts';

/**
 * SHA-256 (FIPS 180-4). Node's native one where there is one, noble's in browsers. `crypto.hash` with `latin1`
 * output is the fastest way on Node 20 for the short inputs that a ledger hashes.
 */
const native = globalThis.process?.getBuiltinModule?.('node:crypto') as
  | { hash?: (algorithm: string, data: Uint8Array | string, encoding: string) => string }
  | undefined;
const nativeHash = native?.hash;

/** The 32-byte hash of the parts, one after another. */
export function sha256(...parts: readonly Uint8Array[]): Uint8Array {
  const input = parts.length === 1 ? (parts[0] as Uint8Array) : concat(...parts);
  if (nativeHash === undefined) return nobleSha256(input);
  return latin1Bytes(nativeHash('sha256', input, 'latin1'));
}

/** The 32-byte hash of the UTF-8 bytes of `text`. */
export function sha256OfText(text: string): Uint8Array {
  return nativeHash === undefined
    ? nobleSha256(utf8(text))
    : latin1Bytes(nativeHash('sha256', text, 'latin1'));
}

/** Writes the hash of `input` into `out` from `at` on. */
export function sha256Into(out: Uint8Array, at: number, input: Uint8Array): void {
  if (nativeHash === undefined) {
    out.set(nobleSha256(input), at);
    return;
  }
  const text = nativeHash('sha256', input, 'latin1');
  for (let i = 0; i < 32; i++) out[at + i] = text.charCodeAt(i);
}

function latin1Bytes(text: string): Uint8Array {
  const out = new Uint8Array(32);
  for (let i = 0; i < 32; i++) out[i] = text.charCodeAt(i);
  return out;
}
