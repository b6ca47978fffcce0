import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { after, test } from 'node:test';
import { CHAIN, identity, openNetwork } from '../../test/support/link-nodes.ts';
import { until } from '../../test/support/until.ts';
import { selfSignedCertificate } from './certificate.ts';
import { openDoor } from './door.ts';
import { answerHello } from './hello.ts';
import { encodeRecords, signRecord } from './node-record.ts';

/** Other nodes are down, lie about their addresses or drop every link: they are not stormed, and nobody waits for them. */

const closing: (() => unknown)[] = [];
after(async () => {
  for (const close of closing.reverse()) await close();
});

/** What listens and is no node: `meet` says what becomes of connections. */
async function stranger(meet: (socket: Socket) => void): Promise<{ address: string; met: () => number }> {
  let met = 0;
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    met++;
    sockets.add(socket);
    socket.on('error', () => undefined);
    meet(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closing.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { address: `127.0.0.1:${(server.address() as AddressInfo).port}`, met: () => met };
}

/** A record that a node signed, whoever is at the addresses. */
function recordOf(name: string, addresses: readonly string[]): Uint8Array {
  const { nodeId, secret } = identity(name);
  return encodeRecords([signRecord(CHAIN, { nodeId, addresses, sequence: 1 }, secret)]);
}

test('a node that is down, and a victim at whose address many claim to be, is dialled a few times, not at every request', async () => {
  const victim = await stranger((socket) => socket.destroy());
  const names = Array.from({ length: 20 }, (_, n) => `claims to be there ${n}`);
  const records = names.map((name) => recordOf(name, [victim.address]));
  const network = await openNetwork('asking', [], CHAIN, records);
  closing.push(() => network.close());
  for (let round = 0; round < 10; round++)
    for (const name of names) {
      const { nodeId } = identity(name);
      const unreachable = { code: 'unreachable' };
      await assert.rejects(network.request(nodeId, 16, new Uint8Array(1)), unreachable);
      await assert.rejects(network.request(nodeId, 16, new Uint8Array(1), { bulk: true }), unreachable);
      network.reach(nodeId);
    }
  assert(victim.met() >= 1 && victim.met() <= 12, `${victim.met()} connections for 600 attempts`);
});

test('a transfer to addresses where nobody answers ends at its deadline', async () => {
  const hole = await stranger((socket) => socket.resume());
  const network = await openNetwork('patient asking', [], CHAIN, [recordOf('black hole', [hole.address])]);
  closing.push(() => network.close());
  const startMs = performance.now();
  const ask = (bulk: boolean): Promise<void> =>
    assert.rejects(
      network.request(identity('black hole').nodeId, 16, new Uint8Array(1), { bulk, deadlineMs: 200 }),
      { code: 'timeout' },
    );
  await Promise.all([ask(true), ask(true), ask(false)]);
  assert(performance.now() - startMs < 4_000, 'long before the dialling itself gives up');
});

test('a seed that takes every link and drops it at once is come back to more and more slowly', async () => {
  const metMs: number[] = [];
  const door = await openDoor({
    host: '127.0.0.1',
    port: 0,
    certificate: selfSignedCertificate(),
    connectionsMax: 100,
    async welcome(channel) {
      metMs.push(performance.now());
      // Another key each time.
      await answerHello(channel, identity(`fickle ${metMs.length}`), () => 'welcome').catch(() => undefined);
      channel.stream.destroy();
    },
  });
  closing.push(() => door.close());
  const network = await openNetwork('hopeful', [door.address]);
  closing.push(() => network.close());
  await until(() => metMs.length >= 6, 10_000, 'the seed to be tried again and again');
  const [first = 0, , third = 0, , , sixth = 0] = metMs;
  assert(sixth - third > third - first, 'the later, the longer between');
});
