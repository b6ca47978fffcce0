import { hkdfSync, randomBytes } from 'node:crypto';
import { entropyToMnemonic, mnemonicToEntropy, mnemonicToSeed } from '@scure/bip39';
import { wordlist } from '@scure/bip39/wordlists/english.js';
import { publicKeyOf } from '../../ledger/crypto/secp256k1.ts';
import { KeystoreError } from './keystore-error.ts';

/**
 * 24 words (BIP-39, English, 256 bits, no passphrase) are the whole backup of an owner. From their 64-byte BIP-39 seed
 * HKDF-SHA-256 (RFC 5869) with the salt "blocktree/keys/1" derives, each under its own label:
 *   "account"  the secret key that owns currency (a counter byte follows, 0 but for a 2^-128 chance)
 *   "files"    the root of file encryption
 * A node's key does not come from the words: each machine draws its own, and `rebind` ties it to the chip.
 */
export const ENTROPY_BYTES = 32;
const SALT = 'blocktree/keys/1';

/** Fresh entropy for 24 words. */
export function newEntropy(): Uint8Array {
  return Uint8Array.from(randomBytes(ENTROPY_BYTES));
}

export function wordsOf(entropy: Uint8Array): string {
  return entropyToMnemonic(entropy, wordlist);
}

/** The entropy of 24 words, in any case and spacing. Throws KeystoreError `bad-words` that says what is wrong. */
export function entropyOf(words: string): Uint8Array {
  const list = words.trim().toLowerCase().split(/\s+/);
  if (list.length !== 24) throw new KeystoreError('bad-words', `24 words expected, got ${list.length}`);
  const unknown = list.findIndex((word) => !wordlist.includes(word));
  if (unknown !== -1) throw new KeystoreError('bad-words', `word ${unknown + 1} is not in the BIP-39 list`);
  try {
    return mnemonicToEntropy(list.join(' '), wordlist);
  } catch {
    throw new KeystoreError('bad-words', 'the words do not fit together: one is wrong, or the order is');
  }
}

/** What the words give: two secrets of 32 bytes. */
export async function deriveSecrets(
  entropy: Uint8Array,
): Promise<{ readonly accountSecret: Uint8Array; readonly filesSecret: Uint8Array }> {
  const seed = await mnemonicToSeed(wordsOf(entropy));
  const derive = (label: string, counter?: number) => {
    const info = counter === undefined ? label : Buffer.concat([Buffer.from(label), Buffer.of(counter)]);
    return new Uint8Array(hkdfSync('sha256', seed, SALT, info, 32));
  };
  return {
    accountSecret: firstKey((attempt) => derive('account', attempt)),
    filesSecret: derive('files'),
  };
}

/** A secret key of secp256k1 from a source of 32 bytes: the first that is in 1 … n − 1. */
export function firstKey(source: (attempt: number) => Uint8Array): Uint8Array {
  for (let attempt = 0; ; attempt++) {
    const candidate = source(attempt);
    try {
      publicKeyOf(candidate);
      return candidate;
    } catch (error) {
      if (attempt === 255) throw error;
    }
  }
}
