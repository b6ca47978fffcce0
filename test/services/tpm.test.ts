import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after, before } from 'node:test';
import { concat, toHex, utf8 } from '../../ledger/bytes.ts';
import { publicKeyOf } from '../../ledger/crypto/secp256k1.ts';
import { sha256 } from '../../ledger/crypto/sha256.ts';
import { LedgerError } from '../../ledger/errors.ts';
import { grains } from '../../ledger/grains.ts';
import { type AccountId, type ChainId, hashId, keyId, type NodeId } from '../../ledger/ids.ts';
import { parseQuote, parseTpmSignature } from '../../ledger/tpm/attest.ts';
import { checkClaimStatement } from '../../ledger/tpm/claim-statement.ts';
import { isLowSP256, toLowSP256, verifyP256 } from '../../ledger/tpm/p256.ts';
import { checkAttestationKey } from '../../ledger/tpm/public-area.ts';
import { createKeystore, openKeystore } from '../../node/keys/keystore.ts';
import { KeystoreError } from '../../node/keys/keystore-error.ts';
import { readCertificate } from '../../node/tpm/certificate.ts';
import {
  type Emulator,
  emulatorAuthority,
  manufactureEmulator,
  startEmulator,
} from '../../node/tpm/emulator.ts';
import { formatRequest, parseRequest } from '../../node/tpm/issuance-files.ts';
import { createRequest, endorse, type IssuerPolicy, openAnswer } from '../../node/tpm/issuer.ts';
import { IssuerError, type IssuerErrorCode } from '../../node/tpm/issuer-error.ts';
import { memoryIssuerLog } from '../../node/tpm/issuer-log.ts';
import { openTpm } from '../../node/tpm/open.ts';
import { makeClaimStatement } from '../../node/tpm/statement.ts';
import { type Tpm, TpmError, type TpmErrorCode } from '../../node/tpm/tpm.ts';

const secret = (name: string) => sha256(utf8(name));
const chainId = hashId<ChainId>(secret('chain'));
const issuerSecret = secret('issuer');
const issuers = [keyId<AccountId>(publicKeyOf(issuerSecret))];
const nodeId = keyId<NodeId>(publicKeyOf(secret('node')));
const accountId = keyId<AccountId>(publicKeyOf(secret('owner')));

let folder: string;
let first: Emulator;
let second: Emulator;
let tpm: Tpm;
let other: Tpm;
let policy: IssuerPolicy;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bt-'));
  const ca = join(folder, 'ca');
  await manufactureEmulator(join(folder, 'a'), ca);
  await manufactureEmulator(join(folder, 'b'), join(folder, 'foreign-ca'));
  first = await startEmulator(join(folder, 'a'));
  second = await startEmulator(join(folder, 'b'));
  tpm = await openTpm(first.spec, 'public');
  other = await openTpm(second.spec, 'public');
  const pinned = [readCertificate(readFileSync(emulatorAuthority(ca).issuer, 'utf8'))];
  policy = { chainId, chainKind: 'public', pinned, denominationGrains: grains(1_000n) };
});
after(async () => {
  await tpm?.close();
  await other?.close();
  await first?.stop();
  await second?.stop();
  await rm(folder, { recursive: true, force: true });
});

const tpmCode = (code: TpmErrorCode) => (error: unknown) =>
  error instanceof TpmError && (error.code === code || assert.fail(error.message));
const issuerCode = (code: IssuerErrorCode) => (error: unknown) =>
  error instanceof IssuerError && (error.code === code || assert.fail(`${error.code}: ${error.message}`));
const ask = async (chip: Tpm, changes: Partial<IssuerPolicy> = {}) =>
  endorse(
    parseRequest(formatRequest(await createRequest(chip, chainId))),
    issuerSecret,
    { ...policy, ...changes },
    memoryIssuerLog(),
    Date.now(),
  );

/** Runs a program of tpm2-tools against the first chip. */
function tool(program: string, ...words: string[]): string {
  const environment = { ...process.env, TPM2TOOLS_TCTI: `swtpm:path=${first.spec.slice('unix:'.length)}` };
  return execFileSync(program, words, { cwd: folder, env: environment, encoding: 'utf8' });
}

test('a chip says who made it and brings a certificate for its endorsement key', async () => {
  const { manufacturer, firmware } = await tpm.info();
  assert.equal(manufacturer, 'IBM');
  assert.ok(firmware > 0n);
  const { certificate, ekId } = await tpm.ek();
  const spki = new X509Certificate(certificate as Uint8Array).publicKey.export({
    type: 'spki',
    format: 'der',
  });
  assert.equal(ekId, toHex(sha256(Uint8Array.from(spki))));
  assert.notEqual(ekId, (await other.ek()).ekId);
});

