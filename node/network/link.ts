import type { Duplex } from 'node:stream';
import type { NodeId } from '../../ledger/ids.ts';
import { Budget } from './budget.ts';
import { FRAME_BYTES_MAX, FrameReader, PREFIX_BYTES } from './frame-reader.ts';
import type { Purpose } from './hello.ts';
import { Liveness } from './liveness.ts';
import { NetworkError } from './network-error.ts';
import type { Channel } from './transport.ts';

/**
 * One authenticated connection with many small exchanges at once. Frame: u32 length of the rest | u8 type | u32 id |
 * u16 kind | body.
 */

const HEAD_BYTES = PREFIX_BYTES + 7;
/** The most that one message carries. */
export const BODY_BYTES_MAX = FRAME_BYTES_MAX - (HEAD_BYTES - PREFIX_BYTES);
/** Bodies up to here are copied behind their head: one write costs less than the copy. */
const COPIED_BYTES_MAX = 4_096;
/** Messages of a peer that are worked on at once; more are answered `overloaded`. A bulk connection carries one exchange. */
const INBOUND_MAX = { link: 256, bulk: 2 } as const;
const OUTBOUND_MAX = 4_096;
/** Unsent bytes after which no gossip is queued and no request answered: on a bulk connection, more than one answer. */
const BACKLOG_BYTES = { link: 8 * 1_048_576, bulk: 2 * 1_048_576 } as const;
/** From so many unsent bytes on, those of all other connections count too. */
const BACKLOG_SMALL_BYTES = 131_072;
/** Unsent bytes after which a peer is dropped. */
const BACKLOG_DROP_BYTES = 32 * 1_048_576;
/** What one peer may send in the long run; beyond it, its connection is read more slowly. */
const MESSAGES_PER_SECOND = 20_000;
const MESSAGES_BURST = 40_000;
/** A request that is refused counts as so many: who is told that there is too much to do must not be told at full speed. */
const REFUSED_MESSAGES = 50;
/** Bytes on the shared link; TCP alone limits bulk. */
const BYTES_PER_SECOND = 64 * 1_048_576;
const BYTES_BURST = 128 * 1_048_576;
const PING_MS = 10_000;
/** A piece that is smaller and ends no frame counts as a message: each costs as much as one. */
const PIECE_BYTES_MIN = 1_024;
/** What a peer may say of an error. */
const ERROR_BYTES_MAX = 4_096;

const TYPE = { notify: 1, request: 2, reply: 3, error: 4, ping: 5, pong: 6 } as const;

const OVERLOADED = Buffer.from('{"code":"overloaded","message":"too many requests at once"}');

export interface Handler {
  readonly bodyBytesMax: number;
  handle(
    peer: NodeId,
    body: Uint8Array,
    link: Link,
  ): Promise<Uint8Array | undefined> | Uint8Array | undefined;
}

/** Decides whether a peer may use a kind of message; throws, with a code for the peer, when it may not. */
export type Gate = (link: Link, kind: number, body: Uint8Array) => Promise<void> | undefined;

interface Waiting {
  resolve(body: Uint8Array): void;
  reject(error: Error): void;
  readonly timer: NodeJS.Timeout;
}

/** An error of a handler as it goes over the wire: its code, when it has one. */
function errorBody(error: unknown): Buffer {
  const code =
    error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'internal';
  const message = code === 'internal' || !(error instanceof Error) ? 'the request failed' : error.message;
  return Buffer.from(JSON.stringify({ code, message: message.slice(0, 500) }));
}

export class Link {
  readonly peer: NodeId;
  /** Of the peer: which start of it is at the other end. */
  readonly session: string;
  readonly outbound: boolean;
  readonly connectedMs = Date.now();
  /** On the clock of `performance.now()`. */
  readonly openedMs = performance.now();
  readonly address: string;
  roundTripMs: number | undefined;
  readonly #channel: Channel;
  readonly #stream: Duplex;
  readonly #handlers: ReadonlyMap<number, Handler>;
  readonly #gate: Gate;
  readonly #roomFor: (link: Link) => boolean;
  readonly #waiting = new Map<number, Waiting>();
  readonly #pinger: NodeJS.Timeout;
  readonly #purpose: Purpose;
  readonly #frames = new FrameReader(HEAD_BYTES - PREFIX_BYTES);
  readonly #messageBudget = new Budget(MESSAGES_PER_SECOND, MESSAGES_BURST, performance.now());
  readonly #byteBudget = new Budget(BYTES_PER_SECOND, BYTES_BURST, performance.now());
  #resting: NodeJS.Timeout | undefined;
  #nextId = 1;
  #inbound = 0;
  #corked = false;
  readonly #liveness = new Liveness(performance.now());
  #usedMs = performance.now();
  #pingSentMs = 0;
  #closed = false;

