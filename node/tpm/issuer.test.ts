import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after, before } from 'node:test';
import fc from 'fast-check';
import { utf8 } from '../../ledger/bytes.ts';
import { publicKeyOf } from '../../ledger/crypto/secp256k1.ts';
import { sha256 } from '../../ledger/crypto/sha256.ts';
import { LedgerError } from '../../ledger/errors.ts';
import { grains } from '../../ledger/grains.ts';
import { type AccountId, type ChainId, hashId, keyId, type NodeId } from '../../ledger/ids.ts';
import { checkClaimStatement } from '../../ledger/tpm/claim-statement.ts';
import { attestationKeyArea } from '../../ledger/tpm/public-area.ts';
import { formatAnswer, formatRequest, parseAnswer, parseRequest } from './issuance-files.ts';
import { createRequest, endorse, type IssuerPolicy, openAnswer } from './issuer.ts';
import { IssuerError, type IssuerErrorCode } from './issuer-error.ts';
import { memoryIssuerLog, openIssuerLog } from './issuer-log.ts';
import { openTpm } from './open.ts';
import { makeClaimStatement } from './statement.ts';
import { type Tpm, TpmError, type TpmErrorCode } from './tpm.ts';

const secret = (name: string) => sha256(utf8(name));
const chainId = hashId<ChainId>(secret('chain'));
const issuerSecret = secret('issuer');
const policy: IssuerPolicy = { chainId, chainKind: 'dev', pinned: [], denominationGrains: grains(1_000n) };
const nodeId = keyId<NodeId>(publicKeyOf(secret('node')));
const accountId = keyId<AccountId>(publicKeyOf(secret('owner')));
const nowMs = 1_700_000_000_000;

let folder: string;
let tpm: Tpm;
let other: Tpm;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'blocktree-issuer-'));
  [tpm, other] = await Promise.all([
    openTpm(`software:${join(folder, 'a')}`, 'dev'),
    openTpm(`software:${join(folder, 'b')}`, 'dev'),
  ]);
});
after(() => rm(folder, { recursive: true, force: true }));

const tpmCode = (code: TpmErrorCode) => (error: unknown) => error instanceof TpmError && error.code === code;
const issuerCode = (code: IssuerErrorCode) => (error: unknown) =>
  error instanceof IssuerError && (error.code === code || assert.fail(`got ${error.code}`));

test('request, endorse and claim go through files, and the ledger takes the claim', async () => {
  const request = parseRequest(formatRequest(await createRequest(tpm, chainId)));
  const answer = parseAnswer(
    formatAnswer(await endorse(request, issuerSecret, policy, memoryIssuerLog(), nowMs)),
  );
  const endorsement = await openAnswer(tpm, answer);
  const statement = await makeClaimStatement(tpm, chainId, nodeId, accountId);
  const issuers = [keyId<AccountId>(publicKeyOf(issuerSecret))];
  const input = { chainId, chainKind: 'dev', issuers, nodeId, accountId, endorsement, ...statement } as const;
  const claim = checkClaimStatement(input);
  assert.equal(claim.ekId, (await tpm.ek()).ekId);
  assert.equal(claim.denominationGrains, 1_000n);
  assert.throws(
    () => checkClaimStatement({ ...input, chainKind: 'public' }),
    (error) => error instanceof LedgerError && error.code === 'software-tpm-refused',
  );
});

test('the endorsement opens in the chip that asked and in no other', async () => {
  const request = await createRequest(tpm, chainId);
  const answer = await endorse(request, issuerSecret, policy, memoryIssuerLog(), nowMs);
  await assert.rejects(openAnswer(other, answer), issuerCode('wrong-chip'));
  const { ekId } = await other.ek();
  await assert.rejects(openAnswer(other, { ...answer, ekId }), tpmCode('wrong-chip'));
  const sealedEndorsement = answer.sealedEndorsement.slice();
  sealedEndorsement[40] = (sealedEndorsement[40] as number) ^ 1;
  await assert.rejects(openAnswer(tpm, { ...answer, sealedEndorsement }), issuerCode('bad-file'));
});

test('an attestation key of another chip gets an endorsement that nobody can open', async () => {
  const request = {
    ...(await createRequest(tpm, chainId)),
    attestationKey: (await other.ak()).publicArea,
  };
  const answer = await endorse(request, issuerSecret, policy, memoryIssuerLog(), nowMs);
  await assert.rejects(openAnswer(tpm, answer), tpmCode('integrity'));
  const ekId = (await other.ek()).ekId;
  await assert.rejects(openAnswer(other, { ...answer, ekId }), tpmCode('wrong-chip'));
});

