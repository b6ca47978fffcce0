import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { utf8 } from '../bytes.ts';
import { LedgerError } from '../errors.ts';
import { commit, storedRoot } from './commitment.ts';
import { proveState, verifyState } from './state-proof.ts';

type Rows = Map<string, Uint8Array>;

function store() {
  const pages = new Map<string, Uint8Array>();
  const read = (path: string) => pages.get(path);
  return {
    pages,
    read,
    apply(changes: ReadonlyMap<string, Uint8Array | undefined>) {
      const result = commit(read, changes);
      for (const [path, page] of result.pages)
        page === undefined ? pages.delete(path) : pages.set(path, page);
      return result.root;
    },
  };
}

const changesArbitrary = fc.array(
  fc.tuple(
    fc.integer({ min: 0, max: 60 }).map((n) => `account/${n}`),
    fc.option(fc.uint8Array({ minLength: 1, maxLength: 8 })),
  ),
  { maxLength: 30 },
);

test('the root is a function of the rows alone, however they came about', () => {
  fc.assert(
    fc.property(fc.array(changesArbitrary, { maxLength: 8 }), (batches) => {
      const rows: Rows = new Map();
      const grown = store();
      let root = storedRoot(grown.read);
      for (const batch of batches) {
        const changes = new Map(batch.map(([key, value]) => [key, value ?? undefined]));
        for (const [key, value] of changes) value === undefined ? rows.delete(key) : rows.set(key, value);
        root = grown.apply(changes);
        assert.equal(storedRoot(grown.read), root);
      }
      const fresh = store();
      assert.equal(fresh.apply(rows), root);
      fresh.pages.set('', fresh.pages.get('') as Uint8Array);
      if (batches.length > 0) assert.deepEqual([...grown.pages].sort(), [...fresh.pages].sort());
    }),
    { numRuns: 300 },
  );
});

test('presence and absence are proven, and nothing else is', () => {
  const tree = store();
  const rows: Rows = new Map(Array.from({ length: 200 }, (_, i) => [`account/${i}`, utf8(`row ${i}`)]));
  const root = tree.apply(rows);
  for (let i = 0; i < 260; i++) {
    const key = `account/${i}`;
    const row = rows.get(key);
    const proof = proveState(tree.read, key);
    verifyState(root, key, row, proof);
    const refuses = (run: () => void) =>
      assert.throws(run, (e) => e instanceof LedgerError && e.code === 'bad-path');
    refuses(() => verifyState(root, key, row === undefined ? utf8('made up') : undefined, proof));
    refuses(() => verifyState(root, key, utf8('other value'), proof));
    refuses(() => verifyState(root, 'account/7', rows.get(key === 'account/7' ? 'account/8' : key), proof));
    refuses(() => verifyState(root, key, row, { ...proof, siblings: proof.siblings.slice(1) }));
    for (const length of [31, 33]) {
      const siblings = proof.siblings.map((hash) => Uint8Array.from({ length }, (_, at) => hash[at] ?? 0));
      refuses(() => verifyState(root, key, row, { ...proof, siblings }));
    }
  }
});

test('an empty tree proves absence', () => {
  const tree = store();
  const root = tree.apply(new Map());
  verifyState(root, 'account/1', undefined, proveState(tree.read, 'account/1'));
});

test('many changes at once give what they give a few at a time, removals too', () => {
  const changesOf = (from: number, to: number, row: (n: number) => Uint8Array | undefined) =>
    new Map(Array.from({ length: to - from }, (_, i) => [`account/${from + i}`, row(from + i)] as const));
  const [atOnce, bitwise] = [store(), store()];
  const added = (n: number) => utf8(`row ${n}`);
  const changed = (n: number) => (n % 3 === 0 ? undefined : utf8(`row ${n + 1}`));
  for (const [from, row] of [
    [0, added],
    [3_000, changed],
  ] as const) {
    const root = atOnce.apply(changesOf(from, 9_000, row));
    for (let at = from; at < 9_000; at += 100) bitwise.apply(changesOf(at, at + 100, row));
    assert.equal(storedRoot(bitwise.read), root);
  }
  assert.deepEqual([...atOnce.pages].sort(), [...bitwise.pages].sort());
});
