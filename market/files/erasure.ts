import { MarketError } from '../errors.ts';
import { newKernel, TABLE_BYTES, tableOf } from './erasure-kernel.ts';
import { codingMatrix, inverse, type Matrix } from './gf256.ts';
import type { Scheme } from './scheme.ts';

/**
 * Reed-Solomon: `parity` shards from `data` shards, and data shards again from any `data` of them all. Shards lie one
 * after another in memory of its own, where the caller writes and reads them.
 */

/** Shards are gone through in pieces that stay in the nearest cache. */
const PIECE_BYTES = 16_384;
const PAGE_BYTES = 65_536;
/** Shards have lengths of whole vectors. */
const VECTOR_BYTES = 16;
const TABLES_BYTES = 256 * TABLE_BYTES;

export class Erasure {
  readonly #kernel = newKernel();
  readonly #matrices = new Map<string, Matrix>();

  constructor() {
    const { memory } = this.#kernel;
    memory.grow(Math.ceil(TABLES_BYTES / PAGE_BYTES));
    const tables = new Uint8Array(memory.buffer, 0, TABLES_BYTES);
    for (let factor = 0; factor < 256; factor++) tables.set(tableOf(factor), factor * TABLE_BYTES);
  }

  /** All shards, with what was last in them; good until room for more is asked for. */
  room({ data, parity }: Scheme, shardBytes: number): Uint8Array {
    if (shardBytes < VECTOR_BYTES || shardBytes % VECTOR_BYTES !== 0)
      throw new MarketError('wrong-size', `expected shards of a multiple of ${VECTOR_BYTES} bytes`);
    const { memory } = this.#kernel;
    const bytes = (data + parity) * shardBytes;
    const missing = TABLES_BYTES + bytes - memory.buffer.byteLength;
    if (missing > 0) memory.grow(Math.ceil(missing / PAGE_BYTES));
    return new Uint8Array(memory.buffer, TABLES_BYTES, bytes);
  }

  /** Makes the parity shards from the data shards. */
  encode(scheme: Scheme, shardBytes: number): void {
    const { data, parity } = scheme;
    const rows = this.#matrixOf(scheme).slice(data);
    const sources = Array.from({ length: data }, (_, i) => i);
    this.#combine(
      rows,
      sources,
      Array.from({ length: parity }, (_, i) => data + i),
      scheme,
      shardBytes,
    );
  }

  /** Makes the data shards that are missing from those that are there. Throws MarketError `not-enough-fragments`. */
  restore(scheme: Scheme, shardBytes: number, present: readonly boolean[]): void {
    const { data } = scheme;
    const matrix = this.#matrixOf(scheme);
    const sources = matrix.flatMap((_, i) => (present[i] === true ? [i] : [])).slice(0, data);
    if (sources.length < data)
      throw new MarketError('not-enough-fragments', `expected ${data} fragments of a slab`);
    const missing = matrix.slice(0, data).flatMap((_, i) => (present[i] === true ? [] : [i]));
    if (missing.length === 0) return;
    const back = inverse(sources.map((i) => matrix[i] as Uint8Array));
    const rows = missing.map((i) => back[i] as Uint8Array);
    this.#combine(rows, sources, missing, scheme, shardBytes);
  }

  #matrixOf({ data, parity }: Scheme): Matrix {
    const name = `${data}+${parity}`;
    const matrix = this.#matrices.get(name) ?? codingMatrix(data, parity);
    this.#matrices.set(name, matrix);
    return matrix;
  }

  /** Each target becomes the sum of the sources, times its row. */
  #combine(
    rows: Matrix,
    sources: readonly number[],
    targets: readonly number[],
    scheme: Scheme,
    shardBytes: number,
  ): void {
    const shards = this.room(scheme, shardBytes);
    for (const target of targets) shards.fill(0, target * shardBytes, (target + 1) * shardBytes);
    for (let at = 0; at < shardBytes; at += PIECE_BYTES) {
      const length = Math.min(PIECE_BYTES, shardBytes - at);
      for (const [i, target] of targets.entries()) {
        const into = TABLES_BYTES + target * shardBytes + at;
        for (const [j, source] of sources.entries()) {
          const factor = rows[i]?.[j] ?? 0;
          if (factor === 0) continue;
          const from = TABLES_BYTES + source * shardBytes + at;
          this.#kernel.addProducts(into, from, from + length, factor * TABLE_BYTES);
        }
      }
    }
  }
}
