import assert from 'node:assert/strict';
import { cp, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after, before } from 'node:test';
import { utf8 } from '../../ledger/bytes.ts';
import { publicKeyOf } from '../../ledger/crypto/secp256k1.ts';
import { sha256 } from '../../ledger/crypto/sha256.ts';
import { LedgerError, type LedgerErrorCode } from '../../ledger/errors.ts';
import { chainIdOf, DEFAULT_PARAMETERS, type Genesis } from '../../ledger/genesis.ts';
import { grains } from '../../ledger/grains.ts';
import { type AccountId, type ChainId, type Hash, hashId, keyId } from '../../ledger/ids.ts';
import { NODES, TPMS } from '../../ledger/state/entities.ts';
import type { TransactionBody } from '../../ledger/transaction.ts';
import { createKeystore, type Keys, openKeystore } from '../../node/keys/keystore.ts';
import { KeystoreError } from '../../node/keys/keystore-error.ts';
import { makeClaim, makeRebind } from '../../node/tpm/claim-body.ts';
import {
  type Emulator,
  emulatorFolder,
  manufactureEmulator,
  startEmulator,
  startEmulators,
} from '../../node/tpm/emulator.ts';
import { formatRequest, parseAnswer } from '../../node/tpm/issuance-files.ts';
import { createRequest, endorse, openAnswer } from '../../node/tpm/issuer.ts';
import { IssuerDesk } from '../../node/tpm/issuer-desk.ts';
import { IssuerError } from '../../node/tpm/issuer-error.ts';
import { memoryIssuerLog } from '../../node/tpm/issuer-log.ts';
import { openTpm } from '../../node/tpm/open.ts';
import { type Tpm, TpmError } from '../../node/tpm/tpm.ts';
import { type Member, type Running, startMember } from '../support/small-network.ts';
import { until } from '../support/until.ts';

/** A public network whose machines have emulated chips that a local authority certified: claims, theft, and loss. */

const FIRST_PORT = 39_700;
const CHIPS = 4;
const DENOMINATION = grains(1_000_000_000_000n);
const issuerSecret = sha256(utf8('issuer of the TPM test'));
const protection = (tpm: Tpm) => ({ kind: 'tpm', tpm }) as const;

let folder: string;
let genesis: Genesis;
let chainId: ChainId;
let desk: IssuerDesk;
let foreign: Tpm;
let chips: readonly Emulator[] = [];
const replaced: Emulator[] = [];
const members: Member<Keys>[] = [];
const words: string[] = [];
const endorsements: Uint8Array[] = [];
const running: Running<Keys>[] = [];

async function switchOn(chipFolder: string): Promise<Tpm> {
  const emulator = await startEmulator(chipFolder);
  replaced.push(emulator);
  return openTpm(emulator.spec, 'public');
}

const seeds = () => members.map(({ port }) => `127.0.0.1:${port}`);
const member = (index: number) => members[index] as Member<Keys>;
const node = (index: number) => running[index] as Running<Keys>;
const endorsementOf = (index: number) => endorsements[index] as Uint8Array;
const claimOf = (index: number, keys = member(index).person) =>
  makeClaim(member(index).tpm, keys, chainId, endorsementOf(index));

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bt-'));
  const started = await startEmulators(join(folder, 'chips'), CHIPS);
  chips = started.chips;
  for (const [index, { spec }] of chips.entries()) {
    const tpm = await openTpm(spec, 'public');
    const home = join(folder, `home-${index}`);
    const { words: backup, ...person } = await createKeystore(home, { protection: protection(tpm) });
    members.push({ person, folder: home, tpm, port: FIRST_PORT + index });
    words.push(backup);
  }
  const foreignFolder = join(folder, 'foreign');
  await manufactureEmulator(foreignFolder, join(folder, 'foreign-authority'));
  foreign = await switchOn(foreignFolder);
  const seat = async ({ tpm, person: { nodeId, accountId } }: Member<Keys>) => ({
    seatId: (await tpm.ek()).ekId as string as Hash,
    nodeId,
    accountId,
  });
  genesis = {
    name: 'tpm-test',
    timestampMs: Date.now(),
    kind: 'public',
    issuers: [keyId<AccountId>(publicKeyOf(issuerSecret))],
    committee: await Promise.all(members.map(seat)),
    parameters: DEFAULT_PARAMETERS,
  };
  chainId = chainIdOf(genesis);
  const issuerFolder = join(folder, 'issuer');
  await mkdir(join(issuerFolder, 'roots'), { recursive: true });
  await cp(started.authority, join(issuerFolder, 'roots', 'manufacturer.pem'));
  desk = await IssuerDesk.open({
    folder: issuerFolder,
    issuerSecret,
    chainId,
    chainKind: 'public',
    denominationGrains: DENOMINATION,
  });
  for (const each of members) running.push(await startMember(each, genesis, seeds()));
});

after(async () => {
  await Promise.all(running.map((each) => each.stop()));
  await Promise.all([...chips, ...replaced].map((emulator) => emulator.stop()));
  await rm(folder, { recursive: true, force: true });
});

const refusedBy = (code: LedgerErrorCode) => (error: unknown) =>
  error instanceof LedgerError && (error.code === code || assert.fail(`got ${error.code}`));
const send = (index: number, body: TransactionBody) => node(index).wallet.submit(body);

