import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { connect } from 'node:tls';
import { pino } from 'pino';
import { utf8 } from '../../ledger/bytes.ts';
import { sha256 } from '../../ledger/crypto/sha256.ts';
import type { ChainId } from '../../ledger/ids.ts';
import { freePorts } from '../../test/support/free-ports.ts';
import { until } from '../../test/support/until.ts';
import { Network } from './network.ts';
import { NetworkError } from './network-error.ts';

const chainId = 'ab'.repeat(32) as ChainId;
const open: Network[] = [];
after(() => Promise.all(open.map((network) => network.close())));

async function node(
  name: string,
  seeds: readonly string[] = [],
  chain = chainId,
  port = 0,
): Promise<Network> {
  const network = await Network.open({
    chainId: chain,
    nodeSecret: sha256(utf8(name)),
    host: '127.0.0.1',
    port,
    advertise: port === 0 ? [] : [`127.0.0.1:${port}`],
    seeds,
    records: { load: () => [], save: () => undefined },
    logger: pino({ level: 'silent' }),
  });
  network.handle(16, 2_000_000, (_, body) => Uint8Array.from(body).reverse());
  network.handle(17, 100, () => {
    throw Object.assign(new Error('no room'), { code: 'no-room' });
  });
  open.push(network);
  return network;
}

test('many requests share one link, large ones go over the pool, errors keep their code', async () => {
  const a = await node('a');
  const b = await node('b', [a.address], chainId, await freePorts(1));
  await until(() => b.connected(a.nodeId) && a.connected(b.nodeId), 5_000, 'the nodes to connect');
  const answers = await Promise.all(
    Array.from({ length: 200 }, (_, i) => b.request(a.nodeId, 16, Uint8Array.of(i, 1))),
  );
  assert.deepEqual([...(answers[7] as Uint8Array)], [1, 7]);
  await until(() => a.addressesOf(b.nodeId).length === 1, 5_000, 'the record of b');
  const big = new Uint8Array(1_048_576).fill(7);
  const bulk = await Promise.all(
    Array.from({ length: 12 }, () => a.request(b.nodeId, 16, big, { bulk: true })),
  );
  assert(bulk.every((answer) => answer.length === big.length));
  await assert.rejects(
    b.request(a.nodeId, 17, new Uint8Array(1)),
    (e) => e instanceof NetworkError && e.remoteCode === 'no-room',
  );
  await assert.rejects(
    b.request(a.nodeId, 99, new Uint8Array(1)),
    (e) => e instanceof NetworkError && e.remoteCode === 'unknown-kind',
  );
});

test('nodes that crossed keep one link; a peer that comes back is connected again', async () => {
  const port = await freePorts(2);
  const c = await node('c', [`127.0.0.1:${port + 1}`], chainId, port);
  const d = await node('d', [`127.0.0.1:${port}`], chainId, port + 1);
  await until(() => c.connected(d.nodeId) && d.connected(c.nodeId), 5_000, 'the nodes to connect');
  assert.equal((await c.request(d.nodeId, 16, Uint8Array.of(1, 2)))[0], 2);
  await d.close();
  await until(() => !c.connected(d.nodeId), 5_000, 'the loss to be noticed');
  const again = await node('d', [`127.0.0.1:${port}`], chainId, port + 1);
  await until(() => c.connected(again.nodeId), 8_000, 'the reconnection');
  assert.equal((await c.request(again.nodeId, 16, Uint8Array.of(1, 2)))[0], 2);
});

test('a node that is its own seed keeps no link, and takes nobody for its twin', async () => {
  const port = await freePorts(1);
  const self = await node('narcissus', [`127.0.0.1:${port}`], chainId, port);
  const other = await node('echo', [self.address]);
  await until(() => self.connected(other.nodeId), 5_000, 'another node to be linked meanwhile');
  assert.equal(self.peers().length, 1);
  assert.equal(self.twin, undefined);
});

test('another chain, junk, silence and a half hello get nowhere', async () => {
  const e = await node('e');
  const foreign = await node('f', [e.address], 'cd'.repeat(32) as ChainId);
  const port = Number(e.address.split(':')[1]);
  const raw = (bytes: Uint8Array) =>
    new Promise<void>((resolve) => {
      const socket = connect(
        { host: '127.0.0.1', port, ALPNProtocols: ['blocktree/1'], rejectUnauthorized: false },
        () => socket.write(bytes),
      );
      socket.on('close', () => resolve());
      socket.on('error', () => undefined);
      socket.resume();
    });
  await Promise.all([
    raw(utf8('GET / HTTP/1.1\r\n\r\n'.repeat(9))),
    raw(new Uint8Array(70)),
    raw(utf8('BTH1')),
  ]);
  assert.equal(e.peers().length, 0);
  assert.equal(foreign.peers().length, 0);
  await assert.rejects(
    node('g', [], chainId, port),
    (x) => x instanceof NetworkError && x.code === 'address-in-use',
  );
});
