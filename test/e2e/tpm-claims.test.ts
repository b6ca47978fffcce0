import assert from 'node:assert/strict';
import { cp, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after, before } from 'node:test';
import { pino } from 'pino';
import { toHex, utf8 } from '../../ledger/bytes.ts';
import { publicKeyOf } from '../../ledger/crypto/secp256k1.ts';
import { sha256 } from '../../ledger/crypto/sha256.ts';
import { chainIdOf, DEFAULT_PARAMETERS, type Genesis, genesisToJson } from '../../ledger/genesis.ts';
import { grains } from '../../ledger/grains.ts';
import {
  type AccountId,
  accountAddress,
  type ChainId,
  type Hash,
  hashId,
  keyId,
  type NodeId,
  parseAccountAddress,
  parseNodeAddress,
} from '../../ledger/ids.ts';
import {
  type BodyOf,
  encodeTransaction,
  signTransaction,
  type TransactionBody,
} from '../../ledger/transaction.ts';
import { type Keys, openKeystore } from '../../node/keys/keystore.ts';
import { KIND } from '../../node/network/kinds.ts';
import { Network } from '../../node/network/network.ts';
import { NetworkError } from '../../node/network/network-error.ts';
import { guardAdmission } from '../../node/tpm/admission.ts';
import { readCertificate } from '../../node/tpm/certificate.ts';
import { makeClaim } from '../../node/tpm/claim-body.ts';
import {
  type Emulator,
  emulatorAuthority,
  emulatorFolder,
  manufactureEmulator,
  startEmulator,
  startEmulators,
} from '../../node/tpm/emulator.ts';
import { createRequest, endorse, openAnswer } from '../../node/tpm/issuer.ts';
import { memoryIssuerLog } from '../../node/tpm/issuer-log.ts';
import { openTpm } from '../../node/tpm/open.ts';
import type { Tpm } from '../../node/tpm/tpm.ts';
import { blocktree, Machine, Refusal } from '../support/machine.ts';
import { until } from '../support/until.ts';

/**
 * A public network of machines with emulated chips, each a process, run through the command line: claims, theft, loss.
 * Chips 1 to 4 and the spare are certified by the authority that the issuer pins, chip 5 by another.
 */

const FOUNDERS = [1, 2, 3, 4] as const;
const OUTSIDER = 5;
const SPARE_CHIP = 5;
const DENOMINATION = 1_000_000_000_000n;
const PORT = 31_000 + 40 * Math.floor(Math.random() * 100);
const issuerSecret = sha256(utf8('issuer of the TPM test'));

let folder: string;
let genesis: Genesis;
let chainId: ChainId;
let chips: Emulator[] = [];
let foreign: Emulator;
const machines = new Map<number, Machine>();
const ids = new Map<number, Ids>();

interface Ids {
  readonly accountId: string;
  readonly nodeId: string;
  readonly ekId: string;
}
interface Claimed {
  readonly ownerId: string;
  readonly nodeId: string;
  readonly denominationGrains: string;
}

const machine = (n: number) => machines.get(n) as Machine;
const idsOf = (n: number) => ids.get(n) as Ids;
const specOf = (n: number) => (n === OUTSIDER ? foreign : (chips[n - 1] as Emulator)).spec;
const file = (name: string) => join(folder, name);

/** `blocktree init` on a machine that has this chip; its settings are kept in its data folder. */
async function makeMachine(n: number, spec: string, home: string, more: readonly string[] = [], input = '') {
  const words = ['--network', file('network.json'), '--tpm-device', spec, '--link-admission', 'quote'];
  const seeds = FOUNDERS.map((founder) => `127.0.0.1:${PORT + founder}`).join(',');
  const ports = ['--link-port', `${PORT + n}`, '--console-port', `${PORT + 20 + n}`];
  const network = ['--link-host', '127.0.0.1', '--link-advertise', `127.0.0.1:${PORT + n}`];
  ids.set(
    n,
    await blocktree<Ids>(
      [
        '--data',
        home,
        'init',
        ...words,
        ...ports,
        ...network,
        '--link-seeds',
        seeds,
        '--log-file',
        'node.log',
        ...more,
      ],
      input,
    ),
  );
  machines.set(n, new Machine(home, PORT + 20 + n));
}

