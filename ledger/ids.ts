import { bech32m } from '@scure/base';
import { fromHex, toHex } from './bytes.ts';
import { isPublicKey } from './crypto/secp256k1.ts';
import { LedgerError } from './errors.ts';

/**
 * Ids are branded strings: lower-case hex of the bytes, so that they compare with `===`, serve as Map keys and read the
 * same in logs, JSON and URLs. Bytes appear only at the codec.
 */
declare const brand: unique symbol;
type Branded<Base, Name extends string> = Base & { readonly [brand]: Name };

/** A compressed secp256k1 public key (66 hex digits) that owns currency. Shown as `acorn1…`. */
export type AccountId = Branded<string, 'AccountId'>;
/** A compressed secp256k1 public key (66 hex digits) of a node. Shown as `node1…`. */
export type NodeId = Branded<string, 'NodeId'>;
/** sha256 of the header, 64 hex digits. */
export type BlockId = Branded<string, 'BlockId'>;
/** sha256 of the unsigned transaction, 64 hex digits. */
export type TransactionId = Branded<string, 'TransactionId'>;
/** The id of the transaction that opened the contract. */
export type ContractId = Branded<string, 'ContractId'>;
/** sha256 of the endorsement key's SubjectPublicKeyInfo, 64 hex digits. */
export type EkId = Branded<string, 'EkId'>;
/** sha256 of the canonical genesis, 64 hex digits. */
export type ChainId = Branded<string, 'ChainId'>;
/** Any other 32-byte hash, 64 hex digits: Merkle roots, state roots, beacons. */
export type Hash = Branded<string, 'Hash'>;

/** A 32-byte hash as its hex id; the caller knows what it hashes. */
export function hashId<Id extends BlockId | TransactionId | ContractId | EkId | ChainId | Hash>(
  bytes: Uint8Array,
): Id {
  if (bytes.length !== 32) throw new LedgerError('malformed', `expected 32 bytes, got ${bytes.length}`);
  return toHex(bytes) as Id;
}

/** A 33-byte compressed key as its hex id. Does not check that it is on the curve; decoding does. */
export function keyId<Id extends AccountId | NodeId>(bytes: Uint8Array): Id {
  if (bytes.length !== 33) throw new LedgerError('malformed', `expected a 33-byte key, got ${bytes.length}`);
  return toHex(bytes) as Id;
}

/** The bytes of any id. */
export function idBytes(
  id: AccountId | NodeId | BlockId | TransactionId | ContractId | EkId | ChainId | Hash,
): Uint8Array {
  return fromHex(id) as Uint8Array;
}

export const ZERO_HASH = '00'.repeat(32) as Hash;

const PREFIX = { account: 'acorn', node: 'node' } as const;

/** `acorn1…` (bech32m, BIP-350). */
export function accountAddress(id: AccountId): string {
  return bech32m.encode(PREFIX.account, bech32m.toWords(idBytes(id)), 120);
}

/** `node1…` (bech32m, BIP-350). */
export function nodeAddress(id: NodeId): string {
  return bech32m.encode(PREFIX.node, bech32m.toWords(idBytes(id)), 120);
}

function parseAddress(prefix: string, what: string, text: string): string {
  const hint = `expected ${what}: "${prefix}1…" or 66 hex digits`;
  const raw = /^0[23][0-9a-fA-F]{64}$/.test(text) ? fromHex(text) : undefined;
  let bytes = raw;
  if (bytes === undefined) {
    try {
      const decoded = bech32m.decode(text as `${string}1${string}`, 120);
      if (decoded.prefix !== prefix)
        throw new LedgerError('malformed', `${hint}, got one that starts with "${decoded.prefix}1"`);
      bytes = Uint8Array.from(bech32m.fromWords(decoded.words));
    } catch (error) {
      if (error instanceof LedgerError) throw error;
      throw new LedgerError('malformed', `${hint}; check for a typing mistake`);
    }
  }
  if (bytes.length !== 33 || !isPublicKey(bytes))
    throw new LedgerError('malformed', `${hint}; this is not a valid key`);
  return toHex(bytes);
}

/** Reads `acorn1…` or 66 hex digits. Throws LedgerError `malformed` that says what was expected. */
export function parseAccountAddress(text: string): AccountId {
  return parseAddress(PREFIX.account, 'an account address', text) as AccountId;
}

/** Reads `node1…` or 66 hex digits. Throws LedgerError `malformed` that says what was expected. */
export function parseNodeAddress(text: string): NodeId {
  return parseAddress(PREFIX.node, 'a node address', text) as NodeId;
}

/** Reads 64 hex digits. Throws LedgerError `malformed`. */
export function parseHashId<Id extends BlockId | TransactionId | ContractId | EkId | ChainId | Hash>(
  text: string,
): Id {
  if (!/^[0-9a-fA-F]{64}$/.test(text)) throw new LedgerError('malformed', 'expected 64 hex digits');
  return text.toLowerCase() as Id;
}
