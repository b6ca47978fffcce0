import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, test } from 'node:test';
import { concat, utf8 } from '../../ledger/bytes.ts';
import { sha256 } from '../../ledger/crypto/sha256.ts';
import { authenticated, CHAIN, identity, openNetwork } from '../../test/support/link-nodes.ts';
import { memoryTransport } from '../../test/support/memory-transport.ts';
import { until } from '../../test/support/until.ts';
import { answerHello, identityOf, sayHello, TwinMet } from './hello.ts';
import { KIND } from './kinds.ts';
import type { Network } from './network.ts';
import { NetworkError } from './network-error.ts';
import { CHALLENGE_BYTES, type Identity, SIGNED_BYTES, signSession, TESTIMONY_BYTES } from './session.ts';
import { tlsTransport } from './tls-transport.ts';

/** Two nodes run with one key: the second one is kept out while the first one lives, and nobody else can bring that about. */

const open: Network[] = [];
after(() => Promise.all(open.map((network) => network.close())));

async function node(
  name: string,
  seeds: readonly string[] = [],
  transport = memoryTransport,
): Promise<Network> {
  const network = await openNetwork(name, seeds, CHAIN, [], transport);
  network.handle(16, 1_000, (_, body) => body);
  open.push(network);
  return network;
}

/** The key of a node at another start of it. */
const copyOf = (name: string): Identity => identityOf(CHAIN, sha256(utf8(name)));
const sighting = (network: Network) => network.twin;
const never = new AbortController().signal;

test('a copy is refused while the first one lives, both hear of it, and it is let in once the first one is gone', async () => {
  const peers = [await node('peer 1'), await node('peer 2')];
  const seeds = peers.map(({ address }) => address);
  const first = await node('owner', seeds);
  await until(() => peers.every((peer) => peer.connected(first.nodeId)), 5_000, 'the first to be linked');
  const copy = await node('owner', seeds);
  await until(
    () => copy.twin?.refused === true && first.twin?.refused === false,
    5_000,
    'both to hear of it',
  );
  assert.equal(first.twin?.address, '127.0.0.1');
  assert.equal(copy.peers().length, 0);
  for (const peer of peers)
    assert.deepEqual(
      [...(await first.request(peer.nodeId, 16, Uint8Array.of(7)))],
      [7],
      'its links are as before',
    );
  await first.close();
  await until(() => peers.every(({ nodeId }) => copy.connected(nodeId)), 10_000, 'the copy to be let in');
  for (const peer of peers)
    assert.deepEqual([...(await peer.request(copy.nodeId, 16, Uint8Array.of(8)))], [8]);
});

test('a connection for transfers is refused alike, and one that dials a copy does not link to it', async () => {
  const peer = await node('storer');
  const first = await node('mover', [peer.address]);
  await until(() => peer.connected(first.nodeId), 5_000, 'the first to be linked');
  const channel = await memoryTransport.dial(peer.address, never);
  await assert.rejects(
    sayHello(channel, copyOf('mover'), 'bulk'),
    (error) => error instanceof TwinMet && error.refused && error.address === '127.0.0.1',
  );
});

test('a node that dials both twins is linked to the one that answers first, and drops the other', async () => {
  const twins = [await node('castor'), await node('castor')];
  let dropped = 0;
  for (const twin of twins)
    twin.onPeer((_, state) => {
      if (state === 'disconnected') dropped++;
    });
  const asking = await node(
    'leda',
    twins.map(({ address }) => address),
  );
  await until(() => dropped > 0 && asking.peers().length === 1, 5_000, 'one to be dropped');
  const [link] = asking.peers();
  await until(() => dropped > 1, 5_000, 'it to be dropped again');
  assert.deepEqual(
    asking.peers().map(({ address, connectedMs }) => [address, connectedMs]),
    [[link?.address, link?.connectedMs]],
  );
});

test('a copy that meets the first one itself knows, and so does the first one', async () => {
  const first = await node('alone');
  const copy = await node('alone', [first.address]);
  await until(() => first.twin !== undefined && copy.twin !== undefined, 5_000, 'both to know');
  assert.deepEqual([first.twin?.refused, copy.twin?.refused], [false, false]);
  assert.equal(copy.twin?.address, first.address);
  assert.deepEqual([first.peers().length, copy.peers().length], [0, 0]);
});

