import { concat, u16 } from '../bytes.ts';
import { LedgerError, type LedgerErrorCode } from '../errors.ts';

/**
 * The TPM's own encoding (TPM 2.0 Library, Part 2 "Structures"): big-endian integers, `TPM2B` = u16 size and bytes.
 * Reading is strict: what is too short, or too long, or left over, is refused with the code of what is being read.
 */
export class WireReader {
  readonly #bytes: Uint8Array;
  readonly #code: LedgerErrorCode;
  #at = 0;

  constructor(bytes: Uint8Array, code: LedgerErrorCode) {
    this.#bytes = bytes;
    this.#code = code;
  }

  /** The next `length` bytes, a view. */
  take(length: number): Uint8Array {
    if (this.#at + length > this.#bytes.length)
      this.refuse(
        `${length} bytes expected at offset ${this.#at}, ${this.#bytes.length - this.#at} are left`,
      );
    const from = this.#at;
    this.#at += length;
    return this.#bytes.subarray(from, this.#at);
  }

  u8(): number {
    return this.take(1)[0] as number;
  }

  u16(): number {
    const b = this.take(2);
    return ((b[0] as number) << 8) | (b[1] as number);
  }

  u32(): number {
    return this.u16() * 65_536 + this.u16();
  }

  u64(): bigint {
    return (BigInt(this.u32()) << 32n) | BigInt(this.u32());
  }

  /** A `TPM2B` of at most `most` bytes, a view. */
  sized(most: number): Uint8Array {
    const length = this.u16();
    if (length > most) this.refuse(`a field of at most ${most} bytes expected, got ${length}`);
    return this.take(length);
  }

  /** What has not been read yet. */
  rest(): Uint8Array {
    return this.take(this.#bytes.length - this.#at);
  }

  /** Refuses bytes that are left over. */
  end(): void {
    const left = this.#bytes.length - this.#at;
    if (left !== 0) this.refuse(`${left} bytes too many`);
  }

  refuse(message: string): never {
    throw new LedgerError(this.#code, message);
  }
}

/** A `TPM2B`: u16 size and the bytes. */
export function sized(bytes: Uint8Array): Uint8Array {
  return concat(u16(bytes.length), bytes);
}
