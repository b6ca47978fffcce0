import assert from 'node:assert/strict';
import { type AddressInfo, createServer } from 'node:net';
import { after, test } from 'node:test';
import { openNetwork } from '../../test/support/link-nodes.ts';
import { until } from '../../test/support/until.ts';
import { Budget } from './budget.ts';
import type { Network } from './network.ts';
import { NetworkError } from './network-error.ts';

const open: Network[] = [];
after(() => Promise.all(open.map((network) => network.close())));

const ECHO = 16;
const STUCK = 17;
const MIB = 1_048_576;

async function pair(name: string): Promise<{ asking: Network; answering: Network; release(): void }> {
  const answering = await openNetwork(`${name} answering`);
  const asking = await openNetwork(`${name} asking`, [answering.address]);
  open.push(answering, asking);
  let release = (): void => undefined;
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  answering.handle(ECHO, 2 * MIB, (_, body) => body);
  answering.handle(STUCK, 8, async () => {
    await released;
    return undefined;
  });
  await until(() => asking.connected(answering.nodeId), 5_000, 'the nodes to connect');
  return { asking, answering, release };
}

test('20,000 small requests share one link, each with its own answer', async () => {
  const { asking, answering } = await pair('many');
  let next = 0;
  await Promise.all(
    Array.from({ length: 200 }, async () => {
      while (next < 20_000) {
        const body = Buffer.alloc(4);
        body.writeUInt32BE(next++);
        assert.deepEqual(Buffer.from(await asking.request(answering.nodeId, ECHO, body)), body);
      }
    }),
  );
  assert.equal(answering.peers().length, 1);
});

test('a thousand notes that come in one piece are all heard, in order', async () => {
  const { asking, answering } = await pair('burst');
  const heard: number[] = [];
  answering.handle(18, 8, (_, body) => {
    heard.push(Buffer.from(body).readUInt16BE());
    return undefined;
  });
  for (let n = 0; n < 1_000; n++) asking.notify(answering.nodeId, 18, Uint8Array.of(n >> 8, n));
  await until(() => heard.at(-1) === 999, 5_000, 'the last note');
  assert.deepEqual(
    heard,
    Array.from({ length: 1_000 }, (_, n) => n),
  );
});

test('stuck transfers delay no requests; the next transfer waits no longer than its deadline', async () => {
  const { asking, answering, release } = await pair('stuck');
  const stuck = Array.from({ length: 4 }, () =>
    asking.request(answering.nodeId, STUCK, new Uint8Array(1), { bulk: true, deadlineMs: 20_000 }),
  );
  for (let i = 0; i < 50; i++)
    await asking.request(answering.nodeId, ECHO, Uint8Array.of(i), { deadlineMs: 1_000 });
  await assert.rejects(
    asking.request(answering.nodeId, ECHO, new Uint8Array(9), { bulk: true, deadlineMs: 200 }),
    (error) => error instanceof NetworkError && error.code === 'timeout',
  );
  release();
  await Promise.all(stuck);
  const answer = await asking.request(answering.nodeId, ECHO, new Uint8Array(MIB), { bulk: true });
  assert.equal(answer.length, MIB);
});

test('a transfer that timed out does not hold up those after it', async () => {
  const { asking, answering } = await pair('late');
  await Promise.all(
    Array.from({ length: 8 }, () =>
      assert.rejects(
        asking.request(answering.nodeId, STUCK, new Uint8Array(1), { bulk: true, deadlineMs: 100 }),
        (error) => error instanceof NetworkError && error.code === 'timeout',
      ),
    ),
  );
  const answer = await asking.request(answering.nodeId, ECHO, new Uint8Array(MIB), { bulk: true });
  assert.equal(answer.length, MIB);
});

test('64 MiB over bulk connections come back whole while memory stays flat', async () => {
  const { asking, answering } = await pair('flat');
  const body = Buffer.alloc(MIB, 3);
  let left = 64;
  let peakBytes = 0;
  await Promise.all(
    Array.from({ length: 4 }, async () => {
      while (left-- > 0) {
        const answer = await asking.request(answering.nodeId, ECHO, body, { bulk: true });
        assert(body.equals(answer));
        peakBytes = Math.max(peakBytes, process.memoryUsage().arrayBuffers);
      }
    }),
  );
  assert(peakBytes < 120 * MIB, `${peakBytes} bytes were held`);
});

test('a node that cannot be dialled is reached over the link that it opened, for transfers too', async () => {
  const { asking, answering } = await pair('hidden');
  asking.handle(ECHO, 2 * MIB, (_, body) => body);
  await until(() => answering.connected(asking.nodeId), 5_000, 'the hidden node to be connected');
  const answer = await answering.request(asking.nodeId, ECHO, new Uint8Array(MIB), { bulk: true });
  assert.equal(answer.length, MIB);
});

test('too large is said before anything is sent, and when an answer does not fit', async () => {
  const { asking, answering } = await pair('large');
  answering.handle(18, 8, () => new Uint8Array(2 * MIB));
  const tooLarge = (error: unknown): boolean => error instanceof NetworkError && error.code === 'too-large';
  await assert.rejects(asking.request(answering.nodeId, ECHO, new Uint8Array(2 * MIB)), tooLarge);
  assert.throws(() => asking.notify(answering.nodeId, ECHO, new Uint8Array(2 * MIB)), tooLarge);
  await assert.rejects(
    asking.request(answering.nodeId, 18, new Uint8Array(1)),
    (error) => error instanceof NetworkError && error.remoteCode === 'too-large',
  );
  assert(asking.connected(answering.nodeId));
});

test('a network that stops gives up its dialling at once', async () => {
  let dialled = false;
  let gone = false;
  const silent = createServer((socket) => {
    dialled = true;
    socket.on('error', () => undefined);
    socket.once('close', () => {
      gone = true;
    });
    socket.resume();
  });
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  const { port } = silent.address() as AddressInfo;
  const network = await openNetwork('stopping', [`127.0.0.1:${port}`]);
  await until(() => dialled, 5_000, 'the dialling to begin');
  await network.close();
  await until(() => gone, 2_000, 'the connection to be given up');
  silent.close();
});

test('a budget lets bursts through and asks for patience beyond them', () => {
  const budget = new Budget(100, 50, 0);
  assert.equal(budget.spend(50, 0), 0);
  assert.equal(budget.spend(10, 0), 100);
  assert.equal(budget.spend(0, 100), 0);
  assert.equal(budget.spend(50, 10_000), 0);
  assert.equal(budget.spend(1, 10_000), 10);
  assert.equal(budget.spend(0, 9_000), 10);
});