test('a node that lost its power and comes back is let in although its connection still seems open', async () => {
  const peer = await node('watcher', [], tlsTransport);
  // Open, and nobody reads or answers.
  const half = await authenticated('unplugged', peer.address);
  const bulk = await authenticated('unplugged', peer.address, 'bulk');
  for (const socket of [half, bulk]) socket.on('error', () => undefined).pause();
  await until(() => peer.connected(identity('unplugged').nodeId), 5_000, 'the link');
  const again = await node('unplugged', [peer.address], tlsTransport);
  const startMs = performance.now();
  await until(() => again.connected(peer.nodeId), 10_000, 'the node to be let in');
  assert(performance.now() - startMs < 8_000);
  assert.equal(again.twin, undefined);
  assert.deepEqual([...(await peer.request(again.nodeId, 16, Uint8Array.of(9)))], [9]);
  half.destroy();
  bulk.destroy();
});

test('who has not the key can make nobody believe in a twin', async () => {
  const owner = copyOf('honest');
  const liar = identity('liar');
  let testimonies: ((challenge: Uint8Array) => Uint8Array)[] = [];
  const door = await memoryTransport.listen({
    host: '127.0.0.1',
    port: 0,
    connectionsMax: 10,
    async welcome(channel) {
      const lie = testimonies.shift() as (challenge: Uint8Array) => Uint8Array;
      const tell = (): void => assert.fail('a made-up twin was answered');
      await answerHello(channel, liar, ({ challenge }) => ({
        testimony: lie(challenge),
        address: 'x',
        tell,
      })).catch(() => undefined);
      channel.closeSoon();
    },
  });
  const drawn = randomBytes(CHALLENGE_BYTES);
  const elsewhere = signSession(copyOf('honest'), randomBytes(CHALLENGE_BYTES));
  testimonies = [
    () => randomBytes(TESTIMONY_BYTES),
    (challenge) => concat(signSession(liar, challenge), drawn),
    () => concat(elsewhere, drawn),
    // What the node itself says when it is asked over another link.
    (challenge) => concat(signSession(owner, challenge), drawn),
  ];
  for (const attempt of [...testimonies.keys()])
    await assert.rejects(
      sayHello(await memoryTransport.dial(door.address, never), owner, 'link'),
      { code: 'refused' },
      `lie ${attempt}`,
    );
  await door.close();
});

test('a peer cannot tell a node of a twin that there is not, nor again of one that there was', async () => {
  const first = await node('gullible');
  const peer = await node('teller', [first.address]);
  await until(() => peer.connected(first.nodeId), 5_000, 'the link');
  const notify = async (body: Uint8Array): Promise<void> => {
    peer.notify(first.nodeId, KIND.twin, body);
    await peer.request(first.nodeId, 16, new Uint8Array(1));
  };
  const testimony = async (): Promise<Uint8Array> =>
    (await peer.request(first.nodeId, KIND.testimony, randomBytes(CHALLENGE_BYTES))).slice(SIGNED_BYTES);
  const copy = copyOf('gullible');
  const drawn = await testimony();
  await notify(concat(drawn, signSession(identity('teller'), drawn)));
  await notify(concat(await testimony(), signSession(copy, drawn)));
  await notify(concat(randomBytes(CHALLENGE_BYTES), signSession(copy, drawn)));
  await notify(new Uint8Array(3));
  const itself = await peer.request(first.nodeId, KIND.testimony, drawn);
  await notify(concat(itself.slice(SIGNED_BYTES), itself.slice(0, SIGNED_BYTES)));
  assert.equal(sighting(first), undefined);
  const fresh = await testimony();
  const genuine = concat(fresh, signSession(copy, fresh), utf8('192.0.2.1'));
  await notify(genuine);
  const noticed = sighting(first);
  assert.equal(noticed?.address, '192.0.2.1');
  await notify(genuine);
  assert.equal(sighting(first)?.atMs, noticed?.atMs, 'a testimony counts once');
});

test('a first one that is kept too busy to testify is not taken for dead', async () => {
  const peer = await node('patron');
  const first = await node('besieged', [peer.address]);
  await until(() => peer.connected(first.nodeId), 5_000, 'the link');
  const flood = await node('flood', [first.address]);
  await until(() => flood.connected(first.nodeId), 5_000, 'the flood to be linked');
  const ask = (): Promise<unknown> =>
    flood.request(first.nodeId, KIND.testimony, randomBytes(CHALLENGE_BYTES)).catch((error) => error);
  const asked = Promise.all(Array.from({ length: 500 }, ask));
  const copy = copyOf('besieged');
  // With the proof or, when that is refused, without.
  await assert.rejects(
    sayHello(await memoryTransport.dial(peer.address, never), copy, 'link'),
    (error) => error instanceof NetworkError && ['refused', 'twin'].includes(error.code),
  );
  const answers = await asked;
  assert(answers.some((answer) => (answer as { remoteCode?: string }).remoteCode === 'overloaded'));
  assert(peer.connected(first.nodeId));
});
