import assert from 'node:assert/strict';
import { once } from 'node:events';
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
import { FRAME_BYTES_MAX, FrameReader } from './frame-reader.ts';
import { answerHello } from './hello.ts';
import { Link } from './link.ts';
import type { Network } from './network.ts';
import { NetworkError } from './network-error.ts';
import { encodeRecords, type NodeRecord, signRecord } from './node-record.ts';
import { TlsChannel } from './tls-channel.ts';

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

const firstWords = (name: string, signature: Uint8Array): Uint8Array =>
  concat(
    utf8('BTH2'),
    idBytes(CHAIN),
    Uint8Array.of(1),
    idBytes(identity(name).nodeId),
    identity(name).session,
    signature,
  );

test('a hello that was forged, replayed, or signed for another role, session or chain is refused', async () => {
  const victim = await node('victim');
  const alice = identity('alice');
  const { session } = alice;
  const said = { chain: CHAIN as string, role: 1, session, secret: alice.secret };
  const signed = (socket: TLSSocket, other: Partial<typeof said> = {}): Uint8Array => {
    const { chain, role, session: of, secret } = { ...said, ...other };
    const words = [Buffer.from(chain, 'hex'), Uint8Array.of(role), idBytes(alice.nodeId), of];
    return sign(signingDigest('hello', ...words, exporterOf(socket)), secret);
  };
  const genuine = await rawConnection(victim.address);
  const words = firstWords('alice', signed(genuine));
  const attempts: Record<string, (socket: TLSSocket) => Uint8Array> = {
    forged: (socket) => signed(socket, { secret: identity('mallory').secret }),
    'wrong role': (socket) => signed(socket, { role: 2 }),
    'another session': (socket) => signed(socket, { session: identity('mallory').session }),
    'another chain': (socket) => signed(socket, { chain: 'cd'.repeat(32) }),
    'another connection': () => signed(genuine),
    junk: () => new Uint8Array(64).fill(255),
  };
  for (const [what, signature] of Object.entries(attempts)) {
    const socket = await rawConnection(victim.address);
    socket.write(firstWords('alice', signature(socket)));
    await closed(socket);
    assert.equal(victim.connected(alice.nodeId), false, what);
  }
  genuine.write(words);
  await until(() => victim.connected(alice.nodeId), 5_000, 'the genuine hello to be accepted');
  genuine.destroy();
});

test('a hello that trickles in is cut off at its deadline, however lively the trickle', async () => {
  const victim = await node('patient');
  const socket = await rawConnection(victim.address);
  // The same before TLS has begun: the head of a record that never comes to its end.
  const bare = connectTcp({ port: Number(victim.address.split(':')[1]), host: '127.0.0.1' });
  bare.on('error', () => undefined);
  bare.write(Uint8Array.of(22, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3));
  const hello = Buffer.from(firstWords('slow', new Uint8Array(64)));
  let at = 0;
  const trickle = setInterval(() => {
    socket.write(hello.subarray(at % 60, (at++ % 60) + 1));
    bare.write(Uint8Array.of(1));
  }, 200);
  await closed(socket, 9_000);
  bare.resume();
  await until(() => bare.closed, 4_000, 'the half handshake to be cut off');
  clearInterval(trickle);
  assert.equal(victim.peers().length, 0);
});

