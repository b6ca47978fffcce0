import { NetworkError } from './network-error.ts';

/** Length prefix, u32 big-endian, of the rest of a frame. */
export const PREFIX_BYTES = 4;
/** One frame without its prefix: a block of 1 MiB, its certificates and some room. */
export const FRAME_BYTES_MAX = 1_310_720;
/** Until so much of a frame has come, no more memory is taken for it; then all of it is, so that the rest is copied once. */
const HELD_BYTES_FIRST = 65_536;

/**
 * Cuts a stream into frames. Memory follows what has arrived, never what a prefix promises, and does not depend on the
 * size of the pieces: a peer that sends single bytes costs no more than one that sends them at once.
 */
export class FrameReader {
  readonly #bytesMin: number;
  #held = Buffer.alloc(0);
  #heldBytes = 0;

  /** `bytesMin` is what the shortest frame has after its prefix. */
  constructor(bytesMin: number) {
    this.#bytesMin = bytesMin;
  }

  /** Whether a frame has begun that has not ended. */
  get begun(): boolean {
    return this.#heldBytes > 0;
  }

  /** The frames that `chunk` completes, without prefix. Throws NetworkError `too-large` or `malformed`. */
  *push(chunk: Buffer): Generator<Buffer> {
    let at = 0;
    while (this.#heldBytes > 0 && at < chunk.length) {
      const total = this.#heldBytes < PREFIX_BYTES ? PREFIX_BYTES : this.#totalBytes(this.#held, 0);
      const end = Math.min(at + total - this.#heldBytes, chunk.length);
      this.#hold(chunk.subarray(at, end), total);
      at = end;
      if (this.#heldBytes < PREFIX_BYTES || this.#heldBytes < this.#totalBytes(this.#held, 0)) continue;
      const frame = this.#held.subarray(PREFIX_BYTES, this.#heldBytes);
      this.#held = Buffer.alloc(0);
      this.#heldBytes = 0;
      yield frame;
    }
    while (at < chunk.length) {
      const total = chunk.length - at < PREFIX_BYTES ? PREFIX_BYTES : this.#totalBytes(chunk, at);
      const end = at + total;
      if (end > chunk.length) return this.#hold(chunk.subarray(at), total);
      // A copy: whoever keeps a small message must not keep the whole chunk that it came in.
      yield Buffer.from(chunk.subarray(at + PREFIX_BYTES, end));
      at = end;
    }
  }

  #totalBytes(bytes: Buffer, at: number): number {
    const length = bytes.readUInt32BE(at);
    if (length > FRAME_BYTES_MAX)
      throw new NetworkError(
        'too-large',
        `a frame of ${length} bytes, where ${FRAME_BYTES_MAX} are the most`,
      );
    if (length < this.#bytesMin)
      throw new NetworkError(
        'malformed',
        `a frame of ${length} bytes, where ${this.#bytesMin} are the least`,
      );
    return PREFIX_BYTES + length;
  }

  #hold(bytes: Buffer, total: number): void {
    const wanted = this.#heldBytes + bytes.length;
    if (wanted > this.#held.length) {
      const grown = Buffer.allocUnsafeSlow(
        wanted > HELD_BYTES_FIRST ? total : Math.max(wanted, Math.min(total, HELD_BYTES_FIRST)),
      );
      this.#held.copy(grown, 0, 0, this.#heldBytes);
      this.#held = grown;
    }
    bytes.copy(this.#held, this.#heldBytes);
    this.#heldBytes = wanted;
  }
}