async function foundNetwork(committee: Genesis['committee']): Promise<void> {
  genesis = {
    name: 'tpm-test',
    timestampMs: Date.now(),
    kind: 'public',
    issuers: [keyId<AccountId>(publicKeyOf(issuerSecret))],
    committee,
    parameters: DEFAULT_PARAMETERS,
  };
  chainId = chainIdOf(genesis);
  await writeFile(file('network.json'), JSON.stringify(genesisToJson(genesis)));
}

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bt-'));
  const started = await startEmulators(file('chips'), SPARE_CHIP);
  chips = [...started.chips];
  await manufactureEmulator(file('foreign'), file('foreign-authority'));
  foreign = await startEmulator(file('foreign'));
  await mkdir(file('issuer/issuer/roots'), { recursive: true });
  await cp(started.authority, file('issuer/issuer/roots/manufacturer.pem'));
  await writeFile(file('issuer/issuer-key'), toHex(issuerSecret));
  // Founders make their keys before there is a network to name them in.
  const nobody = publicKeyOf(sha256(utf8('nobody')));
  await foundNetwork([
    {
      seatId: toHex(sha256(nobody)) as Hash,
      nodeId: keyId<NodeId>(nobody),
      accountId: keyId<AccountId>(nobody),
    },
  ]);
  for (const n of [...FOUNDERS, OUTSIDER]) await makeMachine(n, specOf(n), file(`home-${n}`));
  await foundNetwork(
    FOUNDERS.map((n) => ({
      seatId: idsOf(n).ekId as Hash,
      nodeId: parseNodeAddress(idsOf(n).nodeId),
      accountId: parseAccountAddress(idsOf(n).accountId),
    })),
  );
  for (const { folder: home } of machines.values())
    await cp(file('network.json'), join(home, 'network.json'));
  await Promise.all([...machines.values()].map((each) => each.start()));
});

after(async () => {
  await Promise.all([...machines.values()].map((each) => each.stop()));
  await Promise.all([...chips, foreign].map((chip) => chip?.stop()));
  await rm(folder, { recursive: true, force: true });
});

const refusedWith =
  (code: string, exitCode = 1) =>
  (error: unknown) =>
    error instanceof Refusal &&
    (error.code === code || assert.fail(`${error.code}: ${error.message}`)) &&
    error.exitCode === exitCode;

/** Owner's request and issuer's answer, both as files, both by the command line. */
async function endorsed(n: number, home = machine(n).folder): Promise<string> {
  const [request, answer] = [file(`request-${n}.json`), file(`answer-${n}.json`)];
  await blocktree(['--data', home, 'tpm', 'request', request]);
  const issuer = ['--issuer', file('issuer'), '--denomination', '1000'];
  await blocktree(['--data', home, 'tpm', 'endorse', request, answer, ...issuer]);
  return answer;
}

/** Everything that the owner of machine `n` holds: what a thief inside it would have. */
async function loot(n: number): Promise<{ tpm: Tpm; keys: Keys; endorsement: Uint8Array }> {
  const tpm = await openTpm(specOf(n), 'public');
  const keys = await openKeystore(machine(n).folder, { kind: 'tpm', tpm });
  const text = await readFile(join(machine(n).folder, 'endorsement.hex'), 'utf8').catch(() => '');
  return { tpm, keys, endorsement: Uint8Array.from(Buffer.from(text.trim(), 'hex')) };
}

/** Signs a transaction as an attacker's own program would, and hands it to a node. */
async function offer(
  { accountId, accountSecret }: Pick<Keys, 'accountId' | 'accountSecret'>,
  body: TransactionBody,
): Promise<string | undefined> {
  const { nonce } = (await machine(1).get<{ nonce: number }>(
    `/ledger/accounts/${accountAddress(accountId)}`,
  )) ?? { nonce: 0 };
  const unsigned = { chainId, sender: accountId, nonce, feeGrains: grains(1_000n), body };
  return machine(1).submit(encodeTransaction(signTransaction(unsigned, accountSecret)));
}

