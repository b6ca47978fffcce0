import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { concat, fromHex, toHex, utf8 } from '../../ledger/bytes.ts';
import { publicKeyOf } from '../../ledger/crypto/secp256k1.ts';
import { type AccountId, keyId, type NodeId } from '../../ledger/ids.ts';
import { KeystoreError } from './keystore-error.ts';
import { writePrivateFile } from './private-file.ts';
import { newWrappingKey, openWrappingKey, type Protection, type ProtectionRecord } from './protection.ts';
import { deriveSecrets, ENTROPY_BYTES, entropyOf, firstKey, newEntropy, wordsOf } from './seed.ts';

/**
 * The keys of a node, in one file of mode 0600: the owner's entropy (24 words) and this machine's node key, encrypted
 * with AES-256-GCM under a wrapping key that a TPM seals or a passphrase stretches to. In memory they are plain while
 * the node runs: TPMs do not sign with secp256k1.
 */
export const KEYSTORE_FILE = 'keys.json';
const FORMAT = 'blocktree keys 1';
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const NODE_SECRET_BYTES = 32;

/** Opened keys. Secrets are 32 bytes; never log one. */
export interface Keys {
  readonly accountId: AccountId;
  readonly nodeId: NodeId;
  readonly accountSecret: Uint8Array;
  readonly nodeSecret: Uint8Array;
  /** Root of file encryption. */
  readonly filesSecret: Uint8Array;
}

interface KeyFile {
  readonly format: typeof FORMAT;
  readonly accountId: AccountId;
  readonly nodeId: NodeId;
  readonly protection: ProtectionRecord;
  /** Hex of nonce 12 | entropy 32 and node secret 32, encrypted | GCM tag 16. */
  readonly secrets: string;
}

/** What a caller may give when keys are made. */
interface NewKeys {
  readonly protection: Protection;
  /** 24 words to restore an owner from; fresh ones without. The node key is fresh either way. */
  readonly words?: string;
}

/**
 * Makes the keys of `folder`; resolves when they are on disk, with the words to write down.
 * Throws KeystoreError `exists`, `bad-words`, `wrong-passphrase` (too short), or TpmError.
 */
export async function createKeystore(
  folder: string,
  { words, protection }: NewKeys,
): Promise<Keys & { readonly words: string }> {
  await demandNoKeys(folder);
  const entropy = words === undefined ? newEntropy() : entropyOf(words);
  const nodeSecret = firstKey(() => Uint8Array.from(randomBytes(NODE_SECRET_BYTES)));
  const keys = await keysOf(entropy, nodeSecret);
  const { key, record } = await newWrappingKey(protection);
  const { accountId, nodeId } = keys;
  const nonce = Uint8Array.from(randomBytes(NONCE_BYTES));
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(context(accountId, nodeId));
  const body = Buffer.concat([cipher.update(concat(entropy, nodeSecret)), cipher.final()]);
  const secrets = toHex(concat(nonce, body, cipher.getAuthTag()));
  const file: KeyFile = { format: FORMAT, accountId, nodeId, protection: record, secrets };
  await writePrivateFile(join(folder, KEYSTORE_FILE), `${JSON.stringify(file, undefined, 2)}\n`);
  return Object.defineProperty(keys as Keys & { words: string }, 'words', { value: wordsOf(entropy) });
}

/** Throws KeystoreError `exists` for a folder in which keys were made before. */
export async function demandNoKeys(folder: string): Promise<void> {
  if ((await readText(folder)) !== undefined)
    throw new KeystoreError('exists', `${folder} already holds keys; they are never overwritten`);
}

/**
 * Opens the keys of `folder`. Throws KeystoreError `missing`, `damaged`, `wrong-passphrase`, `wrong-protection`, or
 * `wrong-chip` for a folder that was copied from another machine; TpmError where the chip fails.
 */
export async function openKeystore(folder: string, protection: Protection): Promise<Keys> {
  const { entropy, nodeSecret } = await openSecrets(folder, protection);
  return keysOf(entropy, nodeSecret);
}

