import { concat, u16, u32, u64 } from '../bytes.ts';
import { sha256 } from '../crypto/sha256.ts';
import { demand } from '../errors.ts';
import { ALG, ATTEST_QUOTE, GENERATED_MAGIC } from './constants.ts';
import { sized, WireReader } from './wire.ts';

/** Longest quote that is read: eight PCR banks and a 64-byte digest fit. */
export const ATTEST_BYTES_MAX = 512;
const PCR_BANKS_MAX = 8;

/** What a TPM says in a quote (`TPMS_ATTEST`, Part 2 §10.12.12). */
export interface Quote {
  readonly qualifiedSigner: Uint8Array;
  readonly extraData: Uint8Array;
  /** Milliseconds of the TPM's own clock. */
  readonly clockMs: bigint;
  readonly resetCount: number;
  readonly restartCount: number;
  readonly firmware: bigint;
}

/** Reads a quote. Throws LedgerError `attest-encoding`, or `attest-type` for another kind of statement. */
export function parseQuote(bytes: Uint8Array): Quote {
  const reader = new WireReader(bytes, 'attest-encoding');
  if (bytes.length > ATTEST_BYTES_MAX) reader.refuse(`at most ${ATTEST_BYTES_MAX} bytes expected`);
  if (reader.u32() !== GENERATED_MAGIC) reader.refuse('not a structure that a TPM made');
  demand(reader.u16() === ATTEST_QUOTE, 'attest-type', 'the TPM statement must be a quote');
  const qualifiedSigner = reader.sized(66);
  const extraData = reader.sized(64);
  const clockMs = reader.u64();
  const resetCount = reader.u32();
  const restartCount = reader.u32();
  if (reader.u8() > 1) reader.refuse('the clock-safe flag must be 0 or 1');
  const firmware = reader.u64();
  const banks = reader.u32();
  if (banks > PCR_BANKS_MAX) reader.refuse(`at most ${PCR_BANKS_MAX} PCR banks expected`);
  for (let i = 0; i < banks; i++) {
    reader.u16();
    reader.take(reader.u8());
  }
  reader.sized(64);
  reader.end();
  return { qualifiedSigner, extraData, clockMs, resetCount, restartCount, firmware };
}

/** The 139 bytes of a quote over no PCR, as a TPM writes them: for what signs without one. */
export function encodeQuote(quote: Quote): Uint8Array {
  return concat(
    u32(GENERATED_MAGIC),
    u16(ATTEST_QUOTE),
    sized(quote.qualifiedSigner),
    sized(quote.extraData),
    u64(quote.clockMs),
    u32(quote.resetCount),
    u32(quote.restartCount),
    Uint8Array.of(1),
    u64(quote.firmware),
    u32(0),
    sized(sha256()),
  );
}

/**
 * 64 bytes r ‖ s of an ECDSA/SHA-256 `TPMT_SIGNATURE` (Part 2 §11.3.4); shorter r and s are padded, S stays as it is.
 * Throws LedgerError `attest-encoding`.
 */
export function parseTpmSignature(bytes: Uint8Array): Uint8Array {
  const reader = new WireReader(bytes, 'attest-encoding');
  if (reader.u16() !== ALG.ecdsa) reader.refuse('the signature must be ECDSA');
  if (reader.u16() !== ALG.sha256) reader.refuse('the signature must be over SHA-256');
  const r = reader.sized(32);
  const s = reader.sized(32);
  reader.end();
  return concat(new Uint8Array(32 - r.length), r, new Uint8Array(32 - s.length), s);
}
