import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { sign } from '../../ledger/crypto/secp256k1.ts';
import type { ContractId, Hash } from '../../ledger/ids.ts';
import { LEAVES_PER_FRAGMENT } from '../../ledger/merkle.ts';
import { challengeLeaves, newestRoot } from '../../ledger/state/contract-terms.ts';
import { BEACONS } from '../../ledger/state/entities.ts';
import { receiptDigest } from '../../ledger/storage-formats.ts';
import { bytesOf, pieces, readAll } from '../../test/support/content.ts';
import type { MarketNode } from '../../test/support/market-node.ts';
import { MarketWorld, OFFER } from '../../test/support/market-world.ts';
import type { Receipt } from '../interfaces.ts';

let world: MarketWorld;
afterEach(() => world.close());

const put = (node: MarketNode, name: string, length = 100_000) =>
  world.finish(node.files.put(name, pieces(bytesOf(name, length))));
const failed = (renter: MarketNode, host: MarketNode) => renter.audits(host).filter(({ ok }) => !ok);
const contract = (renter: MarketNode, host: MarketNode) => {
  const live = world.contract(renter, host);
  assert(live !== undefined, 'there is no contract');
  return live;
};
/** Hosts that keep something of a renter. */
const hostsOf = (renter: MarketNode) => world.hosts.filter((host) => world.covered(renter, host).length > 0);
const paid = (host: MarketNode, renter: MarketNode) => contract(renter, host).contract.nextPeriod;

test('a file is kept, audited and paid for, period by period', async () => {
  world = await MarketWorld.open({ hosts: 5 });
  const { renter } = world;
  await put(renter, 'a');
  await world.periods(4);
  assert.deepEqual(await world.finish(readAll(renter.files, 'a')), bytesOf('a', 100_000));
  assert.deepEqual(await world.orphans(renter), []);
  assert.equal(world.ledger.imbalance(), 0n);
  const audits = renter.scheduler.audits();
  assert(audits.length >= 12 && audits.every(({ ok }) => ok));
  assert.equal(
    new Set(audits.map(({ contractId, period }) => `${contractId} ${period}`)).size,
    audits.length,
  );
  for (const host of world.hosts) assert.deepEqual(world.missed(host), []);
});

test('hosts that do not answer delay nothing else that a node has to do', async () => {
  world = await MarketWorld.open({ hosts: 6 });
  const { renter } = world;
  const [both] = world.hosts as [MarketNode];
  await put(renter, 'a');
  await put(both, 'b');
  assert(hostsOf(both).length >= 4 && hostsOf(renter).includes(both));
  await world.periods(2);
  for (const host of hostsOf(both)) host.condition = 'silent';
  await world.periods(1);
  const { period } = world;
  await world.run(3_000);
  assert.equal(paid(both, renter), period + 1, 'what the renter signed for was not settled');
});

test('an outage of one period is one failed audit, and moves nothing', async () => {
  world = await MarketWorld.open({ hosts: 5 });
  const { renter } = world;
  await put(renter, 'a');
  await world.periods(2);
  const [host] = hostsOf(renter) as [MarketNode];
  const before = renter.files.manifest('a');
  host.condition = 'down';
  await world.periods(1);
  host.condition = 'up';
  await world.run(2_000);
  assert.equal(failed(renter, host).length, 1);
  assert.equal(renter.book.notes(host.person.nodeId).failedInARow, 0);
  await world.periods(2);
  assert.equal(failed(renter, host).length, 1);
  assert.deepEqual(renter.files.manifest('a'), before);
});

test('a host that was not asked in a period has not failed it', async () => {
  world = await MarketWorld.open({ hosts: 5 });
  const { renter } = world;
  await put(renter, 'a');
  await world.periods(2);
  renter.crash();
  await world.periods(2);
  await world.run(9_900);
  await renter.start();
  await world.periods(2);
  assert(renter.scheduler.audits().every(({ ok }) => ok));
});

test('a host that is gone for good fails its audits, is told of, and its fragments move', async () => {
  world = await MarketWorld.open({ hosts: 6 });
  const { renter } = world;
  await put(renter, 'a');
  await world.periods(2);
  const [host] = hostsOf(renter) as [MarketNode];
  host.crash();
  const since = world.period;
  await world.until(() => failed(renter, host).length > 0, 'a failed audit', 2);
  assert((await renter.book.troubles()).some(({ host: id }) => id === host.person.nodeId));
  await world.until(
    () => !JSON.stringify(renter.files.manifest('a')).includes(host.person.nodeId),
    'the repair',
    8,
  );
  await world.until(() => world.contract(renter, host) === undefined, 'the contract to fail', 8);
  await world.periods(1);
  // Every period that the ledger counted as missed is one that the renter knows of.
  const known = new Set(failed(renter, host).map(({ period }) => period));
  for (const period of world.missed(host))
    assert(period < since || known.has(period), `period ${period} is not in the audits`);
  const [trouble] = await renter.book.troubles();
  assert.equal(trouble?.host, host.person.nodeId);
  assert.equal(renter.files.health(renter.files.manifest('a') as never).state, 'healthy');
});

