import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { beforeEach, test } from 'node:test';
import { verify } from '../../ledger/crypto/secp256k1.ts';
import { grains } from '../../ledger/grains.ts';
import { type ContractId, type Hash, hashId, idBytes, type NodeId } from '../../ledger/ids.ts';
import { FRAGMENT_BYTES, fragmentRoot, leafHash, verifyMerkleProof } from '../../ledger/merkle.ts';
import { pairKey } from '../../ledger/state/contract-due.ts';
import { accountOf } from '../../ledger/state/draft.ts';
import { PAIRS, type StorageContract } from '../../ledger/state/entities.ts';
import { type StorageOffer, type StorageTerms, termsDigest } from '../../ledger/storage-formats.ts';
import { LedgerWorld, type Person } from '../../test/support/ledger-world.ts';
import { MemoryShelf, MemoryStore } from '../../test/support/memory-storage.ts';
import { MarketError, type MarketErrorCode } from '../errors.ts';
import { commitmentOf } from '../fragment-list.ts';
import type { MarketLedger } from '../interfaces.ts';
import { Host, PENDING_BYTES_MAX } from './host.ts';
import { PROPOSALS_MAX, Proposals } from './proposals.ts';
import { scrub } from './scrub.ts';

const OFFER: StorageOffer = {
  priceGrainsPerGiBPeriod: grains(1_024_000),
  egressGrainsPerGiB: grains(1_024),
  collateralPercent: 50,
  freeBytes: 0,
  periodsMin: 2,
  periodsMax: 100,
};

let world: LedgerWorld;
let renter: Person;
let owner: Person;
let shelf: MemoryShelf;
let store: MemoryStore;
let host: Host;
let offer: StorageOffer | undefined;
let nowMs = 0;

function viewOf(person: Person): MarketLedger {
  const between = (renterId: Person['accountId'], nodeId: NodeId) => {
    const ekId = world.people.find((one) => one.nodeId === nodeId)?.ekId as Person['ekId'];
    const id = world.state.read(PAIRS, pairKey(renterId, ekId))?.contractId;
    const contract = id && world.contract(id);
    return id === undefined || contract === undefined ? undefined : { id, contract };
  };
  return {
    chainId: world.rules.chainId,
    parameters: world.rules.parameters,
    accountId: person.accountId,
    nodeId: person.nodeId,
    period: () => world.period,
    periodProgress: () => 0,
    beacon: () => undefined,
    balanceGrains: (id) => accountOf(world.state, id).balanceGrains,
    contract: (id) => world.contract(id),
    contractBetween: between,
    contractsOf: async () => world.people.flatMap((one) => between(one.accountId, person.nodeId) ?? []),
    hostNodeOf: () => person.nodeId,
    offers: async () => [],
    offerOf: () => offer,
    ownOffer: () => offer,
  };
}

const fragment = () => {
  const bytes = new Uint8Array(randomBytes(FRAGMENT_BYTES));
  return { bytes, root: hashId<Hash>(fragmentRoot(bytes)) };
};
const refuses = (code: MarketErrorCode, task: () => Promise<unknown>) =>
  assert.rejects(task, (error) => error instanceof MarketError && error.code === code);

function termsOver(roots: readonly Hash[], more: Partial<StorageTerms> = {}): StorageTerms {
  const { root, leafCount } = commitmentOf(roots);
  return {
    hostNodeId: owner.nodeId,
    priceGrainsPerGiBPeriod: OFFER.priceGrainsPerGiBPeriod,
    egressGrainsPerGiB: OFFER.egressGrainsPerGiB,
    root,
    leafCount,
    startPeriod: world.period + 1,
    endPeriod: world.period + 10,
    escrowGrains: grains(1_000 * 10 * roots.length + 100),
    collateralGrains: grains(500 * 10 * roots.length),
    ...more,
  };
}

/** A contract over fragments that were sent first. */
async function contract(count: number): Promise<{ id: ContractId; roots: Hash[] }> {
  const fragments = Array.from({ length: count }, fragment);
  for (const { root, bytes } of fragments) await host.storeFragment(renter.accountId, root, bytes);
  const roots = fragments.map(({ root }) => root);
  const terms = termsOver(roots);
  const hostSignature = await host.signTerms(renter.accountId, terms, roots);
  const { refused, ids } = world.block([[renter, { kind: 'storage.open', ...terms, hostSignature }]]);
  assert.equal(refused[0], undefined);
  const id = ids[0] as ContractId;
  await host.adopt(id, world.contract(id) as never);
  return { id, roots };
}