test('the issuer endorses four chips and refuses the fifth, which a foreign authority certified', async () => {
  for (const { tpm } of members) {
    const answer = await desk.answer(formatRequest(await createRequest(tpm, chainId)));
    endorsements.push(await openAnswer(tpm, parseAnswer(answer)));
  }
  await assert.rejects(
    desk.answer(formatRequest(await createRequest(foreign, chainId))),
    (error) => error instanceof IssuerError && error.code === 'emulator-refused',
  );
});

test('four claims become final on every node and bring the denomination', async () => {
  for (const index of members.keys()) await send(index, await claimOf(index));
  for (const { tpm, person } of members) {
    const { ekId } = await tpm.ek();
    for (const { chain } of running) {
      await until(() => chain.state.read(TPMS, ekId) !== undefined, 20_000, 'a claim on every node');
      const claimed = chain.state.read(TPMS, ekId);
      assert.equal(claimed?.ownerId, person.accountId);
      assert.equal(claimed?.nodeId, person.nodeId);
      assert.equal(claimed?.denominationGrains, DENOMINATION);
    }
  }
});

test('what is not a first claim by a chip’s owner is refused, each with its own code', async () => {
  await assert.rejects(send(0, await claimOf(0)), refusedBy('already-claimed'));
  await assert.rejects(send(1, await claimOf(0)), refusedBy('attest-extra'));
  const thief = { ...member(1).person, nodeId: member(1).person.nodeId };
  await assert.rejects(send(1, await claimOf(0, thief)), refusedBy('already-claimed'));
  const elsewhere = hashId<ChainId>(sha256(utf8('another chain')));
  const { tpm, person } = member(0);
  const policy = {
    chainId: elsewhere,
    chainKind: 'dev',
    pinned: [],
    denominationGrains: DENOMINATION,
  } as const;
  const software = await openTpm(`software:${join(folder, 'software')}`, 'dev');
  const request = await createRequest(software, elsewhere);
  const dev = await openAnswer(
    software,
    await endorse(request, issuerSecret, policy, memoryIssuerLog(), Date.now()),
  );
  await assert.rejects(
    send(0, await makeClaim(software, person, chainId, dev)),
    refusedBy('endorsement-chain'),
  );
  const own = await openAnswer(
    software,
    await endorse(
      { ...request, chainId },
      person.accountSecret,
      { ...policy, chainId },
      memoryIssuerLog(),
      Date.now(),
    ),
  );
  await assert.rejects(send(0, await makeClaim(software, person, chainId, own)), refusedBy('issuer-unknown'));
  const careless = await openAnswer(
    software,
    await endorse(
      { ...request, chainId },
      issuerSecret,
      { ...policy, chainId },
      memoryIssuerLog(),
      Date.now(),
    ),
  );
  await assert.rejects(
    send(0, await makeClaim(software, person, chainId, careless)),
    refusedBy('software-tpm-refused'),
  );
  await assert.rejects(
    desk.answer(formatRequest({ ...request, chainId })),
    (error) => error instanceof IssuerError && error.code === 'software-refused',
  );
  await assert.rejects(
    openTpm(`software:${join(folder, 'software')}`, 'public'),
    (error) => error instanceof TpmError && error.code === 'unsupported',
  );
  await assert.rejects(
    send(0, await makeClaim(tpm, person, chainId, endorsementOf(1))),
    refusedBy('attest-signer'),
  );
});

test('after a restart of machine and chip, the chip unseals the keys and the node goes on', async () => {
  await node(3).stop();
  await chips[3]?.stop();
  const tpm = await switchOn(emulatorFolder(join(folder, 'chips'), CHIPS));
  const home = member(3).folder;
  const person = await openKeystore(home, protection(tpm));
  assert.deepEqual(person, member(3).person);
  members[3] = { ...member(3), person, tpm };
  running[3] = await startMember(member(3), genesis, seeds());
  await send(3, { kind: 'transfer', to: member(0).person.accountId, amountGrains: grains(1), memo: '' });
});

test('a data folder that moved to another machine does not open and says why', async () => {
  const moved = join(folder, 'moved');
  await cp(member(0).folder, moved, { recursive: true });
  await assert.rejects(openKeystore(moved, protection(member(1).tpm)), (error) => {
    assert.ok(error instanceof KeystoreError);
    assert.equal(error.code, 'wrong-chip');
    return /sealed to the TPM/.test(error.message);
  });
});

test('after the loss of a disk the words and the chip bring account and node back', async () => {
  await node(2).stop();
  const { tpm, person: lost, port } = member(2);
  const home = join(folder, 'home-again');
  const { words: _, ...person } = await createKeystore(home, {
    protection: protection(tpm),
    words: words[2] as string,
  });
  assert.equal(person.accountId, lost.accountId);
  assert.notEqual(person.nodeId, lost.nodeId);
  members[2] = { person, folder: home, tpm, port };
  running[2] = await startMember(member(2), genesis, seeds());
  const { ekId } = await tpm.ek();
  await until(
    () => node(2).chain.state.read(TPMS, ekId) !== undefined,
    20_000,
    'the restored node to catch up',
  );
  const rebind = await makeRebind(tpm, person, chainId, endorsementOf(2));
  await assert.rejects(send(1, { ...rebind, ekId: (await member(0).tpm.ek()).ekId }), refusedBy('not-owner'));
  await send(2, rebind);
  for (const { chain } of running) {
    await until(() => chain.state.read(TPMS, ekId)?.nodeId === person.nodeId, 20_000, 'the new binding');
    assert.equal(chain.state.read(NODES, lost.nodeId), undefined);
    assert.equal(chain.state.read(NODES, person.nodeId)?.ekId, ekId);
  }
});
