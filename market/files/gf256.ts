/**
 * The field of 256 elements over x⁸ + x⁴ + x³ + x² + 1 (0x11d) with generator 2, and matrices over it, as Reed-Solomon
 * codes use them (J. S. Plank, "A tutorial on Reed-Solomon coding for fault-tolerance in RAID-like systems", 1997, with
 * its correction of 2003: a Vandermonde matrix made systematic by the inverse of its upper square).
 */

const POLYNOMIAL = 0x11d;
const LOG = new Uint8Array(256);
/** Twice as long, so that a sum of two logarithms needs no reduction. */
const EXP = new Uint8Array(510);
for (let i = 0, value = 1; i < 255; i++) {
  EXP[i] = value;
  EXP[i + 255] = value;
  LOG[value] = i;
  value <<= 1;
  if (value > 255) value ^= POLYNOMIAL;
}

/** The product of two elements, 0 … 255 each. */
export function multiply(a: number, b: number): number {
  return a === 0 || b === 0 ? 0 : (EXP[(LOG[a] as number) + (LOG[b] as number)] as number);
}

function power(base: number, exponent: number): number {
  if (exponent === 0) return 1;
  return base === 0 ? 0 : (EXP[((LOG[base] as number) * exponent) % 255] as number);
}

export type Matrix = readonly Uint8Array[];

function product(a: Matrix, b: Matrix): Matrix {
  return a.map((row) =>
    Uint8Array.from({ length: b[0]?.length ?? 0 }, (_, column) =>
      row.reduce((sum, value, i) => sum ^ multiply(value, b[i]?.[column] ?? 0), 0),
    ),
  );
}

/** Gauss-Jordan. Throws for a matrix without an inverse; those that a code leads to all have one. */
export function inverse(matrix: Matrix): Matrix {
  const size = matrix.length;
  const rows: Uint8Array[] = matrix.map((row, i) => {
    const wide = new Uint8Array(2 * size);
    wide.set(row);
    wide[size + i] = 1;
    return wide;
  });
  for (let column = 0; column < size; column++) {
    const pivot = rows.findIndex((row, i) => i >= column && row[column] !== 0);
    if (pivot < 0) throw new Error('a matrix without an inverse');
    [rows[column], rows[pivot]] = [rows[pivot] as Uint8Array, rows[column] as Uint8Array];
    const row = rows[column] as Uint8Array;
    const factor = EXP[255 - (LOG[row[column] as number] as number)] as number;
    for (let i = 0; i < row.length; i++) row[i] = multiply(row[i] as number, factor);
    for (const [at, other] of rows.entries()) {
      const times = other[column] as number;
      if (at === column || times === 0) continue;
      for (let i = 0; i < other.length; i++)
        other[i] = (other[i] as number) ^ multiply(row[i] as number, times);
    }
  }
  return rows.map((row) => row.slice(size));
}

/** What fragments are made with: `data + parity` rows, the first `data` of them the identity; any `data` have an inverse. */
export function codingMatrix(data: number, parity: number): Matrix {
  const vandermonde = Array.from({ length: data + parity }, (_, row) =>
    Uint8Array.from({ length: data }, (_, column) => power(row, column)),
  );
  return product(vandermonde, inverse(vandermonde.slice(0, data)));
}
