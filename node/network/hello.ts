import type { Duplex } from 'node:stream';
import { concat, equalBytes, utf8 } from '../../ledger/bytes.ts';
import { publicKeyOf, sign, signingDigest, verify } from '../../ledger/crypto/secp256k1.ts';
import { type ChainId, idBytes, keyId, type NodeId } from '../../ledger/ids.ts';
import { NetworkError } from './network-error.ts';
import type { Channel } from './transport.ts';

/**
 * Who is at the other end. Both sign chain, role, both node keys and the TLS exporter value (RFC 8446, section 7.5):
 * a hello is worth nothing on another connection, in the other direction or on another chain.
 *
 * initiator → "BTH1" ‖ chainId 32 ‖ purpose 1 ‖ node key 33
 * responder → status 1 ‖ node key 33 ‖ signature 64   (only the status when it refuses)
 * initiator → signature 64
 */

/** `link` carries small requests and gossip, `bulk` one large exchange at a time. */
export type Purpose = 'link' | 'bulk';

export interface Identity {
  readonly chainId: ChainId;
  readonly nodeId: NodeId;
  readonly secret: Uint8Array;
}

const MAGIC = utf8('BTH1');
/** For the whole hello, however it trickles in. */
const HELLO_MS = 5_000;
const STATUS = { ok: 0, 'wrong-chain': 1, 'not-admitted': 2, malformed: 3 } as const;
const INITIATOR = Uint8Array.of(1);
const RESPONDER = Uint8Array.of(2);

function digest(
  chainId: ChainId,
  role: Uint8Array,
  initiator: NodeId,
  responder: NodeId,
  exporter: Uint8Array,
): Uint8Array {
  return signingDigest('hello', idBytes(chainId), role, idBytes(initiator), idBytes(responder), exporter);
}

function exporterOf(channel: Channel): Uint8Array {
  if (channel.stream.destroyed)
    throw new NetworkError('bad-hello', 'the other end closed before it said who it is');
  return channel.exporter('EXPORTER-blocktree-hello');
}

/** Exactly `length` bytes, or NetworkError `bad-hello` when the stream ends or `deadlineMs` (performance.now) passes. */
function readExactly(stream: Duplex, length: number, deadlineMs: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const done = (error?: Error, bytes?: Buffer): void => {
      clearTimeout(timer);
      stream.off('readable', read);
      stream.off('close', closed);
      stream.off('error', closed);
      if (bytes === undefined) reject(error);
      else resolve(bytes);
    };
    const read = (): void => {
      const bytes = stream.read(length) as Buffer | null;
      if (bytes === null) return;
      if (bytes.length < length)
        done(new NetworkError('bad-hello', 'the other end stopped in the middle of its hello'));
      else done(undefined, bytes);
    };
    const closed = (): void =>
      done(new NetworkError('bad-hello', 'the other end closed before it said who it is'));
    const timer = setTimeout(
      () => done(new NetworkError('bad-hello', `no hello within ${HELLO_MS} ms`)),
      deadlineMs - performance.now(),
    );
    stream.on('readable', read);
    stream.on('close', closed);
    stream.on('error', closed);
    if (stream.destroyed) closed();
    else read();
  });
}

/** The dialling side. Gives the node at the other end. Throws NetworkError `bad-hello`, `refused` or `self`. */
export async function sayHello(channel: Channel, self: Identity, purpose: Purpose): Promise<NodeId> {
  const exporter = exporterOf(channel);
  const deadlineMs = performance.now() + HELLO_MS;
  channel.stream.write(
    concat(MAGIC, idBytes(self.chainId), Uint8Array.of(purpose === 'link' ? 1 : 2), idBytes(self.nodeId)),
  );
  const [status] = await readExactly(channel.stream, 1, deadlineMs);
  if (status === STATUS['wrong-chain'])
    throw new NetworkError('refused', 'the other node belongs to another network');
  if (status !== STATUS.ok) throw new NetworkError('refused', 'the other node does not admit this one');
  const answer = await readExactly(channel.stream, 33 + 64, deadlineMs);
  const peer = keyId<NodeId>(answer.subarray(0, 33));
  if (
    !verify(answer.subarray(33), digest(self.chainId, RESPONDER, self.nodeId, peer, exporter), idBytes(peer))
  ) {
    throw new NetworkError('bad-hello', 'the other node could not prove its key');
  }
  if (peer === self.nodeId) throw new NetworkError('self', 'this is the node itself');
  channel.stream.write(sign(digest(self.chainId, INITIATOR, self.nodeId, peer, exporter), self.secret));
  return peer;
}

/** The listening side. `admit` says who may come in, before anything is proven. Throws NetworkError `bad-hello` or `refused`. */
export async function answerHello(
  channel: Channel,
  self: Identity,
  admit: (peer: NodeId, purpose: Purpose) => boolean,
): Promise<{ peer: NodeId; purpose: Purpose }> {
  const exporter = exporterOf(channel);
  const deadlineMs = performance.now() + HELLO_MS;
  const hello = await readExactly(channel.stream, 4 + 32 + 1 + 33, deadlineMs);
  const refuse = (status: number, message: string): never => {
    channel.stream.end(Uint8Array.of(status));
    throw new NetworkError('refused', message);
  };
  const purposeByte = hello[36];
  if (!equalBytes(hello.subarray(0, 4), MAGIC) || (purposeByte !== 1 && purposeByte !== 2)) {
    return refuse(STATUS.malformed, 'not a hello of this protocol');
  }
  if (!equalBytes(hello.subarray(4, 36), idBytes(self.chainId)))
    return refuse(STATUS['wrong-chain'], 'the other node belongs to another network');
  const peer = keyId<NodeId>(hello.subarray(37, 70));
  const purpose = purposeByte === 1 ? 'link' : 'bulk';
  // A node that dials itself gets its answer, and knows by it to stop.
  if (peer !== self.nodeId && !admit(peer, purpose))
    return refuse(STATUS['not-admitted'], 'the other node is not admitted');
  channel.stream.write(
    concat(
      Uint8Array.of(STATUS.ok),
      idBytes(self.nodeId),
      sign(digest(self.chainId, RESPONDER, peer, self.nodeId, exporter), self.secret),
    ),
  );
  const signature = await readExactly(channel.stream, 64, deadlineMs);
  if (!verify(signature, digest(self.chainId, INITIATOR, peer, self.nodeId, exporter), idBytes(peer))) {
    throw new NetworkError('bad-hello', 'the other node could not prove its key');
  }
  if (peer === self.nodeId) throw new NetworkError('self', 'this is the node itself');
  return { peer, purpose };
}

/** The identity of a node key. */
export function identityOf(chainId: ChainId, secret: Uint8Array): Identity {
  return { chainId, secret, nodeId: keyId<NodeId>(publicKeyOf(secret)) };
}
