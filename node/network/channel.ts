import type { Duplex } from 'node:stream';

/** A stream of bytes that nobody between its ends can read or change. Who is at the other end is for the hello to say. */
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