beforeEach(() => {
  world = new LedgerWorld(['proposer', 'renter', 'host']);
  [, renter, owner] = world.people as [Person, Person, Person];
  shelf = new MemoryShelf(() => 0);
  store = new MemoryStore();
  offer = OFFER;
  nowMs = 0;
  host = new Host({ ledger: viewOf(owner), shelf, store, nodeSecret: owner.nodeSecret, now: () => nowMs });
});

test('a host keeps what it agreed to and proves every leaf of it', async () => {
  const { id, roots } = await contract(3);
  const { root, leafCount } = commitmentOf(roots);
  const leaves = [0, 1_023, 1_024, 3_071];
  const proofs = await host.prove(id, 0, leaves);
  for (const [i, { leaf, path }] of proofs.entries()) {
    assert(
      verifyMerkleProof({
        root: idBytes(root),
        leafHash: leafHash(leaf),
        index: leaves[i] as number,
        leafCount,
        path: path.map(idBytes),
      }),
    );
  }
  await refuses('bad-range', () => host.prove(id, 0, [3_072]));
  assert.throws(() => host.answerChallenge(owner.accountId, id, 0, [0]), MarketError);
});

test('fragments are refused with the reason', async () => {
  const { root, bytes } = fragment();
  await refuses('wrong-size', () => host.storeFragment(renter.accountId, root, bytes.subarray(1)));
  await refuses('wrong-root', () => host.storeFragment(renter.accountId, fragment().root, bytes));
  await refuses('renter-out-of-escrow', () =>
    host.storeFragment('02'.padEnd(66, '0') as Person['accountId'], root, bytes),
  );
  shelf.limitBytes = 0;
  await refuses('no-room', () => host.storeFragment(renter.accountId, root, bytes));
  shelf.limitBytes = 10_000 * FRAGMENT_BYTES;
  offer = undefined;
  await refuses('not-offering', () => host.storeFragment(renter.accountId, root, bytes));
  offer = OFFER;
  for (let sent = 0; sent < PENDING_BYTES_MAX; sent += FRAGMENT_BYTES) {
    const next = new Uint8Array(FRAGMENT_BYTES);
    new DataView(next.buffer).setUint32(0, sent);
    await host.storeFragment(renter.accountId, hashId<Hash>(fragmentRoot(next)), next);
  }
  await refuses('too-many-bytes-in-flight', () => host.storeFragment(renter.accountId, root, bytes));
});

test('terms are signed only over what is held, at the price that is asked, with no more collateral than offered', async () => {
  const { root, bytes } = fragment();
  await refuses('bad-terms', () => host.signTerms(renter.accountId, termsOver([root]), [root]));
  await host.storeFragment(renter.accountId, root, bytes);
  const bad: [MarketErrorCode, Partial<StorageTerms>][] = [
    ['price-too-low', { priceGrainsPerGiBPeriod: grains(1) }],
    ['price-too-low', { egressGrainsPerGiB: grains(1) }],
    ['bad-terms', { collateralGrains: grains(5_001) }],
    ['bad-terms', { escrowGrains: grains(9_999) }],
    ['bad-terms', { endPeriod: 1 }],
    ['bad-terms', { endPeriod: 500, escrowGrains: grains(1_000_000) }],
    ['bad-terms', { startPeriod: 50, endPeriod: 60 }],
    ['bad-terms', { leafCount: 2_048 }],
    ['bad-terms', { hostNodeId: renter.nodeId }],
  ];
  for (const [code, change] of bad)
    await refuses(code, () => host.signTerms(renter.accountId, termsOver([root], change), [root]));
  const terms = termsOver([root]);
  const signature = await host.signTerms(renter.accountId, terms, [root]);
  assert(verify(signature, termsDigest(world.rules.chainId, renter.accountId, terms), idBytes(owner.nodeId)));
});

test('only the renter of a contract reads its fragments, and only while its escrow covers them', async () => {
  const { id, roots } = await contract(1);
  await refuses('contract-unknown', () => host.readFragment(owner.accountId, roots[0] as Hash));
  const price = 1; // 1,024 grains a GiB: a grain a fragment
  for (let read = 0; read < 100; read += price) await host.readFragment(renter.accountId, roots[0] as Hash);
  assert.equal(host.egressBytes(id), 100 * FRAGMENT_BYTES);
  await refuses('renter-out-of-escrow', () => host.readFragment(renter.accountId, roots[0] as Hash));
});