test('one address has so many unannounced connections and no more; they are let go when they close', async () => {
  const self = identity('door');
  const door = await openDoor({
    host: '127.0.0.1',
    port: 0,
    certificate: selfSignedCertificate(),
    connectionsMax: 10,
    welcome: (channel) =>
      answerHello(channel, self, () => 'welcome').then(
        () => undefined,
        () => undefined,
      ),
  });
  const port = Number(door.address.split(':')[1]);
  const from = (localAddress: string, count: number): Socket[] =>
    Array.from({ length: count }, () => {
      const socket = connectTcp({ port, host: '127.0.0.1', localAddress });
      socket.on('error', () => undefined);
      return socket;
    });
  const closedOf = (sockets: readonly Socket[]) => sockets.filter((socket) => socket.closed).length;
  const crowd = from('127.0.0.1', 70);
  // Well before the handshake's own deadline closes all of them.
  await until(() => closedOf(crowd) >= 22, 2_000, 'the surplus to be closed');
  assert.equal(door.waiting, 48);
  assert.equal(closedOf(crowd), 22);
  // Whoever comes from elsewhere still finds a place.
  const other = from('127.0.0.2', 5);
  await until(() => door.waiting === 53, 2_000, 'another address to be let in');
  assert.equal(closedOf(other), 0);
  // Nor do many addresses together keep it out: who waited longest where most come from gives way.
  const more = [...from('127.0.0.3', 48), ...from('127.0.0.4', 48)];
  await until(
    () => door.waiting === 128 && closedOf(more) + closedOf(crowd) === 22 + 21,
    2_000,
    'a full door',
  );
  const honest = from('127.0.0.5', 1);
  await until(() => closedOf(more) + closedOf(crowd) === 22 + 22, 2_000, 'one to give way');
  assert.equal(door.waiting, 128);
  assert.equal(closedOf([...honest, ...other]), 0);
  for (const socket of [...crowd, ...other, ...more, ...honest]) socket.destroy();
  await until(() => door.waiting === 0, 2_000, 'the places to be free again');
  // Coming and going at once is bounded too: each handshake costs this node more than it costs the other end.
  let refused = 0;
  for (let round = 1; refused === 0 && round < 20; round++) {
    const coming = from('127.0.0.6', 40);
    await until(() => closedOf(coming) + door.waiting === 40, 2_000, 'all to be let in or refused');
    refused = closedOf(coming);
    assert(round > 6 || refused === 0, `${refused} were refused in round ${round}`);
    for (const socket of coming) socket.destroy();
    await until(() => door.waiting === 0, 2_000, 'the places to be free again');
  }
  assert(refused > 0, 'one address may come and go for ever');
  const still = from('127.0.0.7', 1);
  await until(() => door.waiting === 1, 2_000, 'another address to come in');
  for (const socket of still) socket.destroy();
  const secured = await rawConnection(door.address);
  await until(() => door.waiting === 1, 2_000, 'the connection to be counted');
  secured.destroy();
  await until(() => door.waiting === 0, 2_000, 'its place to be free again');
  await rawConnection(door.address);
  await door.close();
});

