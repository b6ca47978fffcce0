import assert from 'node:assert/strict';
import { connect as connectTcp, type Socket } from 'node:net';
import { after, test } from 'node:test';
import type { TLSSocket } from 'node:tls';
import { concat, u32, utf8 } from '../../ledger/bytes.ts';
import { sign, signingDigest } from '../../ledger/crypto/secp256k1.ts';
import { idBytes } from '../../ledger/ids.ts';
import {
  authenticated,
  CHAIN,
  closed,
  identity,
  openNetwork,
  rawConnection,
} from '../../test/support/link-nodes.ts';
import { until } from '../../test/support/until.ts';
import { selfSignedCertificate } from './certificate.ts';
import { openDoor } from './door.ts';
import { answerHello, sayHello } from './hello.ts';
import type { Network } from './network.ts';

/** What strangers and ill-meaning peers can do: nothing that others would notice. */

const open: Network[] = [];
after(() => Promise.all(open.map((network) => network.close())));

async function node(name: string, seeds: readonly string[] = []): Promise<Network> {
  const network = await openNetwork(name, seeds);
  network.handle(16, 1_000, (_, body) => body);
  network.handle(17, 8, () => new Uint8Array(1_048_576));
  open.push(network);
  return network;
}

/** type | id | kind | body behind a length, as on the wire. */
function frame(type: number, id: number, kind: number, body: Uint8Array): Uint8Array {
  return concat(u32(7 + body.length), Uint8Array.of(type), u32(id), Uint8Array.of(kind >> 8, kind), body);
}

function nextBytes(socket: TLSSocket): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    socket.once('data', (bytes: Buffer) => {
      socket.pause();
      resolve(bytes);
    });
    socket.once('close', () => reject(new Error('closed')));
  });
}

const exporterOf = (socket: TLSSocket): Uint8Array =>
  socket.exportKeyingMaterial(32, 'EXPORTER-blocktree-hello', Buffer.alloc(0));

const firstWords = (name: string): Uint8Array =>
  concat(utf8('BTH1'), idBytes(CHAIN), Uint8Array.of(1), idBytes(identity(name).nodeId));

test('a hello that was forged, replayed, reflected or signed for the other role is refused', async () => {
  const victim = await node('victim');
  const alice = identity('alice');
  const signatureOver = (socket: TLSSocket, role: number, secret: Uint8Array): Uint8Array =>
    sign(
      signingDigest(
        'hello',
        idBytes(CHAIN),
        Uint8Array.of(role),
        idBytes(alice.nodeId),
        idBytes(victim.nodeId),
        exporterOf(socket),
      ),
      secret,
    );
  const attempts: Record<string, (socket: TLSSocket, answer: Buffer) => Uint8Array> = {
    forged: (socket) => signatureOver(socket, 1, identity('mallory').secret),
    'wrong role': (socket) => signatureOver(socket, 2, alice.secret),
    reflected: (_, answer) => answer.subarray(34),
    junk: () => new Uint8Array(64).fill(255),
  };
  for (const [what, lastWords] of Object.entries(attempts)) {
    const socket = await rawConnection(victim.address);
    socket.write(firstWords('alice'));
    socket.write(lastWords(socket, await nextBytes(socket)));
    await closed(socket);
    assert.equal(victim.connected(alice.nodeId), false, what);
  }
  const genuine = await rawConnection(victim.address);
  genuine.write(firstWords('alice'));
  await nextBytes(genuine);
  const words = signatureOver(genuine, 1, alice.secret);
  genuine.write(words);
  await until(() => victim.connected(alice.nodeId), 5_000, 'the genuine hello to be accepted');
  genuine.destroy();
  await until(() => !victim.connected(alice.nodeId), 5_000, 'alice to be gone');
  const replayed = await rawConnection(victim.address);
  replayed.write(firstWords('alice'));
  await nextBytes(replayed);
  replayed.write(words);
  await closed(replayed);
  assert.equal(victim.connected(alice.nodeId), false);
});

test('a hello that trickles in is cut off at its deadline, however lively the trickle', async () => {
  const victim = await node('patient');
  const socket = await rawConnection(victim.address);
  const hello = Buffer.from(firstWords('slow'));
  let at = 0;
  const trickle = setInterval(() => socket.write(hello.subarray(at % 60, (at++ % 60) + 1)), 200);
  const startedMs = performance.now();
  await closed(socket);
  clearInterval(trickle);
  assert(performance.now() - startedMs < 9_000, 'the hello was given more than its time');
  assert.equal(victim.peers().length, 0);
});