  constructor(
    channel: Channel,
    options: {
      peer: NodeId;
      session: string;
      outbound: boolean;
      purpose: Purpose;
      handlers: ReadonlyMap<number, Handler>;
      gate: Gate;
      /** Whether this link may have more bytes unsent, considering those of all others. */
      roomFor(link: Link): boolean;
      onClose(link: Link): void;
    },
  ) {
    this.peer = options.peer;
    this.session = options.session;
    this.outbound = options.outbound;
    this.#purpose = options.purpose;
    const { stream } = channel;
    this.#channel = channel;
    this.#stream = stream;
    this.#handlers = options.handlers;
    this.#gate = options.gate;
    this.#roomFor = options.roomFor;
    this.address = channel.address;
    stream.on('error', () => stream.destroy());
    const ended = (): void => {
      if (this.#closed) return;
      this.#closed = true;
      clearInterval(this.#pinger);
      clearTimeout(this.#resting);
      for (const { reject, timer } of this.#waiting.values()) {
        clearTimeout(timer);
        reject(new NetworkError('closed', 'the connection to the other node closed'));
      }
      this.#waiting.clear();
      options.onClose(this);
    };
    stream.on('close', ended);
    // The other end may have gone between its hello and now; then there is no event left to wait for.
    if (stream.destroyed) process.nextTick(ended);
    this.#pinger = setInterval(() => this.#ping(), PING_MS);
    this.#pinger.unref();
    channel.deliver((piece) => this.#receive(piece));
  }

  get bytesIn(): number {
    return this.#channel.bytesIn;
  }

  get bytesOut(): number {
    return this.#channel.bytesOut;
  }

  /** Bytes that the other end has not taken yet. */
  get unsentBytes(): number {
    return this.#stream.writableLength;
  }

  get #crowded(): boolean {
    return this.unsentBytes >= BACKLOG_SMALL_BYTES && !this.#roomFor(this);
  }

  get #full(): boolean {
    return this.unsentBytes >= BACKLOG_BYTES[this.#purpose] || this.#crowded;
  }

  /** 32 bytes that both ends of this connection know and nobody else, another for each `label` (RFC 8446 §7.5). */
  exporter(label: string): Uint8Array {
    if (this.closed) throw new NetworkError('closed', 'the connection to the other node closed');
    return this.#channel.exporter(label);
  }

  /** Whether an exchange is under way, in either direction. */
  get busy(): boolean {
    return this.#waiting.size > 0 || this.#inbound > 0;
  }

  /** When a message or request last went either way, on the clock of `performance.now()`. */
  get usedMs(): number {
    return this.#usedMs;
  }

  get closed(): boolean {
    return this.#closed || this.#stream.destroyed;
  }

  close(): void {
    this.#stream.destroy();
  }

  #ping(): void {
    const nowMs = performance.now();
    if (this.#liveness.over(nowMs, this.bytesOut - this.unsentBytes, this.unsentBytes)) return this.close();
    this.#pingSentMs = nowMs;
    this.#write(TYPE.ping, 0, 0, new Uint8Array(0));
  }

  #write(type: number, id: number, kind: number, body: Uint8Array): void {
    if (this.closed) return;
    const copied = body.length <= COPIED_BYTES_MAX;
    const head = Buffer.allocUnsafe(copied ? HEAD_BYTES + body.length : HEAD_BYTES);
    head.writeUInt32BE(HEAD_BYTES - PREFIX_BYTES + body.length, 0);
    head.writeUInt8(type, 4);
    head.writeUInt32BE(id, 5);
    head.writeUInt16BE(kind, 9);
    if (copied) head.set(body, HEAD_BYTES);
    if (!this.#corked) {
      this.#corked = true;
      this.#stream.cork();
      process.nextTick(() => {
        this.#corked = false;
        this.#stream.uncork();
      });
    }
    this.#stream.write(head);
    if (!copied) this.#stream.write(body);
    if (this.#stream.writableLength > BACKLOG_DROP_BYTES) this.close();
  }

  /** Sends without an answer; dropped when the peer does not keep up. Throws NetworkError `too-large`. */
  notify(kind: number, body: Uint8Array): void {
    if (body.length > BODY_BYTES_MAX)
      throw new NetworkError('too-large', 'the message is too large for a frame');
    this.#usedMs = performance.now();
    if (!this.#full) this.#write(TYPE.notify, 0, kind, body);
  }

  /** Throws NetworkError `timeout`, `closed`, `overloaded`, `too-large` or `remote`. */
  request(kind: number, body: Uint8Array, deadlineMs: number): Promise<Uint8Array> {
    if (this.closed)
      return Promise.reject(new NetworkError('closed', 'the connection to the other node closed'));
    if (body.length > BODY_BYTES_MAX)
      return Promise.reject(new NetworkError('too-large', 'the request is too large for a frame'));
    if (this.#waiting.size >= OUTBOUND_MAX || this.#full)
      return Promise.reject(new NetworkError('overloaded', 'too many requests to this node are open'));
    this.#usedMs = performance.now();
    const id = this.#nextId;
    this.#nextId = (this.#nextId % 0xffff_ffff) + 1;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(id);
        reject(new NetworkError('timeout', `no answer within ${deadlineMs} ms`));
      }, deadlineMs);
      this.#waiting.set(id, { resolve, reject, timer });
      this.#write(TYPE.request, id, kind, body);
    });
  }

  #receive(piece: Buffer): void {
    let ended = false;
    try {
      for (const frame of this.#frames.push(piece)) {
        ended = true;
        if (this.closed) return;
        this.#dispatch(frame.readUInt8(0), frame.readUInt32BE(1), frame.readUInt16BE(5), frame.subarray(7));
      }
      this.#liveness.heard(performance.now(), ended, this.#frames.begun);
      if (!ended && piece.length < PIECE_BYTES_MIN) this.#charge(0);
    } catch (error) {
      if (!(error instanceof NetworkError)) throw error;
      this.close();
    }
  }