test('an issuer refuses what it must, each with its own code', async () => {
  const request = await createRequest(tpm, chainId);
  const ask = (changes: object, rules: Partial<IssuerPolicy> = {}) =>
    endorse({ ...request, ...changes }, issuerSecret, { ...policy, ...rules }, memoryIssuerLog(), nowMs);
  await assert.rejects(ask({}, { chainKind: 'public' }), issuerCode('software-refused'));
  await assert.rejects(ask({ kind: 'tpm2' }), issuerCode('certificate-missing'));
  await assert.rejects(
    ask({ kind: 'tpm2', certificates: [utf8('junk')] }),
    issuerCode('certificate-malformed'),
  );
  await assert.rejects(ask({ chainId: hashId<ChainId>(secret('elsewhere')) }), issuerCode('wrong-chain'));
  const attributes = request.endorsementKey.slice();
  attributes[5] = (attributes[5] as number) ^ 1;
  await assert.rejects(ask({ endorsementKey: attributes }), issuerCode('endorsement-key'));
  await assert.rejects(ask({ endorsementKey: utf8('junk') }), issuerCode('endorsement-key'));
  const point = attestationKeyArea(new Uint8Array(32).fill(1), new Uint8Array(32).fill(2));
  await assert.rejects(
    ask({ attestationKey: point }),
    (error) => error instanceof LedgerError && error.code === 'ak-point',
  );
});

test('a chip keeps its denomination, also over a restart of the issuer', async () => {
  const request = await createRequest(tpm, chainId);
  const path = join(folder, 'issuer', 'endorsements.jsonl');
  await endorse(request, issuerSecret, policy, await openIssuerLog(path), nowMs);
  const again = await openIssuerLog(path);
  await endorse(request, issuerSecret, policy, again, nowMs);
  const dearer = { ...policy, denominationGrains: grains(2_000n) };
  await assert.rejects(
    endorse(request, issuerSecret, dearer, again, nowMs),
    issuerCode('denomination-changed'),
  );
  assert.equal((await stat(path)).mode & 0o777, 0o600);
  const text = await readFile(path, 'utf8');
  assert.equal(text.trim().split('\n').length, 2);
  await writeFile(path, `${text}{"ekId":"cut sho`);
  const { ekId } = await tpm.ek();
  assert.equal(await (await openIssuerLog(path)).denominationOf(ekId), 1_000n);
  assert.equal(await readFile(path, 'utf8'), text);
  await writeFile(path, `nonsense\n${text}`);
  await assert.rejects(openIssuerLog(path), issuerCode('log-damaged'));
});

test('two that endorse from one folder know of each other', async () => {
  const path = join(folder, 'shared', 'endorsements.jsonl');
  const [node, commandLine] = [await openIssuerLog(path), await openIssuerLog(path)];
  const request = await createRequest(other, chainId);
  await endorse(request, issuerSecret, policy, commandLine, nowMs);
  const dearer = { ...policy, denominationGrains: grains(2_000n) };
  await assert.rejects(
    endorse(request, issuerSecret, dearer, node, nowMs),
    issuerCode('denomination-changed'),
  );
  await endorse(request, issuerSecret, policy, node, nowMs);
  assert.equal((await readFile(path, 'utf8')).trim().split('\n').length, 2);
});

test('any text is a file, or refused as a bad one', () => {
  const onlyCoded = (act: () => unknown) => {
    try {
      act();
    } catch (error) {
      if (!(error instanceof IssuerError && error.code === 'bad-file')) throw error;
    }
  };
  const values = fc.oneof(fc.string(), fc.json(), fc.constant('null'));
  fc.assert(
    fc.property(
      values,
      fc.dictionary(fc.constantFrom('kind', 'chainId', 'certificates'), fc.jsonValue()),
      (text, fields) => {
        onlyCoded(() => parseRequest(text));
        onlyCoded(() => parseAnswer(text));
        onlyCoded(() =>
          parseRequest(JSON.stringify({ format: 'blocktree tpm request 1', kind: 'tpm2', ...fields })),
        );
      },
    ),
  );
});

test('the software TPM opens again as itself, is private, and is refused on a public chain', async () => {
  const path = join(folder, 'a');
  const again = await openTpm(`software:${path}`, 'dev');
  assert.deepEqual(await again.ek(), await tpm.ek());
  assert.deepEqual(await again.ak(), await tpm.ak());
  assert.equal((await stat(path)).mode & 0o777, 0o600);
  await assert.rejects(openTpm(`software:${path}`, 'public'), tpmCode('unsupported'));
  await writeFile(join(folder, 'damaged'), '{"format":');
  await assert.rejects(openTpm(`software:${join(folder, 'damaged')}`, 'dev'), tpmCode('integrity'));
});

test('the software TPM seals for itself and for the right password', async () => {
  const blob = await tpm.seal(secret('key'), utf8('password'));
  assert.deepEqual(await tpm.unseal(blob, utf8('password')), secret('key'));
  await assert.rejects(tpm.unseal(blob, utf8('wrong')), tpmCode('bad-auth'));
  await assert.rejects(other.unseal(blob, utf8('password')), tpmCode('wrong-chip'));
  await assert.rejects(tpm.unseal(blob.subarray(0, 50), utf8('password')), tpmCode('integrity'));
  const changed = blob.slice();
  changed[blob.length - 20] = (changed[blob.length - 20] as number) ^ 1;
  await assert.rejects(tpm.unseal(changed, utf8('password')), tpmCode('integrity'));
});