test('a peer that breaks the framing loses its connection, and nobody else does', async () => {
  const victim = await node('framed');
  const friend = await node('friend', [victim.address]);
  await until(() => friend.connected(victim.nodeId), 5_000, 'the friend to connect');
  const breaches: Record<string, Uint8Array> = {
    'length beyond all bounds': u32(0xffff_ffff),
    'length one too many': u32(FRAME_BYTES_MAX + 1),
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

test('a link over a connection that has ended already ends too, and is said to be lost once', async () => {
  const victim = await node('haunted');
  const socket = await rawConnection(victim.address);
  const gone = once(socket, 'close');
  socket.destroy();
  await gone;
  const lost: Link[] = [];
  const ghost = new Link(TlsChannel.accepted(socket), {
    peer: victim.nodeId,
    session: '',
    outbound: true,
    purpose: 'link',
    handlers: new Map(),
    gate: () => undefined,
    roomFor: () => true,
    onClose: (link) => lost.push(link),
  });
  await until(() => lost.length > 0, 2_000, 'the link to be said lost');
  assert.deepEqual(lost, [ghost]);
  await assert.rejects(ghost.request(16, new Uint8Array(1), 1_000), { code: 'closed' });
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

test('one peer holds a few bulk connections; the newest count, and others are served beside them', async () => {
  const victim = await node('busy');
  const sockets: TLSSocket[] = [];
  for (let i = 0; i < 12; i++) sockets.push(await authenticated('hoarder', victim.address, 'bulk'));
  for (const socket of sockets) socket.on('error', () => undefined).resume();
  await until(
    () => sockets.filter((socket) => socket.closed).length === 8,
    5_000,
    'the surplus to be closed',
  );
  assert(sockets.slice(8).every((socket) => !socket.closed));
  const other = await authenticated('other', victim.address, 'bulk');
  other.write(frame(2, 1, 16, Uint8Array.of(5)));
  assert.equal((await nextBytes(other)).at(-1), 5);
  for (const socket of [...sockets, other]) socket.destroy();
});

test('a peer that asks for much and reads nothing is refused, not dropped and not paid for in memory', async () => {
  const victim = await node('generous');
  const friend = await node('reader', [victim.address]);
  await until(() => friend.connected(victim.nodeId), 5_000, 'the friend to connect');
  const greedy = await authenticated('greedy', victim.address);
  const { nodeId } = identity('greedy');
  greedy.pause();
  greedy.on('error', () => undefined);
  const asked = 200;
  let peakBytes = 0;
  for (let id = 1; id <= asked; id++) {
    greedy.write(frame(2, id, 17, new Uint8Array(0)));
    if (id % 10 > 0) continue;
    await friend.request(victim.nodeId, 16, Uint8Array.of(id));
    peakBytes = Math.max(peakBytes, process.memoryUsage().arrayBuffers);
  }
  assert(victim.connected(nodeId), 'who reads late is not dropped');
  assert(peakBytes < 64 * 1_048_576, `${peakBytes} bytes were held`);
  // What this node would say of its own accord is held back as well, and what it would ask.
  for (let n = 0; n < 50; n++) victim.notify(nodeId, 16, new Uint8Array(1_000_000));
  await assert.rejects(victim.request(nodeId, 16, new Uint8Array(1)), { code: 'overloaded' });
  assert(victim.connected(nodeId), 'a full backlog takes no gossip');
  const frames = new FrameReader(7);
  const answers = { replies: 0, refusals: 0 };
  greedy.on('data', (chunk: Buffer) => {
    for (const answer of frames.push(chunk)) {
      if (answer.readUInt8(0) === 3) answers.replies++;
      if (answer.readUInt8(0) === 4 && answer.includes('"overloaded"')) answers.refusals++;
    }
  });
  greedy.resume();
  await until(() => answers.replies + answers.refusals === asked, 5_000, 'every request to be answered');
  assert(answers.replies > 0 && answers.refusals > asked / 2, JSON.stringify(answers));
  greedy.destroy();
});

test('a flood of made-up node records is neither kept nor passed on; what comes at an honest pace is', async () => {
  const victim = await node('told');
  const friend = await node('bystander', [victim.address]);
  await until(() => friend.connected(victim.nodeId), 5_000, 'the friend to connect');
  const gossip = await authenticated('gossip', victim.address);
  const made = Array.from({ length: 200 }, (_, n) => {
    const { nodeId, secret } = identity(`made up ${n}`);
    return signRecord(CHAIN, { nodeId, addresses: ['127.0.0.1:1'], sequence: 1 }, secret);
  });
  for (const record of made) gossip.write(frame(1, 0, 1, encodeRecords([record])));
  gossip.write(frame(2, 1, 16, Uint8Array.of(1)));
  await once(gossip, 'data');
  const keptBy = (network: Network) =>
    made.filter(({ nodeId }) => network.addressesOf(nodeId).length > 0).length;
  // Another link has a share of its own.
  const newcomer = await authenticated('newcomer', victim.address);
  const last = made.at(-1) as NodeRecord;
  newcomer.write(frame(1, 0, 1, encodeRecords([last])));
  await until(() => victim.addressesOf(last.nodeId).length > 0, 5_000, 'the newcomer to be heard');
  // What came before it has been looked at before it.
  assert(keptBy(victim) >= 32 && keptBy(victim) < 100, `${keptBy(victim)} were kept`);
  assert(keptBy(friend) < 100);
  gossip.destroy();
  newcomer.destroy();
});

test('who goes on asking what is refused is read more slowly', async () => {
  const victim = await node('busy');
  victim.handle(18, 8, () => {
    throw new NetworkError('overloaded', 'ask again later');
  });
  const greedy = await authenticated('impatient', victim.address);
  const frames = new FrameReader(7);
  let refused = 0;
  const ask = (): void => void greedy.write(frame(2, refused + 1, 18, new Uint8Array(0)));
  greedy.on('data', (chunk: Buffer) => {
    for (const answer of frames.push(chunk)) {
      if (answer.readUInt8(0) !== 4) continue;
      refused++;
      ask();
    }
  });
  const startMs = performance.now();
  ask();
  await until(() => refused >= 1_000, 15_000, 'every request to be refused');
  // 800 at once, then 400 a second.
  assert(performance.now() - startMs > 400);
  greedy.destroy();
});
