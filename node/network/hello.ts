import { randomBytes } from 'node:crypto';
import type { Duplex } from 'node:stream';
import { concat, equalBytes, toHex, utf8 } from '../../ledger/bytes.ts';
import { publicKeyOf, sign, signingDigest, verify } from '../../ledger/crypto/secp256k1.ts';
import { type ChainId, idBytes, keyId, type NodeId } from '../../ledger/ids.ts';
import { NetworkError } from './network-error.ts';
import {
  ADDRESS_BYTES_MAX,
  addressIn,
  hostOf,
  type Identity,
  provesTwin,
  type Rival,
  SESSION_BYTES,
  SIGNED_BYTES,
  signSession,
  TESTIMONY_BYTES,
} from './session.ts';
import type { Channel } from './transport.ts';

/**
 * Who is at the other end, and which start of it. Both sign chain, role, the node keys and sessions that they know, and the
 * TLS exporter value (RFC 8446, section 7.5): a hello is worth nothing on another connection, in the other direction or on
 * another chain.
 *
 * initiator → "BTH2" ‖ chainId 32 ‖ purpose 1 ‖ node key 33 ‖ session 16 ‖ signature 64
 * responder → status 1 ‖ node key 33 ‖ session 16 ‖ signature 64   (only the status when it refuses)
 *
 * Where another session of the initiator is linked to the responder and lives (`twins.ts`):
 * responder → status 1 ‖ testimony 112 ‖ u8 length ‖ address
 * initiator → signed session 80
 */

/** `link` carries small requests and gossip, `bulk` one large exchange at a time. */
export type Purpose = 'link' | 'bulk';

/** Who calls, proven. */
export interface Caller {
  readonly peer: NodeId;
  /** Hex of the session. */
  readonly session: string;
  readonly purpose: Purpose;
  /** What only this connection knows, for a rival to sign. */
  readonly challenge: Uint8Array;
}

/** What becomes of a caller: refused without more, or because another session of it lives. */
export type Verdict = 'welcome' | 'refused' | Rival;

/** Another node runs with the key of this one. */
export class TwinMet extends NetworkError {
  /** Whether the other end refused this node for it. */
  readonly refused: boolean;
  readonly address: string | undefined;
  constructor(refused: boolean, address: string | undefined) {
    super('twin', 'another node runs with the key of this one');
    this.refused = refused;
    this.address = address;
  }
}

const MAGIC = utf8('BTH2');
const KEY_BYTES = 33;
/** For the whole hello, however it trickles in. */
const HELLO_MS = 5_000;
const STATUS = { ok: 0, 'wrong-chain': 1, 'not-admitted': 2, malformed: 3, twin: 4 } as const;
const INITIATOR = Uint8Array.of(1);
const RESPONDER = Uint8Array.of(2);

function exporterOf(channel: Channel): Uint8Array {
  if (channel.stream.destroyed)
    throw new NetworkError('bad-hello', 'the other end closed before it said who it is');
  return channel.exporter('EXPORTER-blocktree-hello');
}

