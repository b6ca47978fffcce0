import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Devnet } from '../support/devnet.ts';
import { until } from '../support/until.ts';

/** The main job on real processes: claim, offer, store, audit, earn; then hosts die. */

const PERIOD_MS = 3_000;
const devnet = new Devnet({ periodMs: PERIOD_MS });
before(() => devnet.start());
after(() => devnet.remove());

interface Earnings {
  totalGrains: string;
  storageGrains: string;
  egressGrains: string;
  penaltyGrains: string;
  feeGrains: string;
}
interface Contract {
  id: string;
  state: string;
  hostNodeId: string;
  paidStorageGrains: string;
  paidEgressGrains: string;
  missedPeriods: number;
  penaltyGrains: string;
}

const file = (name: string) => join(devnet.folder, name);
const hash = (path: string) => createHash('sha256').update(readFileSync(path)).digest('hex');
/** A resource of node n, with its owner token; quicker than the command line where many are wanted at one moment. */
const resource = async <T>(n: number, path: string): Promise<T> => {
  const token = readFileSync(join(devnet.folder, 'devnet', String(n), 'api-token'), 'utf8').trim();
  const response = await fetch(`${devnet.url(n)}/api/v1${path}`, {
    headers: { authorization: `Bearer ${token}` },
  });
  return (await response.json()) as T;
};
const contracts = async (n: number): Promise<Contract[]> => {
  const response = await fetch(`${devnet.url(n)}/api/v1/ledger/contracts?limit=200`);
  return ((await response.json()) as { items: Contract[] }).items;
};

test('any file comes back bit for bit', async () => {
  const cases: [string, Buffer][] = [
    ['empty', Buffer.alloc(0)],
    ['one', Buffer.of(7)],
    ['exactly a MiB', randomBytes(1_048_576)],
    ['Ünïcödé/naïve ☃ 漢字.bin', randomBytes(70_001)],
    ['several slabs', randomBytes(9_000_003)],
  ];
  for (const [name, content] of cases) {
    writeFileSync(file('in'), content);
    await devnet.cli(1, 'put', file('in'), name);
    await devnet.cli(1, 'get', name, file('out'), '--force');
    assert.deepEqual(readFileSync(file('out')), content, name);
  }
  await devnet.cli(1, 'get', 'several slabs', file('part'), '--range', '2097000-2099999', '--force');
  assert.deepEqual(
    readFileSync(file('part')),
    (cases[4] as [string, Buffer])[1].subarray(2_097_000, 2_100_000),
  );
  assert.equal((await devnet.cli<unknown[]>(1, 'ls')).length, cases.length);
  await devnet.cli(1, 'rm', 'one');
  await assert.rejects(devnet.cli(1, 'get', 'one', file('gone')), /there is no file/);
});

test('hosts earn, and their earnings are what the ledger paid, to the grain', async () => {
  await until(
    async () => BigInt((await devnet.cli<Earnings>(6, 'host', 'earnings')).storageGrains) > 0n,
    6 * PERIOD_MS,
    'the first payment',
  );
  // Between two readings of the ledger that agree, the earnings are read: then all are of one state.
  for (let attempt = 0; ; attempt++) {
    const before = await contracts(1);
    const earnings = await Promise.all(
      [1, 2, 3, 4, 5, 6].map((n) => resource<Earnings>(n, '/host/earnings')),
    );
    const later = await contracts(1);
    if (JSON.stringify(before) !== JSON.stringify(later) && attempt < 20) continue;
    const paid = later.reduce(
      (sum, one) => sum + BigInt(one.paidStorageGrains) + BigInt(one.paidEgressGrains),
      0n,
    );
    const earned = earnings.reduce(
      (sum, one) => sum + BigInt(one.storageGrains) + BigInt(one.egressGrains),
      0n,
    );
    assert.equal(earned, paid);
    for (const one of earnings) {
      assert.equal(
        BigInt(one.totalGrains),
        BigInt(one.storageGrains) +
          BigInt(one.egressGrains) +
          BigInt(one.feeGrains) -
          BigInt(one.penaltyGrains),
      );
    }
    break;
  }
});