  /** Reads no further for a while when the peer has used up its budget. */
  #charge(bytes: number): void {
    const nowMs = performance.now();
    const restMs = Math.max(
      this.#messageBudget.spend(1, nowMs),
      this.#purpose === 'link' ? this.#byteBudget.spend(bytes, nowMs) : 0,
    );
    if (restMs === 0 || this.#resting !== undefined || this.closed) return;
    this.#stream.pause();
    this.#resting = setTimeout(() => {
      this.#resting = undefined;
      this.#stream.resume();
    }, restMs);
  }

  #dispatch(type: number, id: number, kind: number, body: Buffer): void {
    switch (type) {
      case TYPE.ping:
        this.#charge(0);
        if (!this.#full) this.#write(TYPE.pong, 0, 0, new Uint8Array(0));
        return;
      case TYPE.pong:
        this.#charge(0);
        this.roundTripMs = performance.now() - this.#pingSentMs;
        return;
      case TYPE.reply:
      case TYPE.error: {
        const waiting = this.#waiting.get(id);
        // An answer that came too late, or that nobody asked for.
        if (waiting === undefined) return this.#charge(body.length);
        this.#waiting.delete(id);
        clearTimeout(waiting.timer);
        if (type === TYPE.reply) waiting.resolve(body);
        else waiting.reject(remoteError(body));
        return;
      }
      case TYPE.notify:
      case TYPE.request:
        this.#charge(body.length);
        void this.#serve(type === TYPE.request ? id : undefined, kind, body);
        return;
      default:
        return this.close();
    }
  }

  async #serve(id: number | undefined, kind: number, body: Buffer): Promise<void> {
    const answer = (type: number, bytes: Uint8Array): void => {
      if (id !== undefined) this.#write(type, id, kind, bytes);
    };
    const handler = this.#handlers.get(kind);
    if (handler === undefined)
      return answer(
        TYPE.error,
        Buffer.from('{"code":"unknown-kind","message":"this node does not know this request"}'),
      );
    if (body.length > handler.bodyBytesMax) return this.close();
    const refuse = (reason: Buffer): void => {
      if (id !== undefined) this.#messageBudget.spend(REFUSED_MESSAGES, performance.now());
      answer(TYPE.error, reason);
    };
    if (this.#inbound >= INBOUND_MAX[this.#purpose] || this.#full) return refuse(OVERLOADED);
    this.#inbound++;
    this.#usedMs = performance.now();
    try {
      const admitted = this.#gate(this, kind, body);
      if (admitted !== undefined) await admitted;
      // What is worked out at once is done with before the next frame: only what takes time is under way.
      const handled = handler.handle(this.peer, body, this);
      const reply = (handled instanceof Promise ? await handled : handled) ?? new Uint8Array(0);
      if (reply.length > BODY_BYTES_MAX)
        throw new NetworkError('too-large', 'the answer is too large for a frame');
      // Others may have been worked out meanwhile.
      const fits = this.unsentBytes + reply.length <= BACKLOG_DROP_BYTES && !this.#crowded;
      if (fits) answer(TYPE.reply, reply);
      else refuse(OVERLOADED);
    } catch (error) {
      refuse(errorBody(error));
    } finally {
      this.#inbound--;
    }
  }
}

function remoteError(body: Buffer): NetworkError {
  const unclear = new NetworkError('remote', 'the other node answered with an error', 'internal');
  if (body.length > ERROR_BYTES_MAX) return unclear;
  try {
    const { code, message } = JSON.parse(body.toString('utf8')) as { code: unknown; message: unknown };
    return new NetworkError('remote', String(message).slice(0, 500), String(code).slice(0, 60));
  } catch {
    return unclear;
  }
}
