import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after, afterEach, before } from 'node:test';
import { pino } from 'pino';
import { utf8 } from '../../ledger/bytes.ts';
import { publicKeyOf, sign } from '../../ledger/crypto/secp256k1.ts';
import { sha256 } from '../../ledger/crypto/sha256.ts';
import { grains } from '../../ledger/grains.ts';
import { type AccountId, type ChainId, type EkId, hashId, keyId, type NodeId } from '../../ledger/ids.ts';
import { encodeTransaction, signTransaction, type TransactionBody } from '../../ledger/transaction.ts';
import { KIND } from '../network/kinds.ts';
import { Network } from '../network/network.ts';
import { NetworkError } from '../network/network-error.ts';
import { type AdmissionOptions, guardAdmission } from './admission.ts';
import { createRequest, endorse, openAnswer } from './issuer.ts';
import { memoryIssuerLog } from './issuer-log.ts';
import { openTpm } from './open.ts';
import type { Tpm } from './tpm.ts';

const secret = (name: string) => sha256(utf8(name));
const chainId = hashId<ChainId>(secret('chain'));
const issuerSecret = secret('issuer');
const issuers = [keyId<AccountId>(publicKeyOf(issuerSecret))];
const nodeIdOf = (name: string) => keyId<NodeId>(publicKeyOf(secret(name)));

interface OwnChip {
  readonly tpm: Tpm;
  readonly endorsement: Uint8Array;
  readonly ekId: EkId;
}

let folder: string;
let chip: OwnChip;
let stranger: OwnChip;
const open: Network[] = [];

async function makeChip(name: string): Promise<OwnChip> {
  const tpm = await openTpm(`software:${join(folder, name)}`, 'dev');
  const policy = { chainId, chainKind: 'dev', pinned: [], denominationGrains: grains(1n) } as const;
  const request = await createRequest(tpm, chainId);
  const answer = await endorse(request, issuerSecret, policy, memoryIssuerLog(), 0);
  return { tpm, endorsement: await openAnswer(tpm, answer), ekId: (await tpm.ek()).ekId };
}

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'blocktree-admission-'));
  chip = await makeChip('chip');
  stranger = await makeChip('stranger');
});
afterEach(async () => {
  await Promise.all(open.splice(0).map((network) => network.close()));
});
after(() => rm(folder, { recursive: true, force: true }));

async function node(name: string, seeds: readonly string[]): Promise<Network> {
  const network = await Network.open({
    chainId,
    nodeSecret: secret(name),
    host: '127.0.0.1',
    port: 0,
    advertise: [],
    seeds,
    records: { load: () => [], save: () => undefined },
    logger: pino({ level: 'silent' }),
  });
  open.push(network);
  return network;
}

/** A host that guards itself, and a guest that connects to it; the ledger binds the guest's key to `bound`. */
async function meet(
  mode: AdmissionOptions['mode'],
  bound: EkId | undefined,
  own: { readonly tpm: Tpm; readonly endorsement: Uint8Array } | undefined,
): Promise<Network> {
  const host = await node('host', []);
  const ekOf = (nodeId: NodeId) => (nodeId === nodeIdOf('guest') ? bound : undefined);
  for (const kind of [KIND.getBlocks, KIND.challenge, KIND.transaction])
    host.handle(kind, 10_000, (_, body) => body);
  guardAdmission({ mode, network: host, chainId, issuers, ekOf, own: async () => undefined });
  const guest = await node('guest', [host.address]);
  guardAdmission({
    mode: 'claimed',
    network: guest,
    chainId,
    issuers,
    ekOf: () => undefined,
    own: async () => own,
  });
  await new Promise<void>((resolve) => {
    if (guest.connected(host.nodeId)) resolve();
    else guest.onPeer(() => resolve());
  });
  return guest;
}

const ask = (guest: Network, kind: number, body = utf8('hello')) =>
  guest.request(nodeIdOf('host'), kind, body);
const refused = (error: unknown) => error instanceof NetworkError && error.remoteCode === 'not-admitted';

function transaction(body: TransactionBody): Uint8Array {
  const accountId = keyId<AccountId>(publicKeyOf(secret('owner')));
  const unsigned = { chainId, sender: accountId, nonce: 0, feeGrains: grains(1n), body };
  return encodeTransaction(signTransaction(unsigned, secret('owner')));
}

test('who has no claimed chip may sync, read, claim and rebind, nothing else', async () => {
  const guest = await meet('claimed', undefined, undefined);
  assert.equal((await ask(guest, KIND.getBlocks)).length, 5);
  await assert.rejects(ask(guest, KIND.challenge), refused);
  const to = keyId<AccountId>(publicKeyOf(secret('owner')));
  const transfer = transaction({ kind: 'transfer', to, amountGrains: grains(1n), memo: '' });
  await assert.rejects(ask(guest, KIND.transaction, transfer), refused);
  await assert.rejects(ask(guest, KIND.transaction, utf8('junk')), refused);
  const { attest, signature } = await chip.tpm.attest(secret('any'));
  const { endorsement } = chip;
  const nodeSignature = sign(secret('any'), secret('guest'));
  const nodeId = nodeIdOf('guest');
  const statement = { endorsement, attest, attestSignature: signature, nodeId, nodeSignature };
  const claim = transaction({ kind: 'claim', ...statement });
  assert.equal((await ask(guest, KIND.transaction, claim)).length, claim.length);
  const rebind = transaction({ kind: 'rebind', ekId: chip.ekId, ...statement });
  assert.equal((await ask(guest, KIND.transaction, rebind)).length, rebind.length);
});

test('a claimed chip opens everything', async () => {
  const guest = await meet('claimed', chip.ekId, undefined);
  assert.equal((await ask(guest, KIND.challenge)).length, 5);
});

test('where a quote is demanded, the chip behind the key answers and is let in', async () => {
  const guest = await meet('quote', chip.ekId, chip);
  const answers = await Promise.all([1, 2, 3].map(() => ask(guest, KIND.challenge)));
  assert.equal(answers.length, 3);
});

test('a stolen key without its chip does not get in, nor with another chip', async () => {
  const bare = await meet('quote', chip.ekId, undefined);
  assert.equal((await ask(bare, KIND.getBlocks)).length, 5);
  await assert.rejects(ask(bare, KIND.challenge), refused);
  await Promise.all(open.splice(0).map((network) => network.close()));
  const other = await meet('quote', chip.ekId, stranger);
  await assert.rejects(ask(other, KIND.challenge), refused);
  await Promise.all(open.splice(0).map((network) => network.close()));
  const borrowed = await meet('quote', chip.ekId, { tpm: stranger.tpm, endorsement: chip.endorsement });
  await assert.rejects(ask(borrowed, KIND.challenge), refused);
});

test('a quote for one connection is worth nothing on another', async () => {
  const kept = await chip.tpm.attest(secret('another connection'));
  const recorded: Tpm = Object.create(chip.tpm, { attest: { value: async () => kept } });
  const guest = await meet('quote', chip.ekId, { tpm: recorded, endorsement: chip.endorsement });
  await assert.rejects(ask(guest, KIND.challenge), refused);
});