test('the sweep deletes what nobody covers, and nothing that a live contract does', async () => {
  const { roots } = await contract(2);
  const stray = fragment();
  await host.storeFragment(renter.accountId, stray.root, stray.bytes);
  assert.equal(await host.sweep(), 0);
  nowMs = 3_600_000;
  assert.equal(await host.sweep(), 1);
  assert(!shelf.has(stray.root));
  for (const root of roots) assert(shelf.has(root));
});

test('a restart keeps agreements that became final meanwhile', async () => {
  const { root, bytes } = fragment();
  await host.storeFragment(renter.accountId, root, bytes);
  const terms = termsOver([root]);
  const hostSignature = await host.signTerms(renter.accountId, terms, [root]);
  const { ids } = world.block([[renter, { kind: 'storage.open', ...terms, hostSignature }]]);
  const again = new Host({
    ledger: viewOf(owner),
    shelf,
    store,
    nodeSecret: owner.nodeSecret,
    now: () => nowMs,
  });
  await again.open();
  assert.equal((await again.prove(ids[0] as ContractId, 0, [5])).length, 1);
});

test('a host does not give what a disk made of a fragment for the fragment', async () => {
  const { id, roots } = await contract(1);
  const [root] = roots as [Hash];
  const bytes = shelf.kept.get(root) as Uint8Array;
  shelf.kept.set(
    root,
    bytes.map((byte, i) => (i === 9_999 ? byte ^ 1 : byte)),
  );
  await refuses('not-found', () => host.prove(id, 0, [0]));
  for (let period = 0; period < 30; period++)
    await scrub({ shelf, store, now: () => nowMs }, period, new AbortController().signal);
  assert.equal(await host.damagedFragments(), 1);
  await refuses('not-found', () => host.readFragment(renter.accountId, root));
  await refuses('not-synced', () => host.prove(id, 7, [0]));
});

test('what was signed is kept as long as the ledger would take it, however late that is', async () => {
  const fragments = Array.from({ length: 20 }, fragment);
  const signed: { terms: StorageTerms; hostSignature: Uint8Array; root: Hash }[] = [];
  for (const { root, bytes } of fragments) {
    await host.storeFragment(renter.accountId, root, bytes);
    const terms = termsOver([root]);
    signed.push({ terms, root, hostSignature: await host.signTerms(renter.accountId, terms, [root]) });
  }
  nowMs += 26 * 3_600_000;
  assert.equal(await host.sweep(), 0);
  const [first] = signed as [(typeof signed)[0]];
  const { ids, refused } = world.block([
    [renter, { kind: 'storage.open', ...first.terms, hostSignature: first.hostSignature }],
  ]);
  assert.equal(refused[0], undefined);
  const id = ids[0] as ContractId;
  // A sweep finds the contract before the host was told of it, and when nothing else can come of what was signed.
  world.turn();
  world.turn();
  assert.equal(await host.sweep(), 19);
  await host.adopt(id, world.contract(id) as never);
  assert.equal((await host.prove(id, 0, [7])).length, 1);
  assert.deepEqual(await store.range('proposed/'), []);
});

test('a renter cannot have more and more signed and take none of it to the ledger', async () => {
  const { root } = fragment();
  const owner = 'someone';
  const proposals = new Proposals(store, { period: () => 1, contract: () => undefined });
  for (let i = 0; i < PROPOSALS_MAX; i++)
    await proposals.keep(owner, `${i}`.padStart(64, '0') as Hash, [root], { kind: 'terms', startPeriod: 1 });
  await refuses('bad-terms', () =>
    proposals.keep(owner, 'f'.repeat(64) as Hash, [root], { kind: 'terms', startPeriod: 1 }),
  );
  await proposals.keep(owner, '0'.repeat(64) as Hash, [root], { kind: 'terms', startPeriod: 2 });
});

test('a fragment that is being deleted is not signed for, and can come again', async () => {
  const { root, bytes } = fragment();
  await host.storeFragment(renter.accountId, root, bytes);
  nowMs = 3_600_000;
  const remove = shelf.remove.bind(shelf);
  let release = (): void => undefined;
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  let reached = (): void => undefined;
  const removing = new Promise<void>((resolve) => {
    reached = resolve;
  });
  shelf.remove = async (roots) => {
    reached();
    await held;
    return remove(roots);
  };
  const sweeping = host.sweep();
  await removing;
  await refuses('bad-terms', () => host.signTerms(renter.accountId, termsOver([root]), [root]));
  const again = host.storeFragment(renter.accountId, root, bytes);
  const another = host.sweep();
  release();
  assert.equal(await sweeping, 1);
  assert.equal(await another, 1);
  await again;
  assert(shelf.has(root));
  await host.signTerms(renter.accountId, termsOver([root]), [root]);
});