test('what the ledger counts as missed is a failed audit, also when the renter could not ask', async () => {
  world = await MarketWorld.open({ hosts: 6 });
  const { renter } = world;
  await put(renter, 'a');
  await world.periods(2);
  const [host] = hostsOf(renter) as [MarketNode];
  host.crash();
  renter.crash();
  await world.until(() => world.contract(renter, host) === undefined, 'the contract to fail', 10);
  await renter.start();
  await world.periods(3);
  assert(!JSON.stringify(renter.files.manifest('a')).includes(host.person.nodeId));
  assert.equal((await renter.book.troubles())[0]?.host, host.person.nodeId);
});

test('a contract is renewed once in a term, however old it is', async () => {
  world = await MarketWorld.open({ hosts: 3 });
  const { renter } = world;
  for (const host of world.hosts) await world.offer(host, { ...OFFER, periodsMax: 20 });
  await put(renter, 'a');
  const [host] = hostsOf(renter) as [MarketNode];
  await world.periods(45);
  const { id } = contract(renter, host);
  const revisions = () =>
    world.events.filter((event) => event.kind === 'contract-revised' && event.contractId === id).length;
  const before = revisions();
  await world.periods(30);
  assert(revisions() - before >= 1, 'it was never renewed');
  assert(revisions() - before <= 3, `${revisions() - before} renewals in 30 periods of a term of 20`);
  assert.deepEqual(world.missed(host), []);
});

test('periods that were provable are paid though a later one is not', async () => {
  world = await MarketWorld.open({ hosts: 3 });
  const { renter } = world;
  await put(renter, 'a', 12_000_000);
  await world.periods(2);
  const [host] = hostsOf(renter) as [MarketNode];
  const { id } = contract(renter, host);
  await world.run(5_000);
  renter.crash();
  host.crash();
  const first = world.period + 1;
  await world.periods(3);
  const { contract: now } = contract(renter, host);
  assert.equal(now.nextPeriod, first);
  const list = world.covered(renter, host);
  const asked = (period: number) =>
    new Set(
      challengeLeaves(
        world.ledger.state.read(BEACONS, String(period))?.beacon as Hash,
        id,
        newestRoot(now).leafCount,
        world.ledger.rules.parameters.challengesPerPeriod,
      ).map((leaf) => list[Math.floor(leaf / LEAVES_PER_FRAGMENT)] as Hash),
    );
  const lost = [...asked(first + 1)].find((root) => !asked(first).has(root));
  assert(lost !== undefined, 'the beacons ask for the same fragments: give the file more');
  await host.shelf.remove([lost]);
  await host.start();
  await world.run(3_000);
  assert.equal(contract(renter, host).contract.nextPeriod, first + 1);
  await world.periods(2);
  assert.deepEqual(world.missed(host), [first + 1]);
});

test('a receipt that the ledger would refuse is refused, and does not keep a host from proving', async () => {
  world = await MarketWorld.open({ hosts: 3 });
  const { renter } = world;
  await put(renter, 'a');
  await world.periods(2);
  const [host] = hostsOf(renter) as [MarketNode];
  const { id } = contract(renter, host);
  const signed = (change: Partial<Receipt>): Receipt => {
    const body = { contractId: id, throughPeriod: world.period, revision: 0, egressBytes: 0, ...change };
    return {
      ...body,
      renterSignature: sign(receiptDigest(world.ledger.rules.chainId, body), renter.person.accountSecret),
    };
  };
  renter.crash();
  await world.periods(1);
  const refused = (receipt: Receipt, code = 'bad-terms') =>
    assert.rejects(host.scheduler.receive(receipt), (error: { code?: string }) => error.code === code);
  await refused(signed({ revision: 1 }));
  await refused(signed({ throughPeriod: world.period + 2 }));
  await refused(signed({ throughPeriod: 1_000_000 }));
  await refused({ ...signed({}), egressBytes: 1 });
  await refused(signed({ contractId: 'ab'.repeat(32) as ContractId }), 'contract-unknown');
  const { period } = world;
  await world.periods(1);
  await world.run(8_000);
  assert.equal(paid(host, renter), period + 1);
  assert(
    world.events.some(
      (event) => event.kind === 'period-paid' && event.contractId === id && event.by === 'proofs',
    ),
  );
  await world.periods(3);
  assert.deepEqual(world.missed(host), []);
});
