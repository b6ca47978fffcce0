import type { OnReadOpts } from 'node:net';
import { type ConnectionOptions, connect, createSecureContext, type TLSSocket } from 'node:tls';
import { lookUpInTurn } from './name-lookup.ts';
import type { Channel } from './transport.ts';

/** The protocol that nodes speak with each other over TLS (ALPN, RFC 7301). */
export const ALPN = 'blocktree/1';
/** What one TLS record brings at most (RFC 8446 §5.1). */
const RECORD_BYTES = 16_384;
/** Any certificate will do, so that no authority is trusted: the hello says who it is, over this very session. */
const CONTEXT = createSecureContext({ minVersion: 'TLSv1.3', ca: [] });

/** A TLS connection, whichever end opened it. */
export class TlsChannel implements Channel {
  readonly stream: TLSSocket;
  readonly #lends: boolean;
  #receive: ((piece: Buffer) => void) | undefined;

  private constructor(stream: TLSSocket, lends: boolean) {
    this.stream = stream;
    this.#lends = lends;
    stream.setNoDelay(true);
  }

  /** Of a connection that came in. */
  static accepted(socket: TLSSocket): TlsChannel {
    return new TlsChannel(socket, false);
  }

  /**
   * Begins to connect; the stream says `secureConnect`. All records are read into the same memory: Node would take new
   * memory for each, and clearing that away costs as much as decrypting. It can do so for connections that go out only.
   */
  static connect(where: { readonly host: string; readonly port: number }): TlsChannel {
    const onread: OnReadOpts = {
      buffer: Buffer.allocUnsafeSlow(RECORD_BYTES),
      callback: (length, memory) => channel.#lend(Buffer.from(memory.buffer, memory.byteOffset, length)),
    };
    const options: ConnectionOptions & { onread: OnReadOpts } = {
      ...where,
      lookup: lookUpInTurn,
      secureContext: CONTEXT,
      ALPNProtocols: [ALPN],
      rejectUnauthorized: false,
      onread,
    };
    const channel = new TlsChannel(connect(options), true);
    return channel;
  }

  get address(): string {
    const { remoteAddress = '?', remotePort = 0 } = this.stream;
    const host = remoteAddress.replace(/%.*$/, '');
    return host.includes(':') ? `[${host}]:${remotePort}` : `${host}:${remotePort}`;
  }

  get bytesIn(): number {
    return this.stream.bytesRead;
  }

  get bytesOut(): number {
    return this.stream.bytesWritten;
  }

  exporter(label: string): Uint8Array {
    return Uint8Array.from(this.stream.exportKeyingMaterial(32, label, Buffer.alloc(0)));
  }

  deliver(receive: (piece: Buffer) => void): void {
    for (let rest = this.stream.read(); rest !== null; rest = this.stream.read()) receive(rest);
    if (this.#lends) this.#receive = receive;
    else this.stream.on('data', receive);
    this.stream.resume();
  }

  closeSoon(): void {
    this.stream.destroySoon();
  }

  /** Gives whether more may come. */
  #lend(piece: Buffer): boolean {
    if (this.#receive === undefined) return this.stream.push(Buffer.from(piece));
    this.#receive(piece);
    return true;
  }
}