test('what an upload over a slow line sent long ago is kept while more of it comes', async () => {
  const old = fragment();
  await host.storeFragment(renter.accountId, old.root, old.bytes);
  for (let minutes = 10; minutes <= 60; minutes += 10) {
    nowMs = minutes * 60_000;
    const { root, bytes } = fragment();
    await host.storeFragment(renter.accountId, root, bytes);
    assert.equal(await host.sweep(), 0);
  }
  nowMs += 16 * 60_000;
  assert.equal(await host.sweep(), 7);
});

test('what had come before a restart is kept for a while, and can still come under contract', async () => {
  const { root, bytes } = fragment();
  await host.storeFragment(renter.accountId, root, bytes);
  const ledger = viewOf(owner);
  const again = new Host({ ledger, shelf, store, nodeSecret: owner.nodeSecret, now: () => nowMs });
  await again.open();
  nowMs = 14 * 60_000;
  assert.equal(await again.sweep(), 0);
  await again.signTerms(renter.accountId, termsOver([root]), [root]);
  const stray = fragment();
  await again.storeFragment(renter.accountId, stray.root, stray.bytes);
  const third = new Host({ ledger, shelf, store, nodeSecret: owner.nodeSecret, now: () => nowMs });
  await third.open();
  nowMs = 16 * 60_000;
  assert.equal(await third.sweep(), 1);
  assert(shelf.has(root));
});

test('a host whose ledger is fetched again from the beginning keeps its newest agreements and deletes nothing', async () => {
  const { id, roots } = await contract(2);
  const old = world.contract(id) as StorageContract;
  const more = fragment();
  await host.storeFragment(renter.accountId, more.root, more.bytes);
  world.turn();
  const list = [...roots, more.root];
  const { root, leafCount } = commitmentOf(list);
  const revision = {
    ...{ contractId: id, revision: 1, root, leafCount, endPeriod: old.endPeriod },
    addedEscrowGrains: grains(20_000),
    addedCollateralGrains: grains(0),
  };
  const hostSignature = await host.signRevision(renter.accountId, revision, [more.root], []);
  const { refused } = world.block([[renter, { kind: 'storage.revise', ...revision, hostSignature }]]);
  assert.equal(refused[0], undefined);
  await host.adopt(id, world.contract(id) as StorageContract);
  world.turn();
  await host.sweep();

  const view = viewOf(owner);
  const early = new Host({
    ledger: { ...view, period: () => 0, contract: () => undefined, contractsOf: async () => [] },
    shelf,
    store,
    nodeSecret: owner.nodeSecret,
    now: () => nowMs,
  });
  await early.open();
  nowMs += 100 * world.rules.parameters.periodMs;
  assert.equal(await early.sweep(), 0);
  await early.adopt(id, old);
  assert.equal((await host.prove(id, 1, [2_100])).length, 1);
});

test('bytes that a renter never got are forgiven, a little with every receipt', async () => {
  const { id, roots } = await contract(1);
  for (let read = 0; read < 20; read++) await host.readFragment(renter.accountId, roots[0] as Hash);
  await host.agreeEgress(id, 2 * FRAGMENT_BYTES);
  assert.equal(host.egressBytes(id), 4 * FRAGMENT_BYTES);
  await host.agreeEgress(id, 3 * FRAGMENT_BYTES);
  assert.equal(host.egressBytes(id), 3 * FRAGMENT_BYTES);
});

test('what a contract covered is kept for a while after it is over', async () => {
  const { id, roots } = await contract(2);
  const [root] = roots as [Hash];
  while (world.contract(id) !== undefined) world.turn();
  await host.forget(id);
  nowMs = 3_600_000;
  assert.equal(await host.sweep(), 0);
  await refuses('contract-unknown', () => host.readFragment(renter.accountId, root));
  nowMs += 6 * world.rules.parameters.periodMs - 1;
  assert.equal(await host.sweep(), 0);
  nowMs += 1;
  assert.equal(await host.sweep(), 2);
  assert.deepEqual(
    [...store.rows.keys()].filter((key) => /^(list|over|egress|receipt)/.test(key)),
    [],
  );
});