test('a host that dies is penalised and repaired away; with another gone everything is still readable', async () => {
  const original = hash(file('in'));
  const six = (await devnet.cli<{ nodeId: string }>(6, 'status')).nodeId;
  await devnet.kill(6);
  await until(
    async () => (await contracts(1)).some((one) => one.hostNodeId === six && BigInt(one.penaltyGrains) > 0n),
    14 * PERIOD_MS,
    'the penalty of the dead host',
  );
  const audits = await resource<{ items: { hostNodeId: string; ok: boolean }[] }>(1, '/host/audits');
  assert(audits.items.some(({ hostNodeId, ok }) => hostNodeId === six && !ok));
  const alerts = await resource<{ items: { id: string }[] }>(1, '/alerts');
  assert(alerts.items.some(({ id }) => id === `host/${six}`));
  const repaired = async (): Promise<boolean> => {
    const { hosts, health } = await devnet.cli<{ hosts: { nodeId: string }[]; health: { state: string } }>(
      1,
      'stat',
      'several slabs',
    );
    return health.state === 'healthy' && !hosts.some(({ nodeId }) => nodeId === six);
  };
  await until(repaired, 14 * PERIOD_MS, 'the repair to a spare host');
  await devnet.kill(5);
  await devnet.cli(1, 'get', 'several slabs', file('out'), '--force');
  assert.equal(hash(file('out')), original);
});

test('killed and restarted in any order, everything acknowledged is there', async () => {
  const before = await devnet.cli<{ name: string }[]>(1, 'ls');
  for (const n of [2, 4, 1, 3]) {
    await devnet.kill(n);
    devnet.startNode(n);
  }
  const ready = async (): Promise<boolean> => {
    try {
      const response = await fetch(`${devnet.url(1)}/api/v1/health/ready`);
      return response.ok;
    } catch {
      return false;
    }
  };
  await until(ready, 30_000, 'node 1 to be ready');
  assert.deepEqual(
    (await devnet.cli<{ name: string }[]>(1, 'ls')).map(({ name }) => name),
    before.map(({ name }) => name),
  );
  await until(
    async () =>
      devnet.cli(1, 'get', 'several slabs', file('out'), '--force').then(
        () => true,
        () => false,
      ),
    30_000,
    'the file',
  );
  assert.equal(hash(file('out')), hash(file('in')));
  const head = async () => (await devnet.cli<{ height: number }>(1, 'ledger', 'head')).height;
  const height = await head();
  await until(async () => (await head()) > height, 30_000, 'the ledger to go on');
});

test('a busy port and misuse are told clearly', async () => {
  await assert.rejects(devnet.cli(1, 'put', file('not there')), /there is no file/);
  await assert.rejects(devnet.cli(1, 'wallet', 'send', 'acorn1nonsense', '1'), /expected an account address/);
  await assert.rejects(devnet.cli(1, 'put', file('in'), '../up'), /expected a name/);
  await assert.rejects(devnet.cli(1, 'frobnicate'), (error: { exitCode?: number }) => error.exitCode === 2);
  await assert.rejects(devnet.cli(1, 'devnet'), /is busy/);
});

test('stopped with Ctrl-C and started again, everything is as it was', async () => {
  const before = await devnet.cli<{ balanceGrains: string }>(2, 'wallet', 'balance');
  await devnet.stop();
  await devnet.start();
  assert(
    BigInt((await devnet.cli<{ balanceGrains: string }>(2, 'wallet', 'balance')).balanceGrains) >=
      BigInt(before.balanceGrains),
  );
  await devnet.cli(1, 'get', 'several slabs', file('out'), '--force');
  assert.equal(hash(file('out')), hash(file('in')));
});