/** 32 bytes of this connection that a rival of its initiator signs. Throws NetworkError `bad-hello` when it is closed. */
export function challengeOf(channel: Channel): Uint8Array {
  if (channel.stream.destroyed)
    throw new NetworkError('bad-hello', 'the other end closed before it was let in');
  return channel.exporter('EXPORTER-blocktree-twin');
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

/** The dialling side. Gives the node at the other end. Throws NetworkError `bad-hello`, `refused` or `self`, and TwinMet. */
export async function sayHello(
  channel: Channel,
  self: Identity,
  purpose: Purpose,
): Promise<{ readonly peer: NodeId; readonly session: string }> {
  const exporter = exporterOf(channel);
  const deadlineMs = performance.now() + HELLO_MS;
  const { chainId, nodeId, session } = self;
  const chain = idBytes(chainId);
  const words = signingDigest('hello', chain, INITIATOR, idBytes(nodeId), session, exporter);
  channel.stream.write(
    concat(
      MAGIC,
      chain,
      Uint8Array.of(purpose === 'link' ? 1 : 2),
      idBytes(nodeId),
      session,
      sign(words, self.secret),
    ),
  );
  const [status] = await readExactly(channel.stream, 1, deadlineMs);
  if (status === STATUS['wrong-chain'])
    throw new NetworkError('refused', 'the other node belongs to another network');
  if (status === STATUS.twin) throw await refusedForTwin(channel, self, deadlineMs);
  if (status !== STATUS.ok) throw new NetworkError('refused', 'the other node does not admit this one');
  const answer = await readExactly(channel.stream, KEY_BYTES + SIGNED_BYTES, deadlineMs);
  const key = answer.subarray(0, KEY_BYTES);
  const theirs = answer.subarray(KEY_BYTES, KEY_BYTES + SESSION_BYTES);
  const expected = signingDigest('hello', chain, RESPONDER, idBytes(nodeId), session, key, theirs, exporter);
  if (!verify(answer.subarray(KEY_BYTES + SESSION_BYTES), expected, key))
    throw new NetworkError('bad-hello', 'the other node could not prove its key');
  const peer = keyId<NodeId>(key);
  if (peer === nodeId) throw metItself(self, theirs, channel.address);
  return { peer, session: toHex(theirs) };
}

/** Reads why, and signs in turn for the other. A refusal that proves nothing is one as any other. */
async function refusedForTwin(channel: Channel, self: Identity, deadlineMs: number): Promise<NetworkError> {
  const said = await readExactly(channel.stream, TESTIMONY_BYTES + 1, deadlineMs);
  const length = Math.min(said[TESTIMONY_BYTES] as number, ADDRESS_BYTES_MAX);
  const address = length === 0 ? undefined : addressIn(await readExactly(channel.stream, length, deadlineMs));
  if (!provesTwin(self, challengeOf(channel), said))
    return new NetworkError('refused', 'the other node does not admit this one');
  channel.stream.write(signSession(self, said.subarray(SIGNED_BYTES, TESTIMONY_BYTES)));
  return new TwinMet(true, address);
}

/** The other end has this node's key: it is this node, or another that runs with it. */
function metItself(self: Identity, session: Uint8Array, address: string): NetworkError {
  return equalBytes(session, self.session)
    ? new NetworkError('self', 'this is the node itself')
    : new TwinMet(false, address);
}

/**
 * The listening side. `judge` says who may come in. Throws NetworkError `bad-hello`, `refused` or `self`, and TwinMet.
 */
export async function answerHello(
  channel: Channel,
  self: Identity,
  judge: (caller: Caller) => Verdict | Promise<Verdict>,
): Promise<Omit<Caller, 'challenge'>> {
  const exporter = exporterOf(channel);
  const deadlineMs = performance.now() + HELLO_MS;
  const hello = await readExactly(channel.stream, 4 + 32 + 1 + KEY_BYTES + SIGNED_BYTES, deadlineMs);
  const refuse = (status: number, message: string): never => {
    channel.stream.end(Uint8Array.of(status));
    throw new NetworkError('refused', message);
  };
  const purposeByte = hello[36];
  if (!equalBytes(hello.subarray(0, 4), MAGIC) || (purposeByte !== 1 && purposeByte !== 2)) {
    return refuse(STATUS.malformed, 'not a hello of this protocol');
  }
  const chain = idBytes(self.chainId);
  if (!equalBytes(hello.subarray(4, 36), chain))
    return refuse(STATUS['wrong-chain'], 'the other node belongs to another network');
  const key = hello.subarray(37, 70);
  const theirs = hello.subarray(70, 86);
  if (!verify(hello.subarray(86), signingDigest('hello', chain, INITIATOR, key, theirs, exporter), key))
    throw new NetworkError('bad-hello', 'the other node could not prove its key');
  const peer = keyId<NodeId>(key);
  const purpose = purposeByte === 1 ? 'link' : 'bulk';
  const session = toHex(theirs);
  // A node that dials itself gets its answer, and knows by it to stop.
  if (peer !== self.nodeId) {
    const verdict = await judge({ peer, session, purpose, challenge: challengeOf(channel) });
    if (verdict === 'refused') return refuse(STATUS['not-admitted'], 'the other node is not admitted');
    if (verdict !== 'welcome') return refuseForRival(channel, verdict, deadlineMs);
  }
  const own = idBytes(self.nodeId);
  const words = signingDigest('hello', chain, RESPONDER, key, theirs, own, self.session, exporter);
  channel.stream.write(concat(Uint8Array.of(STATUS.ok), own, self.session, sign(words, self.secret)));
  if (peer === self.nodeId) throw metItself(self, theirs, hostOf(channel.address));
  return { peer, session, purpose };
}

/** Refuses a caller for another session of it that lives, and tells that one what the caller has to say to it. */
async function refuseForRival(channel: Channel, rival: Rival, deadlineMs: number): Promise<never> {
  const address = utf8(rival.address).subarray(0, ADDRESS_BYTES_MAX);
  channel.stream.write(
    concat(Uint8Array.of(STATUS.twin), rival.testimony, Uint8Array.of(address.length), address),
  );
  rival.tell(await readExactly(channel.stream, SIGNED_BYTES, deadlineMs), hostOf(channel.address));
  throw new NetworkError('refused', 'another node with the same key is linked and lives');
}

/** The identity of a node key, at one start of its node. */
export function identityOf(
  chainId: ChainId,
  secret: Uint8Array,
  session: Uint8Array = randomBytes(SESSION_BYTES),
): Identity {
  return { chainId, secret, session, nodeId: keyId<NodeId>(publicKeyOf(secret)) };
}