test('a chip is endorsed and its claim holds on a public chain', async () => {
  const endorsement = await openAnswer(tpm, await ask(tpm));
  for (let i = 0; i < 4; i++) {
    const statement = await makeClaimStatement(tpm, chainId, nodeId, accountId);
    assert.ok(isLowSP256(statement.signature));
    const input = {
      chainId,
      chainKind: 'public',
      issuers,
      nodeId,
      accountId,
      endorsement,
      ...statement,
    } as const;
    assert.equal(checkClaimStatement(input).ekId, (await tpm.ek()).ekId);
    const foreign = { ...input, ...(await makeClaimStatement(other, chainId, nodeId, accountId)) };
    assert.throws(
      () => checkClaimStatement(foreign),
      (error) => error instanceof LedgerError && error.code === 'attest-signer',
    );
  }
});

test('a chip whose authority is not pinned is refused, and an emulator is named as one', async () => {
  await assert.rejects(ask(other), issuerCode('emulator-refused'));
  await assert.rejects(ask(tpm, { pinned: [] }), issuerCode('emulator-refused'));
  const request = await createRequest(tpm, chainId);
  const borrowed = { ...request, certificates: (await createRequest(other, chainId)).certificates };
  const endorsed = endorse(borrowed, issuerSecret, policy, memoryIssuerLog(), Date.now());
  await assert.rejects(endorsed, issuerCode('certificate-other-key'));
  const early = endorse(request, issuerSecret, policy, memoryIssuerLog(), Date.UTC(2000, 0));
  await assert.rejects(early, issuerCode('certificate-expired'));
});

test('a pinned root vouches through the intermediate that the request carries', async () => {
  const { root, issuer } = emulatorAuthority(join(folder, 'ca'));
  const pinned = [readCertificate(readFileSync(root, 'utf8'))];
  const request = await createRequest(tpm, chainId);
  const carried = new Uint8Array(readCertificate(readFileSync(issuer, 'utf8')).raw);
  const longer = { ...request, certificates: [...request.certificates, carried] };
  await endorse(longer, issuerSecret, { ...policy, pinned }, memoryIssuerLog(), Date.now());
  const short = endorse(request, issuerSecret, { ...policy, pinned }, memoryIssuerLog(), Date.now());
  await assert.rejects(short, issuerCode('emulator-refused'));
});

test('an endorsement for one chip opens in no other', async () => {
  const answer = await ask(tpm);
  await assert.rejects(openAnswer(other, answer), issuerCode('wrong-chip'));
  await assert.rejects(
    openAnswer(other, { ...answer, ekId: (await other.ek()).ekId }),
    tpmCode('wrong-chip'),
  );
  const request = { ...(await createRequest(tpm, chainId)), attestationKey: (await other.ak()).publicArea };
  const swapped = await endorse(request, issuerSecret, policy, memoryIssuerLog(), Date.now());
  await assert.rejects(openAnswer(tpm, swapped), tpmCode('integrity'));
});

test('secrets open in their chip with their password, and nowhere else', async () => {
  const blob = await tpm.seal(secret('key'), utf8('password'));
  assert.ok(!Buffer.from(blob).includes(Buffer.from(secret('key'))));
  assert.deepEqual(await tpm.unseal(blob, utf8('password')), secret('key'));
  await assert.rejects(tpm.unseal(blob, utf8('wrong')), tpmCode('bad-auth'));
  await assert.rejects(other.unseal(blob, utf8('password')), tpmCode('wrong-chip'));
  const changed = blob.slice();
  changed[60] = (changed[60] as number) ^ 1;
  await assert.rejects(tpm.unseal(changed, utf8('password')), tpmCode('integrity'));
  await assert.rejects(tpm.unseal(blob.subarray(0, 100), utf8('password')), tpmCode('integrity'));
  await assert.rejects(tpm.seal(new Uint8Array(129), new Uint8Array(0)), tpmCode('unsupported'));
  const trailing = concat(utf8('password'), Uint8Array.of(0));
  assert.deepEqual(await tpm.unseal(await tpm.seal(secret('b'), trailing), trailing), secret('b'));
});

test('wrong passwords never lock the chip', async () => {
  const blob = await tpm.seal(secret('key'), utf8('password'));
  for (let i = 0; i < 40; i++) await assert.rejects(tpm.unseal(blob, utf8('wrong')), tpmCode('bad-auth'));
  assert.deepEqual(await tpm.unseal(blob, utf8('password')), secret('key'));
});

