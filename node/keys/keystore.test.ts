import assert from 'node:assert/strict';
import { cp, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after, before } from 'node:test';
import { inspect } from 'node:util';
import { toHex } from '../../ledger/bytes.ts';
import { openTpm } from '../tpm/open.ts';
import type { Tpm } from '../tpm/tpm.ts';
import {
  backupWords,
  createKeystore,
  describeKeystore,
  KEYSTORE_FILE,
  type Keys,
  openKeystore,
} from './keystore.ts';
import { KeystoreError, type KeystoreErrorCode } from './keystore-error.ts';
import type { Protection } from './protection.ts';
import { deriveSecrets, entropyOf } from './seed.ts';

const WORDS = `${'abandon '.repeat(23)}art`;

let folder: string;
let tpm: Tpm;
let other: Tpm;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'blocktree-keys-'));
  tpm = await openTpm(`software:${join(folder, 'tpm-a')}`, 'dev');
  other = await openTpm(`software:${join(folder, 'tpm-b')}`, 'dev');
});
after(() => rm(folder, { recursive: true, force: true }));

const code = (expected: KeystoreErrorCode) => (error: unknown) =>
  error instanceof KeystoreError && (error.code === expected || assert.fail(`got ${error.code}`));
const byTpm = (chip: Tpm): Protection => ({ kind: 'tpm', tpm: chip });
const byPassphrase = (passphrase: string): Protection => ({ kind: 'passphrase', passphrase });
const secretsOf = (keys: Keys) => [keys.accountSecret, keys.nodeSecret, keys.filesSecret].map(toHex);

test('keys open again with their chip, from a private file that holds none of them in the clear', async () => {
  const home = join(folder, 'a');
  const { words, ...keys } = await createKeystore(home, { protection: byTpm(tpm) });
  assert.deepEqual(await openKeystore(home, byTpm(tpm)), keys);
  assert.equal(await backupWords(home, byTpm(tpm)), words);
  assert.equal((await describeKeystore(home))?.accountId, keys.accountId);
  const path = join(home, KEYSTORE_FILE);
  assert.equal((await stat(path)).mode & 0o777, 0o600);
  assert.deepEqual(await readdir(home), [KEYSTORE_FILE]);
  const text = await readFile(path, 'utf8');
  for (const secret of secretsOf(keys)) assert.ok(!text.includes(secret));
  await assert.rejects(createKeystore(home, { protection: byTpm(tpm) }), code('exists'));
});

test('keys that reach a log or an answer show their ids alone', async () => {
  const made = await createKeystore(join(folder, 'quiet'), { protection: byTpm(tpm) });
  const opened = await openKeystore(join(folder, 'quiet'), byTpm(tpm));
  for (const keys of [made, opened]) {
    for (const text of [JSON.stringify({ keys }), inspect({ keys }, { depth: 9, showHidden: false })]) {
      assert.ok(text.includes(keys.accountId));
      for (const secret of secretsOf(keys)) assert.ok(!text.includes(secret));
      assert.ok(!text.includes(made.words) && !/Uint8Array/.test(text));
    }
  }
});

test('a copied data folder does not open on another machine and says why', async () => {
  const home = join(folder, 'b');
  await createKeystore(home, { protection: byTpm(tpm) });
  const copy = join(folder, 'b-copied');
  await cp(home, copy, { recursive: true });
  await assert.rejects(
    openKeystore(copy, byTpm(other)),
    (error) => code('wrong-chip')(error) && /24 words/.test((error as Error).message),
  );
  await assert.rejects(openKeystore(copy, byPassphrase('long enough')), code('wrong-protection'));
});

test('the words bring the account and the files back, and a node key of the machine’s own', async () => {
  const first = await createKeystore(join(folder, 'c'), { protection: byTpm(tpm) });
  const noisy = `  ${first.words.toUpperCase().replaceAll(' ', '\n ')} `;
  const second = await createKeystore(join(folder, 'd'), { protection: byTpm(other), words: noisy });
  assert.equal(second.accountId, first.accountId);
  assert.deepEqual(second.filesSecret, first.filesSecret);
  assert.notEqual(second.nodeId, first.nodeId);
});

test('the derivation from words never changes', async () => {
  const { accountSecret, filesSecret } = await deriveSecrets(entropyOf(WORDS));
  assert.equal(toHex(accountSecret), '39ea1ec761bc2ca2de67185c8501c7dc257d063ca417574e8c747084bfdd100c');
  assert.equal(toHex(filesSecret), '7ee42fa6b3c4a59fdff3b5568c8005214b23f343b764d2c8a31601f728d6c047');
});

test('wrong words are refused with what is wrong', () => {
  assert.throws(() => entropyOf('abandon art'), /24 words expected, got 2/);
  assert.throws(() => entropyOf(WORDS.replace('art', 'arts')), /word 24/);
  assert.throws(() => entropyOf(WORDS.replace('art', 'zoo')), code('bad-words'));
});

test('without a chip a passphrase opens the keys, and only the right one', async () => {
  const home = join(folder, 'e');
  await assert.rejects(createKeystore(home, { protection: byPassphrase('short') }), code('wrong-passphrase'));
  const { words: _, ...keys } = await createKeystore(home, { protection: byPassphrase('correct horse') });
  assert.deepEqual(await openKeystore(home, byPassphrase('correct horse')), keys);
  await assert.rejects(openKeystore(home, byPassphrase('correct hors')), code('wrong-passphrase'));
  await assert.rejects(openKeystore(home, byTpm(tpm)), code('wrong-protection'));
});

test('a missing or damaged key file is an error with a code', async () => {
  await assert.rejects(openKeystore(join(folder, 'nowhere'), byTpm(tpm)), code('missing'));
  const home = join(folder, 'f');
  await createKeystore(home, { protection: byTpm(tpm) });
  const path = join(home, KEYSTORE_FILE);
  const text = await readFile(path, 'utf8');
  const file = JSON.parse(text);
  const damaged: string[] = [
    '',
    'null',
    text.slice(0, text.length / 2),
    JSON.stringify({ ...file, secrets: file.secrets.slice(2) }),
    JSON.stringify({
      ...file,
      secrets: file.secrets.replace(/^./, (digit: string) => (digit === '0' ? '1' : '0')),
    }),
    JSON.stringify({ ...file, nodeId: file.accountId }),
    JSON.stringify({ ...file, protection: { kind: 'tpm' } }),
    JSON.stringify({ ...file, protection: { kind: 'passphrase', salt: '', scrypt: null } }),
  ];
  for (const content of damaged) {
    await writeFile(path, content);
    await assert.rejects(openKeystore(home, byTpm(tpm)), code('damaged'));
  }
  const greedy = { kind: 'passphrase', salt: '00'.repeat(16), scrypt: { N: 2 ** 30, r: 8, p: 1 } };
  await writeFile(path, JSON.stringify({ ...file, protection: greedy }));
  await assert.rejects(openKeystore(home, byPassphrase('long enough')), code('damaged'));
});