test('the issuer endorses four chips and refuses the fifth, which a foreign authority certified', async () => {
  for (const n of FOUNDERS) await endorsed(n);
  await assert.rejects(endorsed(OUTSIDER), refusedWith('emulator-refused'));
  const log = await readFile(file('issuer/issuer/endorsements.jsonl'), 'utf8');
  assert.equal(log.trim().split('\n').length, FOUNDERS.length);
});

test('a chip is not endorsed a second time with another denomination', async () => {
  const words = ['--issuer', file('issuer'), '--denomination', '2000'];
  const again = machine(1).cli('tpm', 'endorse', file('request-1.json'), file('dearer.json'), ...words);
  await assert.rejects(again, refusedWith('denomination-changed'));
});

test('four claims become final on every machine and bring the denomination', async () => {
  for (const n of FOUNDERS) await machine(n).cli('tpm', 'claim', file(`answer-${n}.json`));
  for (const n of FOUNDERS) {
    for (const each of machines.values()) {
      const path = `/ledger/tpms/${idsOf(n).ekId}`;
      await until(async () => (await each.get(path)) !== undefined, 20_000, 'a claim on every machine');
      const claimed = (await each.get<Claimed>(path)) as Claimed;
      assert.equal(claimed.ownerId, idsOf(n).accountId);
      assert.equal(claimed.nodeId, idsOf(n).nodeId);
      assert.equal(BigInt(claimed.denominationGrains), DENOMINATION);
    }
  }
});

test('a claim that was final is refused when it comes again', async () => {
  await assert.rejects(machine(1).cli('tpm', 'claim'), refusedWith('already-claimed'));
  const { items } = (await machine(1).get<{ items: { transactionId: string; reason: string }[] }>(
    `/ledger/accounts/${idsOf(1).accountId}/history`,
  )) as { items: { transactionId: string; reason: string }[] };
  const id = items.find(({ reason }) => reason === 'claim')?.transactionId;
  const final = (await machine(1).get(`/ledger/transactions/${id}`)) as {
    nonce: number;
    feeGrains: string;
    body: Record<'endorsement' | 'attest' | 'attestSignature' | 'nodeSignature' | 'nodeId', string>;
  };
  const bytes = (hex: string) => Uint8Array.from(Buffer.from(hex, 'hex'));
  const { keys } = await loot(1);
  const body: BodyOf<'claim'> = {
    kind: 'claim',
    endorsement: bytes(final.body.endorsement),
    attest: bytes(final.body.attest),
    attestSignature: bytes(final.body.attestSignature),
    nodeId: parseNodeAddress(final.body.nodeId),
    nodeSignature: bytes(final.body.nodeSignature),
  };
  const { nonce, feeGrains } = final;
  const unsigned = { chainId, sender: keys.accountId, nonce, feeGrains: grains(BigInt(feeGrains)), body };
  const recorded = encodeTransaction(signTransaction(unsigned, keys.accountSecret));
  assert.equal(await machine(1).submit(recorded), 'bad-nonce');
  assert.equal(await offer(keys, body), 'already-claimed');
  // The same statement under another account: the chip's quote names the account it was made for.
  const thief = (await loot(OUTSIDER)).keys;
  assert.equal(await offer(thief, body), 'attest-extra');
});

test('a chip that one account claimed cannot be claimed by another, with the chip in hand', async () => {
  const { tpm, endorsement } = await loot(1);
  const { keys } = await loot(OUTSIDER);
  assert.equal(await offer(keys, await makeClaim(tpm, keys, chainId, endorsement)), 'already-claimed');
  assert.equal(await machine(2).get(`/ledger/tpms/${idsOf(OUTSIDER).ekId}`), undefined);
});

