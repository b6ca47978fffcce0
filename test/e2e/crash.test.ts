import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Devnet } from '../support/devnet.ts';
import { until } from '../support/until.ts';

/**
 * Real processes under load, killed with -9 at moments that chance picks, while committees change every few seconds:
 * whatever a node acknowledged is final on all of them for good, and every stored ledger verifies.
 */

const NODES = 6;
const KILLS = 6;
const EPOCH_MS = 5_000;
const devnet = new Devnet({ periodMs: 60_000, nodes: NODES, epochMs: EPOCH_MS });
before(() => devnet.start());
after(() => devnet.remove());

interface Sent {
  transactionId: string;
  height: number;
}
interface Status {
  height: number;
  epoch: number;
  halted: string | null;
  accountId: string;
}
const all = Array.from({ length: NODES }, (_, i) => i + 1);

async function resource<T>(n: number, path: string, init: RequestInit = {}): Promise<T> {
  const token = readFileSync(join(devnet.folder, 'devnet', String(n), 'api-token'), 'utf8').trim();
  const response = await fetch(`${devnet.url(n)}/api/v1${path}`, {
    ...init,
    signal: AbortSignal.timeout(20_000),
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
  });
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
  return (await response.json()) as T;
}
const status = (n: number): Promise<Status> => resource<Status>(n, '/status');

async function everywhereAtOneHeight(): Promise<void> {
  await until(
    async () => {
      const states = await Promise.all(all.map((n) => status(n).catch(() => undefined)));
      const [first] = states;
      return first !== undefined && states.every((state) => state?.height === first.height);
    },
    60_000,
    'every node at one height',
  );
}

test('what was acknowledged survives kill -9 at any moment, over changes of the committee', async () => {
  const receiver = (await status(1)).accountId;
  const acknowledged: Sent[] = [];
  let working = true;
  const send = async (n: number): Promise<void> => {
    for (let i = 0; working; i++) {
      const body = JSON.stringify({ to: receiver, amountGrains: '1000', memo: `${n} ${i}` });
      try {
        acknowledged.push(await resource<Sent>(n, '/wallet/transfers', { method: 'POST', body }));
      } catch {
        // Killed on the way: it may be final or not, nobody was promised anything.
        await new Promise((done) => setTimeout(done, 100));
      }
    }
  };
  const senders = all.map(send);
  for (let kill = 0; kill < KILLS; kill++) {
    // At any moment, but only while something goes on.
    const before = acknowledged.length;
    await until(() => acknowledged.length >= before + 3, 60_000, 'transfers between two kills');
    await new Promise((done) => setTimeout(done, Math.random() * 1_000));
    // Two at once now and then: more than one committee of four can spare, until they are back.
    const victims = all.filter(() => Math.random() < 0.25).slice(0, 2);
    await Promise.all(victims.map((n) => devnet.kill(n).catch(() => undefined)));
    await new Promise((done) => setTimeout(done, Math.random() * 800));
    for (const n of victims) devnet.startNode(n);
  }
  await until(
    async () => (await status(1).catch(() => undefined))?.epoch !== 0,
    60_000,
    'a change of the committee',
  );
  working = false;
  await Promise.all(senders);
  await everywhereAtOneHeight();

  const states = await Promise.all(all.map(status));
  assert(states.every(({ halted }) => halted === null));
  assert(new Set(states.map(({ epoch }) => epoch)).size === 1);
  assert((states[0] as Status).epoch > 0, 'no committee changed');
  assert.equal(new Set(acknowledged.map(({ transactionId }) => transactionId)).size, acknowledged.length);
  for (const n of all) {
    for (const { transactionId, height } of acknowledged) {
      const found = await resource<{ status: string; height: number }>(
        n,
        `/ledger/transactions/${transactionId}`,
      );
      assert.deepEqual([found.status, found.height], ['final', height], `${transactionId} on node ${n}`);
    }
  }
});

test('a stored ledger verifies, and one with a missing or damaged file is refused with what to do', async () => {
  await devnet.stop();
  const folder = join(devnet.folder, 'devnet', '2');
  const verify = () => devnet.cli<{ findings: unknown[]; height: number }>(2, 'ledger', 'verify');
  const report = await verify();
  assert.deepEqual(report.findings, []);
  assert(report.height > 20);
  const ledger = join(folder, 'ledger');
  assert(existsSync(ledger));
  mkdirSync(join(folder, 'aside'));
  renameSync(join(ledger, 'CURRENT'), join(folder, 'aside', 'CURRENT'));
  await assert.rejects(devnet.cli(2, 'ledger', 'verify'), /damaged|missing/);
  renameSync(join(folder, 'aside', 'CURRENT'), join(ledger, 'CURRENT'));
  rmSync(join(folder, 'aside'), { recursive: true });
  assert.deepEqual((await verify()).findings, []);
});