test('callers that come at once take turns, and too many are turned away', async () => {
  const quotes = await Promise.all(Array.from({ length: 8 }, (_, i) => tpm.attest(secret(`quote ${i}`))));
  quotes.forEach(({ attest }, i) => {
    assert.deepEqual(parseQuote(attest).extraData, secret(`quote ${i}`));
  });
  const many = await Promise.allSettled(Array.from({ length: 80 }, () => tpm.info()));
  const refused = many.filter((result) => result.status === 'rejected');
  assert.ok(refused.length > 0);
  for (const { reason } of refused) assert.ok(tpmCode('busy')(reason));
});

test('after a restart the chip is itself, is found again, and opens the keys of the node', async () => {
  const home = join(folder, 'home');
  const { words: _, ...keys } = await createKeystore(home, { protection: { kind: 'tpm', tpm } });
  const before = await tpm.ak();
  await first.stop();
  await assert.rejects(tpm.info(), tpmCode('unavailable'));
  first = await startEmulator(join(folder, 'a'));
  assert.deepEqual(await openKeystore(home, { kind: 'tpm', tpm }), keys);
  const again = await openTpm(first.spec, 'public');
  assert.deepEqual(await again.ak(), before);
  await again.close();
  await assert.rejects(again.info(), tpmCode('unavailable'));
  await assert.rejects(
    openKeystore(home, { kind: 'tpm', tpm: other }),
    (error) => error instanceof KeystoreError && error.code === 'wrong-chip',
  );
});