test('an endorsement for another chain or another chip is refused', async () => {
  const { tpm, keys, endorsement } = await loot(2);
  const elsewhere = hashId<ChainId>(sha256(utf8('another chain')));
  const policy = { chainId: elsewhere, chainKind: 'public', denominationGrains: grains(1n) } as const;
  const foreignTpm = await openTpm(specOf(OUTSIDER), 'public');
  const request = await createRequest(foreignTpm, elsewhere);
  const pinned = [
    readCertificate(await readFile(emulatorAuthority(file('foreign-authority')).issuer, 'utf8')),
  ];
  const answer = await endorse(request, issuerSecret, { ...policy, pinned }, memoryIssuerLog(), Date.now());
  const { keys: outsider } = await loot(OUTSIDER);
  const claim = await makeClaim(foreignTpm, outsider, chainId, await openAnswer(foreignTpm, answer));
  assert.equal(await offer(outsider, claim), 'endorsement-chain');
  const crossed = await makeClaim(foreignTpm, outsider, chainId, endorsement);
  assert.equal(await offer(outsider, crossed), 'attest-signer');
  assert.equal(await offer(keys, await makeClaim(tpm, keys, chainId, endorsement)), 'already-claimed');
  // The owner's side notices too, before anything is sent.
  await assert.rejects(
    machine(OUTSIDER).cli('tpm', 'claim', file('answer-2.json')),
    refusedWith('wrong-chip'),
  );
});

test('a software key that pretends to be a chip is refused by machine, issuer and ledger', async () => {
  const software = `software:${file('software.json')}`;
  const words = [
    '--data',
    file('pretender'),
    'init',
    '--network',
    file('network.json'),
    '--tpm-device',
    software,
  ];
  await assert.rejects(blocktree(words), refusedWith('unsupported'));
  const tpm = await openTpm(software, 'dev');
  const { keys } = await loot(OUTSIDER);
  const request = await createRequest(tpm, chainId);
  const honest = { chainId, chainKind: 'public', pinned: [], denominationGrains: grains(1n) } as const;
  const log = memoryIssuerLog();
  const asIssuer = (claimedKind: 'tpm2' | 'software', rules: { chainKind: 'public' | 'dev' }) =>
    endorse({ ...request, kind: claimedKind }, issuerSecret, { ...honest, ...rules }, log, Date.now());
  await assert.rejects(asIssuer('software', { chainKind: 'public' }), { code: 'software-refused' });
  await assert.rejects(asIssuer('tpm2', { chainKind: 'public' }), { code: 'certificate-missing' });
  const careless = await openAnswer(tpm, await asIssuer('software', { chainKind: 'dev' }));
  assert.equal(await offer(keys, await makeClaim(tpm, keys, chainId, careless)), 'software-tpm-refused');
  const rules = { ...honest, chainKind: 'dev' } as const;
  const own = await endorse(request, keys.accountSecret, rules, memoryIssuerLog(), Date.now());
  const claim = await makeClaim(tpm, keys, chainId, await openAnswer(tpm, own));
  assert.equal(await offer(keys, claim), 'issuer-unknown');
});

/** What a node answers to one who has the key of machine 4, and its chip or not. */
async function askWithKeyOf4(withChip: boolean): Promise<string | undefined> {
  const { tpm, keys, endorsement } = await loot(4);
  const guest = await Network.open({
    chainId,
    nodeSecret: keys.nodeSecret,
    host: '127.0.0.1',
    port: 0,
    advertise: [],
    seeds: [`127.0.0.1:${PORT + 1}`],
    records: { load: () => [], save: () => undefined },
    logger: pino({ level: 'silent' }),
  });
  try {
    guardAdmission({
      mode: 'claimed',
      network: guest,
      chainId,
      issuers: genesis.issuers,
      ekOf: () => undefined,
      own: async () => (withChip ? { tpm, endorsement } : undefined),
    });
    const host = parseNodeAddress(idsOf(1).nodeId);
    await until(() => guest.connected(host), 15_000, 'the link');
    await guest.request(host, KIND.challenge, utf8('not a challenge'));
    return undefined;
  } catch (error) {
    if (error instanceof NetworkError) return error.remoteCode;
    throw error;
  } finally {
    await guest.close();
  }
}

test('a stolen key does not get in without its chip', async () => {
  await machine(4).kill();
  assert.equal(await askWithKeyOf4(false), 'not-admitted');
  // Let in, and judged by what it asks.
  assert.equal(await askWithKeyOf4(true), 'malformed');
});

