import type { Duplex } from 'node:stream';

/** How nodes come by connections. Who is at the other end is for the hello to say, whatever carries it. */
export interface Transport {
  /** A connection to host:port. Throws NetworkError `unreachable`, or `closed` when `signal` aborts. */
  dial(address: string, signal: AbortSignal): Promise<Channel>;
  /** Throws NetworkError `address-in-use`. */
  listen(options: DoorOptions): Promise<Door>;
}

/** A stream of bytes that nobody between its ends can read or change. */
export interface Channel {
  /** To write to, to pause and to destroy at any time; to read from only before `deliver`. */
  readonly stream: Duplex;
  /** host:port of the other end. */
  readonly address: string;
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** 32 bytes that both ends know and nobody else, another for each `label` (RFC 8446 §7.5). Not once it is destroyed. */
  exporter(label: string): Uint8Array;
  /** Hands over what comes from now on, and what has not been read. A piece is lent: its memory is used again. */
  deliver(receive: (piece: Buffer) => void): void;
  /** Closes once all that was written is on its way. */
  closeSoon(): void;
}

export interface DoorOptions {
  readonly host: string;
  /** 0 for any that is free. */
  readonly port: number;
  /** Connections that have said hello, at most. */
  readonly connectionsMax: number;
  /** Settles when the connection is authenticated or refused. Must not throw. */
  welcome(channel: Channel): Promise<void>;
}

/** The listening end. */
export interface Door {
  /** host:port on which it listens. */
  readonly address: string;
  /** Connections that have not said hello. */
  readonly waiting: number;
  close(): Promise<void>;
}
