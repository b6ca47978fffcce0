import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { toHex, utf8 } from '../bytes.ts';
import { LedgerError } from '../errors.ts';
import type { Hash } from '../ids.ts';
import { commit } from './commitment.ts';
import { hashOf, keyHashOf, valueHashOf } from './node-hash.ts';
import { FIRST_KEY, type KeyRange, proveRange } from './range-proof.ts';
import { encodeChunk, type StateChunk, type StateRow, verifyChunk } from './state-chunk.ts';
import { TreeBuilder } from './tree-builder.ts';

function treeOf(count: number) {
  const rows = new Map(Array.from({ length: count }, (_, i) => [`account/${i}`, utf8(`row ${i}`)]));
  const { root, pages } = commit(() => undefined, rows);
  const sorted = [...rows]
    .map(([key, row]) => ({ key, row, keyHash: keyHashOf(key) }))
    .sort((a, b) => (toHex(a.keyHash) < toHex(b.keyHash) ? -1 : 1));
  return { root, pages, sorted };
}
type Tree = ReturnType<typeof treeOf>;

function chunkOf({ pages, sorted }: Tree, range: KeyRange): StateChunk {
  const rows = sorted.filter(
    ({ keyHash }) => toHex(keyHash) >= range.from && (range.to === undefined || toHex(keyHash) < range.to),
  );
  const proof = proveRange((path) => pages.get(path), range);
  return {
    ...range,
    rows: rows.map(({ key, row }) => ({ key, row })),
    pages: [...proof].map(([path, page]) => ({ path, page })),
  };
}

const refused = (run: () => unknown): void =>
  assert.throws(run, (e) => e instanceof LedgerError && /bad-path|malformed|oversized/.test(e.code));

const keyArbitrary = fc
  .uint8Array({ minLength: 32, maxLength: 32 })
  .map((bytes) => toHex(bytes))
  // Ends that fall together with the ends of slots, too.
  .chain((key) => fc.integer({ min: 0, max: 64 }).map((keep) => key.slice(0, keep).padEnd(64, '0')));

test('the tree built from sorted leaves is the tree that grew, page for page', () => {
  for (const count of [0, 1, 2, 3, 17, 400]) {
    const { root, pages, sorted } = treeOf(count);
    const built = new Map<string, Uint8Array>();
    const builder = new TreeBuilder('', (path, page) => built.set(path, page));
    for (const { keyHash, row } of sorted) builder.add(keyHash, valueHashOf(row));
    assert.equal(toHex(hashOf(builder.finish())), root);
    assert.deepEqual([...built].sort(), [...pages].sort());
  }
});

test('a chunk proves its rows, wherever it is cut', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 300 }),
      keyArbitrary,
      keyArbitrary,
      fc.boolean(),
      (count, a, b, open) => {
        const tree = treeOf(count);
        const [from, to] = a < b ? [a, b] : [b, a];
        if (from === to) return;
        const range = { from, to: open ? undefined : to };
        const chunk = chunkOf(tree, range);
        assert.deepEqual(verifyChunk(tree.root, encodeChunk(chunk)), chunk);
      },
    ),
    { numRuns: 300 },
  );
});

test('a chunk with a row missing, added, changed or swapped is refused, and so is one of another state', () => {
  fc.assert(
    fc.property(keyArbitrary, keyArbitrary, fc.nat(), (a, b, pick) => {
      const tree = treeOf(200);
      const [from, to] = a < b ? [a, b] : [b, a];
      if (from === to) return;
      const chunk = chunkOf(tree, { from, to });
      const check = (changed: StateChunk): unknown => verifyChunk(tree.root, encodeChunk(changed));
      const at = pick % Math.max(1, chunk.rows.length);
      const row = chunk.rows[at];
      if (row !== undefined) {
        refused(() => check({ ...chunk, rows: chunk.rows.filter((_, i) => i !== at) }));
        refused(() =>
          check({ ...chunk, rows: chunk.rows.map((r, i) => (i === at ? { ...r, row: utf8('x') } : r)) }),
        );
        refused(() => check({ ...chunk, rows: chunk.rows.toSpliced(at, 0, row) }));
        refused(() =>
          check({ ...chunk, rows: [...chunk.rows].reverse().concat(chunk.rows.length < 2 ? [row] : []) }),
        );
      }
      const extra: StateRow = { key: 'account/made-up', row: utf8('money') };
      const rows = [...chunk.rows, extra].sort((x, y) =>
        toHex(keyHashOf(x.key)) < toHex(keyHashOf(y.key)) ? -1 : 1,
      );
      refused(() => check({ ...chunk, rows }));
      refused(() => verifyChunk(treeOf(201).root, encodeChunk(chunk)));
      // A wider claim with the rows of a narrower range hides rows, unless there were none to hide.
      const wider = chunkOf(tree, { from: FIRST_KEY, to: undefined });
      if (wider.rows.length > chunk.rows.length)
        refused(() => check({ ...chunk, from: FIRST_KEY as Hash, to: undefined }));
    }),
    { numRuns: 200 },
  );
});

test('bytes that were changed anywhere are refused or say the same', () => {
  const tree = treeOf(60);
  const good = encodeChunk(chunkOf(tree, { from: '3'.padEnd(64, '0'), to: 'b1'.padEnd(64, '0') }));
  const meaning = verifyChunk(tree.root, good);
  fc.assert(
    fc.property(fc.nat(good.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
      const bytes = Uint8Array.from(good);
      bytes[at] = (bytes[at] as number) ^ flip;
      try {
        const chunk = verifyChunk(tree.root, bytes);
        // Only the ends may have moved, over a gap without rows, and pages may be told that nobody needs.
        assert.deepEqual(chunk.rows, meaning.rows);
      } catch (error) {
        assert(error instanceof LedgerError);
      }
    }),
    { numRuns: 1_000 },
  );
});
