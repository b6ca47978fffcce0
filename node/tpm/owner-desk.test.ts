import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after, before } from 'node:test';
import { utf8 } from '../../ledger/bytes.ts';
import { publicKeyOf } from '../../ledger/crypto/secp256k1.ts';
import { sha256 } from '../../ledger/crypto/sha256.ts';
import { grains } from '../../ledger/grains.ts';
import { type AccountId, type ChainId, hashId, keyId } from '../../ledger/ids.ts';
import { checkClaimStatement } from '../../ledger/tpm/claim-statement.ts';
import { createKeystore, type Keys } from '../keys/keystore.ts';
import { IssuerDesk } from './issuer-desk.ts';
import { IssuerError, type IssuerErrorCode } from './issuer-error.ts';
import { openTpm } from './open.ts';
import { OwnerDesk } from './owner-desk.ts';
import type { Tpm } from './tpm.ts';

const chainId = hashId<ChainId>(sha256(utf8('chain')));
const issuerSecret = sha256(utf8('issuer'));
const issuers = [keyId<AccountId>(publicKeyOf(issuerSecret))];

let folder: string;
let tpm: Tpm;
let keys: Keys;
let issuer: IssuerDesk;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'blocktree-desk-'));
  tpm = await openTpm(`software:${join(folder, 'tpm')}`, 'dev');
  keys = await createKeystore(join(folder, 'home'), { protection: { kind: 'tpm', tpm } });
  issuer = await IssuerDesk.open(deskOptions(chainId));
});
after(() => rm(folder, { recursive: true, force: true }));

const deskOptions = (chain: ChainId) => ({
  folder: join(folder, `issuer-${chain}`),
  issuerSecret,
  chainId: chain,
  chainKind: 'dev' as const,
  denominationGrains: grains(5n),
});
const openDesk = (home = join(folder, 'home')) => OwnerDesk.open({ tpm, keys, chainId, folder: home });
const code = (expected: IssuerErrorCode) => (error: unknown) =>
  error instanceof IssuerError && (error.code === expected || assert.fail(`got ${error.code}`));

test('from a bare chip to a claim that holds, over a restart', async () => {
  const desk = await openDesk();
  const report = await desk.report();
  assert.equal(report.kind, 'software');
  assert.match(report.firmware, /^\d+(\.\d+){3}$/);
  assert.equal(report.endorsement, undefined);
  assert.throws(() => desk.claim(), code('not-endorsed'));
  const endorsement = await desk.accept(await issuer.answer(await desk.request()));
  assert.equal(endorsement.denominationGrains, 5n);
  const again = await openDesk();
  assert.equal((await again.report()).endorsement?.ekId, report.ekId);
  const { accountId, nodeId } = keys;
  for (const { attestSignature, ...body } of [await again.claim(), await again.rebind()]) {
    const input = { ...body, signature: attestSignature, accountId, chainId, issuers };
    assert.equal(checkClaimStatement({ ...input, chainKind: 'dev' }).ekId, report.ekId);
    assert.equal(body.nodeId, nodeId);
  }
  const files = await readdir(join(folder, 'home'));
  for (const file of files) assert.equal((await stat(join(folder, 'home', file))).mode & 0o077, 0);
});

test('an answer for another chain, or a damaged file, is refused and changes nothing', async () => {
  const home = join(folder, 'other');
  const desk = await openDesk(home);
  const elsewhere = hashId<ChainId>(sha256(utf8('elsewhere')));
  const foreign = await IssuerDesk.open(deskOptions(elsewhere));
  const request = JSON.parse(await desk.request());
  const answer = await foreign.answer(JSON.stringify({ ...request, chainId: elsewhere }));
  await assert.rejects(desk.accept(answer), code('wrong-chain'));
  await assert.rejects(desk.accept(answer.replace(elsewhere, chainId)), code('bad-file'));
  await assert.rejects(desk.accept('{}'), code('bad-file'));
  assert.equal(desk.endorsement, undefined);
  await desk.accept(await issuer.answer(await desk.request()));
  await writeFile(join(home, 'endorsement.hex'), 'zz');
  await assert.rejects(openDesk(home), code('bad-file'));
});

test('a pinned file that is no certificate stops the issuer at once and is named', async () => {
  const options = deskOptions(hashId<ChainId>(sha256(utf8('pins'))));
  await IssuerDesk.open(options);
  const roots = join(options.folder, 'roots');
  await mkdir(roots);
  await writeFile(join(roots, 'broken.pem'), 'not a certificate');
  await assert.rejects(IssuerDesk.open(options), (error) => {
    assert.match((error as Error).message, /broken\.pem/);
    return code('certificate-malformed')(error);
  });
});