test('what a process that died left in the chip does not fill it', async () => {
  const path = first.spec.slice('unix:'.length);
  for (let i = 0; i < 4; i++) {
    const socket = net.connect(path);
    const createPrimary = concat(
      Uint8Array.from([0x80, 0x02, 0, 0, 0, 67, 0, 0, 1, 0x31, 0x40, 0, 0, 1, 0, 0, 0, 9, 0x40, 0, 0, 9, 0]),
      Uint8Array.from([
        0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 26, 0, 0x23, 0, 11, 0, 3, 4, 0x72, 0, 0, 0, 6, 0, 128,
      ]),
      Uint8Array.from([0, 0x43, 0, 0x10, 0, 3, 0, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
    );
    assert.equal(createPrimary.length, 67);
    socket.write(createPrimary);
    await new Promise((resolve) => socket.once('data', resolve));
    socket.destroy();
  }
  assert.equal((await tpm.attest(secret('still'))).attest.length, 139);
});

test('tpm2-tools finds our keys and verifies our quote', async () => {
  const { publicArea, name } = await tpm.ak();
  const { attest, signature } = await tpm.attest(secret('ours'));
  await writeFile(join(folder, 'quote.msg'), attest);
  const half = (from: number) => concat(Uint8Array.of(0, 32), signature.subarray(from, from + 32));
  await writeFile(join(folder, 'quote.sig'), concat(Uint8Array.of(0, 0x18, 0, 11), half(0), half(32)));
  makeAttestationKey();
  assert.equal(toHex(readFileSync(join(folder, 'ak.name'))), toHex(name));
  assert.equal(toHex(readFileSync(join(folder, 'ak.pub')).subarray(2)), toHex(publicArea));
  tool('tpm2_readpublic', '-c', 'ak.ctx', '-f', 'pem', '-o', 'ak.pem', '-Q');
  const words = ['-u', 'ak.pem', '-m', 'quote.msg', '-s', 'quote.sig', '-g', 'sha256', '-Q'];
  tool('tpm2_checkquote', ...words, '-q', toHex(secret('ours')));
  assert.throws(() => tool('tpm2_checkquote', ...words, '-q', toHex(secret('other'))));
});

test('we verify a quote that tpm2-tools made', async () => {
  makeAttestationKey();
  const asked = ['-c', 'ak.ctx', '-l', 'sha256:0,7', '-g', 'sha256', '-q', toHex(secret('theirs'))];
  tool('tpm2_quote', ...asked, '-m', 'theirs.msg', '-s', 'theirs.sig', '-f', 'tss', '-Q');
  const attest = Uint8Array.from(readFileSync(join(folder, 'theirs.msg')));
  const signature = parseTpmSignature(Uint8Array.from(readFileSync(join(folder, 'theirs.sig'))));
  const { key, qualifiedName } = checkAttestationKey((await tpm.ak()).publicArea);
  const quote = parseQuote(attest);
  assert.deepEqual(quote.qualifiedSigner.slice(), qualifiedName);
  assert.deepEqual(quote.extraData.slice(), secret('theirs'));
  assert.ok(verifyP256(toLowSP256(signature), attest, key));
});

test('a credential that tpm2-tools made opens in our driver', async () => {
  const ek = await tpm.ek();
  const certificate = new X509Certificate(ek.certificate as Uint8Array);
  await writeFile(join(folder, 'ek.pem'), certificate.publicKey.export({ type: 'spki', format: 'pem' }));
  await writeFile(join(folder, 'secret.in'), secret('credential'));
  const akName = toHex((await tpm.ak()).name);
  const words = ['-G', 'rsa', '-u', 'ek.pem', '-s', 'secret.in', '-n', akName, '-o', 'credential', '-Q'];
  tool('tpm2_makecredential', '-T', 'none', ...words);
  const file = readFileSync(join(folder, 'credential'));
  assert.equal(file.readUInt32BE(0), 0xbadcc0de);
  const credentialBytes = file.readUInt16BE(8);
  const credential = Uint8Array.from(file.subarray(10, 10 + credentialBytes));
  const encryptedSecret = Uint8Array.from(file.subarray(12 + credentialBytes));
  assert.deepEqual(await tpm.activate(credential, encryptedSecret), secret('credential'));
});

test('a TPM that is not there, or is no TPM, is an error with a code', async () => {
  await assert.rejects(openTpm(`unix:${join(folder, 'nothing')}`, 'public'), tpmCode('unavailable'));
  await assert.rejects(openTpm('unix:relative', 'public'), tpmCode('unavailable'));
  await assert.rejects(openTpm('/dev/no-such-tpm', 'public'), tpmCode('unavailable'));
  await assert.rejects(openTpm('tcp:192.0.2.1:2321', 'public'), tpmCode('unavailable'));
  await assert.rejects(openTpm('something', 'public'), tpmCode('unavailable'));
  const liar = net.createServer((socket) => socket.resume().end('this is no TPM at all'));
  await new Promise<void>((resolve) => liar.listen(0, '127.0.0.1', resolve));
  const { port } = liar.address() as net.AddressInfo;
  await assert.rejects(openTpm(`tcp:127.0.0.1:${port}`, 'public'), tpmCode('io'));
  await new Promise((resolve) => liar.close(resolve));
});

test('a listener on the bus learns no secret, and one who changes an answer is found out', async () => {
  const heard: Buffer[] = [];
  let meddle = (answer: Buffer): Buffer => answer;
  const bus = net.createServer((client) => {
    const chip = net.connect(first.spec.slice('unix:'.length));
    client.on('data', (command) => {
      heard.push(command);
      chip.write(command);
    });
    chip.on('data', (answer) => {
      heard.push(answer);
      client.write(meddle(answer));
    });
    for (const end of [client, chip]) end.on('error', () => undefined);
    client.on('close', () => chip.destroy());
    chip.on('close', () => client.destroy());
  });
  await new Promise<void>((resolve) => bus.listen(0, '127.0.0.1', resolve));
  const tapped = await openTpm(`tcp:127.0.0.1:${(bus.address() as net.AddressInfo).port}`, 'public');
  const blob = await tapped.seal(secret('key'), utf8('password'));
  assert.deepEqual(await tapped.unseal(blob, utf8('password')), secret('key'));
  const traffic = Buffer.concat(heard);
  assert.ok(traffic.length > 1_000);
  assert.ok(!traffic.includes(Buffer.from(secret('key'))) && !traffic.includes('password'));
  meddle = (answer) => {
    const isUnsealed = answer.readUInt16BE(0) === 0x8002 && answer.readUInt32BE(10) === 34;
    if (isUnsealed) answer[20] = (answer[20] as number) ^ 1;
    return answer;
  };
  await assert.rejects(tapped.unseal(blob, utf8('password')), (error) => {
    assert.match((error as Error).message, /changed on its way/);
    return tpmCode('io')(error);
  });
  await tapped.close();
  await new Promise((resolve) => bus.close(resolve));
});

/** Our attestation key, as tpm2-tools makes it. */
function makeAttestationKey(): void {
  const attributes = 'fixedtpm|fixedparent|sensitivedataorigin|userwithauth|restricted|sign';
  const words = ['-C', 'e', '-g', 'sha256', '-G', 'ecc256:ecdsa-sha256:null', '-a', attributes];
  tool('tpm2_createprimary', ...words, '-c', 'ak.ctx', '-Q');
  tool('tpm2_readpublic', '-c', 'ak.ctx', '-f', 'tss', '-o', 'ak.pub', '-n', 'ak.name', '-Q');
  tool('tpm2_flushcontext', '-t');
}
