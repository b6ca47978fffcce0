import { utf8 } from '../../ledger/bytes.ts';
import { multiply } from './gf256.ts';

/**
 * The inner loop of erasure coding as WebAssembly with 128-bit vectors: sixteen products at a time by two table look-ups,
 * one for each half of a byte (J. S. Plank, K. M. Greenan, E. L. Miller, "Screaming fast Galois field arithmetic using
 * Intel SIMD instructions", 2013). The module is assembled here, since it is one function long.
 */

// Opcodes, WebAssembly Core Specification 2.0, section 5.4.
const GET = 0x20;
const SET = 0x21;
const TEE = 0x22;
const LOAD = [0xfd, 0x00, 4];
const STORE = [0xfd, 0x0b, 4, 0];
const SWIZZLE = [0xfd, 0x0e];
const XOR = [0xfd, 0x51];
const I32_CONST = 0x41;
const I32_ADD = 0x6a;
const V128 = 0x7b;
const I32 = 0x7f;

// Parameters and locals of the function.
const [INTO, FROM, END, TABLE, LOW, HIGH, BYTES] = [0, 1, 2, 3, 4, 5, 6];

const advance = (local: number): number[] => [GET, local, I32_CONST, 16, I32_ADD, SET, local];

/** `(into, from, end, table)`: adds to what is at `into` the products of what is from `from` to `end`. */
const BODY: readonly number[] = [
  ...[1, 3, V128],
  ...[GET, TABLE, ...LOAD, 0, SET, LOW],
  ...[GET, TABLE, ...LOAD, 16, SET, HIGH],
  ...[0x03, 0x40], // loop
  ...[GET, INTO, GET, INTO, ...LOAD, 0],
  ...[GET, LOW, GET, FROM, ...LOAD, 0, TEE, BYTES],
  ...[0xfd, 0x0c, ...Array<number>(16).fill(0x0f)], // v128.const
  ...[0xfd, 0x4e, ...SWIZZLE, ...XOR], // v128.and
  ...[GET, HIGH, GET, BYTES, I32_CONST, 4, 0xfd, 0x6d, ...SWIZZLE, ...XOR], // i8x16.shr_u
  ...STORE,
  ...advance(INTO),
  ...advance(FROM),
  ...[GET, FROM, GET, END, 0x49, 0x0d, 0], // i32.lt_u, br_if
  ...[0x0b, 0x0b],
];

const section = (id: number, ...content: number[]): number[] => [id, content.length, ...content];
const name = (text: string): number[] => [text.length, ...utf8(text)];

const MODULE = Uint8Array.from([
  ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
  ...section(1, 1, 0x60, 4, I32, I32, I32, I32, 0),
  ...section(3, 1, 0),
  ...section(5, 1, 0, 1),
  ...section(7, 2, ...name('addProducts'), 0, 0, ...name('memory'), 2, 0),
  ...section(10, 1, BODY.length, ...BODY),
]);

export const TABLE_BYTES = 32;

/** The products of a factor with 0 … 15, and with 16 · (0 … 15). */
export function tableOf(factor: number): Uint8Array {
  return Uint8Array.from({ length: TABLE_BYTES }, (_, i) => multiply(factor, i < 16 ? i : (i - 16) << 4));
}

/** Products of bytes with a factor, sixteen at a time. */
export interface ErasureKernel {
  readonly memory: { readonly buffer: ArrayBuffer; grow(pages: number): number };
  /** Addresses in `memory`; the length from `from` to `end` is a multiple of 16 and above 0. */
  addProducts(into: number, from: number, end: number, table: number): void;
}

/** What is used of the engine's own WebAssembly; its types are declared for browsers only. */
interface Engine {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object) => { readonly exports: ErasureKernel };
}

/** A kernel with a memory of its own. */
export function newKernel(): ErasureKernel {
  const { Module, Instance } = (globalThis as unknown as { readonly WebAssembly: Engine }).WebAssembly;
  return new Instance(new Module(MODULE)).exports;
}