test('after kill -9 and a restart of the machine the chip unseals the keys and the node goes on', async () => {
  await chips[3]?.stop();
  await assert.rejects(machine(4).start(), /cannot be opened/);
  chips[3] = await startEmulator(emulatorFolder(file('chips'), 4));
  await machine(4).start();
  await machine(4).cli('wallet', 'send', idsOf(1).accountId, '1.5');
  assert.deepEqual((await machine(4).cli<Ids>('tpm', 'info')).ekId, idsOf(4).ekId);
});

test('keys and endorsement are private, and no log holds a secret', async () => {
  const { keys } = await loot(4);
  for (const name of ['keys.json', 'endorsement.hex', 'api-token', 'node.log'])
    assert.equal((await stat(join(machine(4).folder, name))).mode & 0o077, 0, name);
  const { words } = await machine(4).cli<{ words: string }>('wallet', 'backup');
  const log = await readFile(join(machine(4).folder, 'node.log'), 'utf8');
  const secrets = [keys.accountSecret, keys.nodeSecret, keys.filesSecret].map(toHex);
  for (const secret of [...secrets, words]) assert.ok(!log.includes(secret));
});

test('a data folder that moved to another machine does not start and says why', async () => {
  const moved = new Machine(file('moved'), PORT + 30);
  await cp(machine(1).folder, moved.folder, { recursive: true });
  const config = join(moved.folder, 'blocktree.toml');
  const text = await readFile(config, 'utf8');
  await writeFile(config, text.replace(specOf(1), specOf(2)));
  await assert.rejects(moved.cli('start'), (error) => {
    assert.match((error as Error).message, /sealed to the TPM [0-9a-f]{16}…, this machine has/);
    return refusedWith('wrong-chip')(error);
  });
  await assert.rejects(moved.cli('wallet', 'backup'), refusedWith('wrong-chip'));
  await writeFile(config, text.replace(specOf(1), `unix:${file('no-chip')}`));
  await assert.rejects(moved.cli('start'), refusedWith('unavailable'));
});

test('after the loss of a disk the words and the chip bring account and node back', async () => {
  const lost = idsOf(3);
  const { words } = await machine(3).cli<{ words: string }>('wallet', 'backup');
  await machine(3).stop();
  await makeMachine(3, specOf(3), file('home-again'), ['--restore'], `${words}\n`);
  assert.equal(idsOf(3).accountId, lost.accountId);
  assert.notEqual(idsOf(3).nodeId, lost.nodeId);
  await machine(3).start();
  const path = `/ledger/tpms/${lost.ekId}`;
  await until(
    async () => (await machine(3).get(path)) !== undefined,
    30_000,
    'the restored node to catch up',
  );
  await machine(3).cli('tpm', 'rebind');
  for (const each of machines.values()) {
    const bound = async () => (await each.get<Claimed>(path))?.nodeId === idsOf(3).nodeId;
    await until(bound, 20_000, 'the new binding');
  }
  await machine(3).cli('wallet', 'send', idsOf(1).accountId, '1');
});

test('after the loss of machine and chip the words bring the account back, and a new chip joins it', async () => {
  const { words } = await machine(2).cli<{ words: string }>('wallet', 'backup');
  const lost = idsOf(2);
  const spare = chips[SPARE_CHIP - 1] as Emulator;
  await makeMachine(6, spare.spec, file('home-new'), ['--restore'], words.replaceAll(' ', '\n'));
  assert.equal(idsOf(6).accountId, lost.accountId);
  await machine(6).start();
  const caughtUp = async () => (await machine(6).get(`/ledger/tpms/${lost.ekId}`)) !== undefined;
  await until(caughtUp, 30_000, 'the new machine to catch up');
  await machine(6).cli('tpm', 'claim', await endorsed(6));
  const balance = await machine(6).cli<{ balanceGrains: string }>('wallet', 'balance');
  assert.ok(BigInt(balance.balanceGrains) > (DENOMINATION * 19n) / 10n);
  await machine(6).cli('wallet', 'send', idsOf(1).accountId, '1');
});