test('one address has so many unannounced connections and no more; they are let go when they close', async () => {
  const self = identity('door');
  const door = await openDoor({
    host: '127.0.0.1',
    port: 0,
    certificate: selfSignedCertificate(),
    connectionsMax: 10,
    welcome: (socket) =>
      answerHello(socket, self, () => true).then(
        () => undefined,
        () => undefined,
      ),
  });
  const port = Number(door.address.split(':')[1]);
  const sockets: Socket[] = Array.from({ length: 70 }, () => {
    const socket = connectTcp(port, '127.0.0.1');
    socket.on('error', () => undefined);
    return socket;
  });
  await until(
    () => sockets.filter((socket) => socket.closed).length >= 20,
    5_000,
    'the surplus to be closed',
  );
  assert(door.waiting <= 48 && door.waiting > 0);
  for (const socket of sockets) socket.destroy();
  await until(() => door.waiting === 0, 5_000, 'the places to be free again');
  const secured = await rawConnection(door.address);
  await until(() => door.waiting === 1, 5_000, 'the connection to be counted');
  secured.destroy();
  await until(() => door.waiting === 0, 5_000, 'its place to be free again');
  await rawConnection(door.address);
  await door.close();
});

test('a peer that breaks the framing loses its connection, and nobody else does', async () => {
  const victim = await node('framed');
  const friend = await node('friend', [victim.address]);
  await until(() => friend.connected(victim.nodeId), 5_000, 'the friend to connect');
  const breaches: Record<string, Uint8Array> = {
    'oversize length': u32(0xffff_ffff),
    'too short for a head': concat(u32(3), new Uint8Array(3)),
    'unknown type': frame(9, 1, 16, new Uint8Array(0)),
    'body above what the kind allows': frame(2, 1, 16, new Uint8Array(1_001)),
  };
  for (const [what, bytes] of Object.entries(breaches)) {
    const socket = await authenticated(`peer ${what}`, victim.address);
    socket.write(bytes);
    await closed(socket);
  }
  const truncated = await authenticated('truncated', victim.address);
  truncated.end(frame(2, 1, 16, new Uint8Array(100)).subarray(0, 50));
  await closed(truncated);
  const unasked = await authenticated('unasked', victim.address);
  unasked.write(frame(3, 77, 16, new Uint8Array(5)));
  unasked.write(frame(4, 78, 16, utf8('{')));
  assert.deepEqual([...(await friend.request(victim.nodeId, 16, Uint8Array.of(1)))], [1]);
  unasked.destroy();
  await until(() => victim.peers().length === 1, 5_000, 'only the friend to be left');
});

test('peers that leave right after their hello leave no link behind', async () => {
  const victim = await node('deserted');
  await Promise.all(
    Array.from({ length: 24 }, async (_, i) =>
      (await authenticated(`deserter ${i}`, victim.address)).destroy(),
    ),
  );
  await until(() => victim.peers().length === 0, 5_000, 'the links to be gone');
});

test('a peer that asks for much and reads nothing does not fill the memory', async () => {
  const victim = await node('generous');
  const friend = await node('reader', [victim.address]);
  await until(() => friend.connected(victim.nodeId), 5_000, 'the friend to connect');
  const greedy = await authenticated('greedy', victim.address);
  greedy.pause();
  greedy.on('error', () => undefined);
  let peakBytes = 0;
  for (let round = 0; round < 40; round++) {
    for (let i = 0; i < 50; i++) greedy.write(frame(2, round * 50 + i + 1, 17, new Uint8Array(0)));
    await friend.request(victim.nodeId, 16, Uint8Array.of(round));
    peakBytes = Math.max(peakBytes, process.memoryUsage().arrayBuffers);
  }
  greedy.destroy();
  assert(peakBytes < 160 * 1_048_576, `${peakBytes} bytes were held`);
});

test('a node that dials itself learns that it does, and keeps no link', async () => {
  const self = await node('narcissus');
  const socket = await rawConnection(self.address);
  await assert.rejects(sayHello(socket, identity('narcissus'), 'link'), { code: 'self' });
  socket.destroy();
  assert.equal(self.peers().length, 0);
});
