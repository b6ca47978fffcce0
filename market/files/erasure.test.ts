import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import fc from 'fast-check';
import { MarketError } from '../errors.ts';
import { Erasure } from './erasure.ts';
import { codingMatrix, inverse, multiply } from './gf256.ts';

/** Another's implementation of the same code: what it makes, ours must make. */
const { ReedSolomonErasure } = createRequire(import.meta.url)(
  '@digitaldefiance/reed-solomon-erasure.wasm',
) as typeof import('@digitaldefiance/reed-solomon-erasure.wasm');
const oracle = ReedSolomonErasure.fromCurrentDirectorySync();
const erasure = new Erasure();

const schemes = fc.record({ data: fc.integer({ min: 1, max: 20 }), parity: fc.integer({ min: 1, max: 40 }) });
const vectors = fc.oneof(fc.integer({ min: 1, max: 40 }), fc.constantFrom(1_024, 1_025, 2_047, 4_096));

test('a field: products are those of polynomials, and every element but zero divides', () => {
  const slow = (a: number, b: number): number => {
    let sum = 0;
    for (let bit = 0; bit < 8; bit++) if ((b >> bit) & 1) sum ^= a << bit;
    for (let bit = 15; bit >= 8; bit--) if ((sum >> bit) & 1) sum ^= 0x11d << (bit - 8);
    return sum;
  };
  for (let a = 0; a < 256; a++) {
    for (let b = 0; b < 256; b++) assert.equal(multiply(a, b), slow(a, b));
    if (a > 0) assert.equal(multiply(a, inverse([Uint8Array.of(a)])[0]?.[0] as number), 1);
  }
  assert.throws(() => inverse([Uint8Array.of(1, 2), Uint8Array.of(1, 2)]));
  assert.deepEqual(
    codingMatrix(3, 2).slice(0, 3),
    [0, 1, 2].map((i) => Uint8Array.from({ length: 3 }, (_, j) => (i === j ? 1 : 0))),
  );
});

test('parity is what another implementation of the code makes', () => {
  fc.assert(
    fc.property(schemes, vectors, (scheme, count) => {
      const bytes = 16 * count;
      const shards = new Uint8Array((scheme.data + scheme.parity) * bytes);
      shards.set(randomBytes(scheme.data * bytes));
      erasure.room(scheme, bytes).set(shards);
      erasure.encode(scheme, bytes);
      assert.equal(oracle.encode(shards, scheme.data, scheme.parity), ReedSolomonErasure.RESULT_OK);
      assert(Buffer.from(shards).equals(erasure.room(scheme, bytes)));
    }),
    { numRuns: 60 },
  );
});

test('any data of all shards bring the data back; fewer do not', () => {
  fc.assert(
    fc.property(schemes, vectors, fc.infiniteStream(fc.nat()), (scheme, count, dice) => {
      const bytes = 16 * count;
      const total = scheme.data + scheme.parity;
      const shards = erasure.room(scheme, bytes);
      shards.set(randomBytes(scheme.data * bytes));
      erasure.encode(scheme, bytes);
      const whole = Buffer.from(shards);
      const order = Array.from({ length: total }, (_, i) => ({ i, key: dice.next().value as number }));
      order.sort((a, b) => a.key - b.key);
      const kept = new Set(order.slice(0, scheme.data).map(({ i }) => i));
      const present = Array.from({ length: total }, (_, i) => kept.has(i));
      for (const [i, there] of present.entries()) if (!there) shards.set(randomBytes(bytes), i * bytes);
      erasure.restore(scheme, bytes, present);
      erasure.encode(scheme, bytes);
      assert(whole.equals(erasure.room(scheme, bytes)));
      present[[...kept][0] as number] = false;
      assert.throws(
        () => erasure.restore(scheme, bytes, present),
        (error) => error instanceof MarketError && error.code === 'not-enough-fragments',
      );
    }),
    { numRuns: 60 },
  );
});

test('shards are of whole vectors', () => {
  for (const bytes of [0, 8, 17])
    assert.throws(() => erasure.room({ data: 1, parity: 1 }, bytes), /multiple of 16/);
});
