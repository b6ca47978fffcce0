import { randomBytes } from 'node:crypto';
import { Duplex } from 'node:stream';
import { concat, utf8 } from '../../ledger/bytes.ts';
import { sha256 } from '../../ledger/crypto/sha256.ts';
import { NetworkError } from '../../node/network/network-error.ts';
import type { Channel, Door, DoorOptions, Transport } from '../../node/network/transport.ts';

/** Connections within this process, for tests that need nodes which talk to each other: no ports, no handshakes. */

const doors = new Map<string, DoorOptions>();
let lastPort = 0;

/** One for the whole process, so that everybody in it can be dialled. Addresses are host:port as everywhere. */
export const memoryTransport: Transport = { dial, listen };

async function listen(options: DoorOptions): Promise<Door> {
  const port = options.port === 0 ? memoryPort() : options.port;
  const address = `${options.host}:${port}`;
  if (doors.has(address)) throw new NetworkError('address-in-use', `${address} is in use`);
  const open = new Set<MemoryChannel>();
  const waiting = new Set<MemoryChannel>();
  doors.set(address, {
    ...options,
    async welcome(channel) {
      const come = channel as MemoryChannel;
      open.add(come);
      waiting.add(come);
      come.stream.once('close', () => open.delete(come));
      await options.welcome(come);
      waiting.delete(come);
    },
  });
  return {
    address,
    get waiting() {
      return waiting.size;
    },
    async close() {
      doors.delete(address);
      for (const channel of open) channel.stream.destroy();
    },
  };
}

async function dial(address: string, signal: AbortSignal): Promise<Channel> {
  if (signal.aborted) throw new NetworkError('closed', 'this node is stopping');
  const door = doors.get(address);
  if (door === undefined) throw new NetworkError('unreachable', `nobody listens at ${address}`);
  const secret = randomBytes(32);
  const near = new MemoryChannel(address, secret);
  const far = new MemoryChannel(`127.0.0.1:${memoryPort()}`, secret);
  near.stream.joinTo(far.stream);
  far.stream.joinTo(near.stream);
  void door.welcome(far);
  return near;
}

/** A port that nobody in this process has used. */
export function memoryPort(): number {
  lastPort = (lastPort % 65_535) + 1;
  return lastPort;
}

class MemoryChannel implements Channel {
  readonly stream = new MemoryStream();
  readonly address: string;
  readonly #secret: Uint8Array;

  constructor(address: string, secret: Uint8Array) {
    this.address = address;
    this.#secret = secret;
    this.stream.on('error', () => this.stream.destroy());
  }

  get bytesIn(): number {
    return this.stream.takenBytes;
  }

  get bytesOut(): number {
    return this.stream.sentBytes;
  }

  exporter(label: string): Uint8Array {
    return sha256(concat(this.#secret, utf8(label)));
  }

  deliver(receive: (piece: Buffer) => void): void {
    this.stream.on('data', receive);
  }

  closeSoon(): void {
    this.stream.end(() => this.stream.destroy());
  }
}

/** One end of a stream whose other end gets what is written a turn of the event loop later, while it takes it. */
class MemoryStream extends Duplex {
  takenBytes = 0;
  #other: MemoryStream | undefined;
  /** Lets the other end go on, once this one has read. */
  #goOn: (() => void) | undefined;

  constructor() {
    super({ allowHalfOpen: false });
  }

  joinTo(other: MemoryStream): void {
    this.#other = other;
  }

  get sentBytes(): number {
    return (this.#other?.takenBytes ?? 0) + this.writableLength;
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    setImmediate(() => this.#other?.arrive(chunk, done));
  }

  override _writev(chunks: { chunk: Buffer }[], done: () => void): void {
    this._write(Buffer.concat(chunks.map(({ chunk }) => chunk)), 'binary', done);
  }

  arrive(chunk: Buffer, done: () => void): void {
    if (this.destroyed) return;
    this.takenBytes += chunk.length;
    if (this.push(Buffer.from(chunk))) done();
    else this.#goOn = done;
  }

  override _read(): void {
    const goOn = this.#goOn;
    this.#goOn = undefined;
    goOn?.();
  }

  override _final(done: () => void): void {
    setImmediate(() => {
      if (this.#other?.destroyed === false) this.#other.push(null);
      done();
    });
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    setImmediate(() => this.#other?.destroy());
    done(error);
  }
}
