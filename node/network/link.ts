import type { TLSSocket } from 'node:tls';
import type { NodeId } from '../../ledger/ids.ts';
import { NetworkError } from './network-error.ts';

/**
 * One authenticated connection with many small exchanges at once. Frame: u32 length of the rest | u8 type | u32 id |
 * u16 kind | body.
 */

const HEAD_BYTES = 11;
export const FRAME_BYTES_MAX = 1_310_720;
/** Requests of a peer that are worked on at once; more are answered `overloaded`. */
const INBOUND_MAX = 256;
const OUTBOUND_MAX = 4_096;
/** Unsent bytes after which gossip is not queued any more, and after which a peer that reads nothing is dropped. */
const BACKLOG_BYTES = 8 * 1_048_576;
const BACKLOG_DROP_BYTES = 48 * 1_048_576;
const PING_MS = 10_000;
const SILENCE_MS = 25_000;

const TYPE = { notify: 1, request: 2, reply: 3, error: 4, ping: 5, pong: 6 } as const;

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
  readonly outbound: boolean;
  readonly connectedMs = Date.now();
  readonly address: string;
  roundTripMs: number | undefined;
  readonly #socket: TLSSocket;
  readonly #handlers: ReadonlyMap<number, Handler>;
  readonly #gate: Gate;
  readonly #waiting = new Map<number, Waiting>();
  readonly #pinger: NodeJS.Timeout;
  #nextId = 1;
  #inbound = 0;
  #received: Buffer[] = [];
  #receivedBytes = 0;
  #heardMs = Date.now();
  #pingSentMs = 0;
  #closed = false;

  constructor(
    socket: TLSSocket,
    options: {
      peer: NodeId;
      outbound: boolean;
      handlers: ReadonlyMap<number, Handler>;
      gate: Gate;
      onClose(link: Link): void;
    },
  ) {
    this.peer = options.peer;
    this.outbound = options.outbound;
    this.#socket = socket;
    this.#handlers = options.handlers;
    this.#gate = options.gate;
    this.address = `${socket.remoteAddress ?? '?'}:${socket.remotePort ?? 0}`;
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      this.#closed = true;
      clearInterval(this.#pinger);
      for (const { reject, timer } of this.#waiting.values()) {
        clearTimeout(timer);
        reject(new NetworkError('closed', 'the connection to the other node closed'));
      }
      this.#waiting.clear();
      options.onClose(this);
    });
    this.#pinger = setInterval(() => this.#ping(), PING_MS);
    this.#pinger.unref();
  }

  get bytesIn(): number {
    return this.#socket.bytesRead;
  }

  get bytesOut(): number {
    return this.#socket.bytesWritten;
  }

  /** 32 bytes that both ends of this connection know and nobody else, another for each `label` (RFC 8446 §7.5). */
  exporter(label: string): Uint8Array {
    if (this.closed) throw new NetworkError('closed', 'the connection to the other node closed');
    return Uint8Array.from(this.#socket.exportKeyingMaterial(32, label, Buffer.alloc(0)));
  }

  get busy(): boolean {
    return this.#waiting.size > 0;
  }

  get closed(): boolean {
    return this.#closed || this.#socket.destroyed;
  }

  close(): void {
    this.#socket.destroy();
  }

  #ping(): void {
    if (Date.now() - this.#heardMs > SILENCE_MS) return this.close();
    this.#pingSentMs = performance.now();
    this.#write(TYPE.ping, 0, 0, new Uint8Array(0));
  }

  #write(type: number, id: number, kind: number, body: Uint8Array): void {
    if (this.closed) return;
    const head = Buffer.allocUnsafe(HEAD_BYTES);
    head.writeUInt32BE(HEAD_BYTES - 4 + body.length, 0);
    head.writeUInt8(type, 4);
    head.writeUInt32BE(id, 5);
    head.writeUInt16BE(kind, 9);
    this.#socket.cork();
    this.#socket.write(head);
    if (body.length > 0) this.#socket.write(body);
    process.nextTick(() => this.#socket.uncork());
    if (this.#socket.writableLength > BACKLOG_DROP_BYTES) this.close();
  }

  /** Sends without an answer; dropped when the peer does not keep up. */
  notify(kind: number, body: Uint8Array): void {
    if (this.#socket.writableLength < BACKLOG_BYTES) this.#write(TYPE.notify, 0, kind, body);
  }

  /** Throws NetworkError `timeout`, `closed`, `overloaded`, `too-large` or `remote`. */
  request(kind: number, body: Uint8Array, deadlineMs: number): Promise<Uint8Array> {
    if (this.closed)
      return Promise.reject(new NetworkError('closed', 'the connection to the other node closed'));
    if (body.length + HEAD_BYTES > FRAME_BYTES_MAX)
      return Promise.reject(new NetworkError('too-large', 'the request is too large for a frame'));
    if (this.#waiting.size >= OUTBOUND_MAX)
      return Promise.reject(new NetworkError('overloaded', 'too many requests to this node are open'));
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

  #receive(chunk: Buffer): void {
    this.#heardMs = Date.now();
    this.#received.push(chunk);
    this.#receivedBytes += chunk.length;
    while (this.#receivedBytes >= 4) {
      const first = this.#received[0] as Buffer;
      const head = first.length >= 4 ? first : this.#join();
      const length = head.readUInt32BE(0);
      if (length < HEAD_BYTES - 4 || length > FRAME_BYTES_MAX) return this.close();
      if (this.#receivedBytes < length + 4) return;
      const all = this.#join();
      const frame = all.subarray(4, 4 + length);
      const rest = all.subarray(4 + length);
      this.#received = rest.length > 0 ? [rest] : [];
      this.#receivedBytes = rest.length;
      this.#dispatch(frame.readUInt8(0), frame.readUInt32BE(1), frame.readUInt16BE(5), frame.subarray(7));
    }
  }

  #join(): Buffer {
    if (this.#received.length > 1) this.#received = [Buffer.concat(this.#received)];
    return this.#received[0] as Buffer;
  }

  #dispatch(type: number, id: number, kind: number, body: Buffer): void {
    switch (type) {
      case TYPE.ping:
        return this.#write(TYPE.pong, 0, 0, new Uint8Array(0));
      case TYPE.pong:
        this.roundTripMs = performance.now() - this.#pingSentMs;
        return;
      case TYPE.reply:
      case TYPE.error: {
        const waiting = this.#waiting.get(id);
        if (waiting === undefined) return;
        this.#waiting.delete(id);
        clearTimeout(waiting.timer);
        if (type === TYPE.reply) waiting.resolve(body);
        else waiting.reject(remoteError(body));
        return;
      }
      case TYPE.notify:
      case TYPE.request:
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
    if (this.#inbound >= INBOUND_MAX)
      return answer(TYPE.error, Buffer.from('{"code":"overloaded","message":"too many requests at once"}'));
    this.#inbound++;
    try {
      const admitted = this.#gate(this, kind, body);
      if (admitted !== undefined) await admitted;
      answer(TYPE.reply, (await handler.handle(this.peer, body, this)) ?? new Uint8Array(0));
    } catch (error) {
      answer(TYPE.error, errorBody(error));
    } finally {
      this.#inbound--;
    }
  }
}

function remoteError(body: Buffer): NetworkError {
  try {
    const { code, message } = JSON.parse(body.toString('utf8')) as { code: unknown; message: unknown };
    return new NetworkError('remote', String(message).slice(0, 500), String(code).slice(0, 60));
  } catch {
    return new NetworkError('remote', 'the other node answered with an error', 'internal');
  }
}