/** The 24 words of `folder`'s owner, for an offline backup. Throws like `openKeystore`. */
export async function backupWords(folder: string, protection: Protection): Promise<string> {
  return wordsOf((await openSecrets(folder, protection)).entropy);
}

/** Who the keys in `folder` belong to and what guards them, without opening them; `undefined` where there are none. */
export async function describeKeystore(
  folder: string,
): Promise<Pick<KeyFile, 'accountId' | 'nodeId' | 'protection'> | undefined> {
  const text = await readText(folder);
  if (text === undefined) return undefined;
  const { accountId, nodeId, protection } = parse(text);
  return { accountId, nodeId, protection };
}

async function openSecrets(folder: string, protection: Protection) {
  const text = await readText(folder);
  if (text === undefined) throw new KeystoreError('missing', `${folder} holds no keys; run "blocktree init"`);
  const file = parse(text);
  const key = await openWrappingKey(protection, file.protection);
  const secrets = fromHex(file.secrets) as Uint8Array;
  const decipher = createDecipheriv('aes-256-gcm', key, secrets.subarray(0, NONCE_BYTES));
  decipher.setAAD(context(file.accountId, file.nodeId)).setAuthTag(secrets.subarray(-TAG_BYTES));
  let plain: Uint8Array;
  try {
    const body = decipher.update(secrets.subarray(NONCE_BYTES, -TAG_BYTES));
    plain = Uint8Array.from(Buffer.concat([body, decipher.final()]));
  } catch {
    if (protection.kind === 'passphrase')
      throw new KeystoreError('wrong-passphrase', 'the passphrase is wrong, or the key file was changed');
    throw new KeystoreError('damaged', 'the key file was changed; restore from the 24 words');
  }
  return { entropy: plain.subarray(0, ENTROPY_BYTES), nodeSecret: plain.subarray(ENTROPY_BYTES) };
}

async function keysOf(entropy: Uint8Array, nodeSecret: Uint8Array): Promise<Keys> {
  const { accountSecret, filesSecret } = await deriveSecrets(entropy);
  const accountId = keyId<AccountId>(publicKeyOf(accountSecret));
  const nodeId = keyId<NodeId>(publicKeyOf(nodeSecret));
  return withoutPrinting({ accountId, nodeId, accountSecret, nodeSecret, filesSecret });
}

/** Keys that a log, an error or a JSON answer shows by their ids alone, should they ever get there. */
function withoutPrinting(keys: Keys): Keys {
  const shown = () => ({ accountId: keys.accountId, nodeId: keys.nodeId });
  return Object.defineProperties(keys, { toJSON: { value: shown }, [inspect.custom]: { value: shown } });
}

/** Ties the ciphertext to the ids beside it. */
function context(accountId: AccountId, nodeId: NodeId): Uint8Array {
  return utf8(`${FORMAT}:${accountId}:${nodeId}`);
}

async function readText(folder: string): Promise<string | undefined> {
  try {
    return await readFile(join(folder, KEYSTORE_FILE), 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

function parse(text: string): KeyFile {
  let file: Partial<KeyFile> | null;
  try {
    file = JSON.parse(text) as Partial<KeyFile> | null;
  } catch {
    file = null;
  }
  const length = NONCE_BYTES + ENTROPY_BYTES + NODE_SECRET_BYTES + TAG_BYTES;
  const isKey = (id: unknown) => typeof id === 'string' && /^0[23][0-9a-f]{64}$/.test(id);
  const whole =
    file?.format === FORMAT &&
    isKey(file.accountId) &&
    isKey(file.nodeId) &&
    isRecord(file.protection) &&
    typeof file.secrets === 'string' &&
    fromHex(file.secrets)?.length === length;
  if (!whole) throw new KeystoreError('damaged', 'the key file is damaged; restore from the 24 words');
  return file as KeyFile;
}

function isRecord(value: ProtectionRecord | undefined): boolean {
  if (value?.kind === 'tpm')
    return [value.tpmKind, value.ekId, value.sealed].every((field) => typeof field === 'string');
  if (value?.kind !== 'passphrase' || typeof value.salt !== 'string') return false;
  const { N, r, p } = value.scrypt ?? {};
  return [N, r, p].every((field) => Number.isSafeInteger(field));
}
