import assert from 'node:assert/strict';
import { test } from 'node:test';
import { utf8 } from '../../../ledger/bytes.ts';
import type { BlockId } from '../../../ledger/ids.ts';
import { type Overlay, Overlays } from './overlays.ts';

/** What is asked of an overlay: its place in the tree, and what it changes. */
function overlay(id: string, parentId: string, rows: Record<string, string | undefined> = {}): Overlay {
  const changes = new Map(Object.entries(rows).map(([key, row]) => [key, row && utf8(row)]));
  return { id, block: { header: { parentId } }, outcome: { changes }, pages: changes } as unknown as Overlay;
}

/** final ─ a ─ b ─ d, with c beside b and x ─ y beside a. */
function tree(): Overlays {
  const below = (key: string) => (key === 'below' || key === 'gone' ? utf8('final') : undefined);
  const overlays = new Overlays({ row: below, page: below });
  overlays.add(overlay('a', 'final', { row: 'of a', gone: undefined }));
  overlays.add(overlay('b', 'a', { row: 'of b' }));
  overlays.add(overlay('c', 'a'));
  overlays.add(overlay('d', 'b'));
  overlays.add(overlay('x', 'final'));
  overlays.add(overlay('y', 'x'));
  return overlays;
}
const id = (text: string) => text as BlockId;

test('the nearest block that changes a page gives it, a removed one is gone, and the rest is the final one', () => {
  const overlays = tree();
  const at = (block: string, path: string) => {
    const page = overlays.pagesAfter(id(block))(path);
    return page && Buffer.from(page).toString();
  };
  assert.deepEqual(
    ['a', 'b', 'c', 'd', 'y'].map((block) => at(block, 'row')),
    ['of a', 'of b', 'of a', 'of b', undefined],
  );
  assert.equal(at('d', 'gone'), undefined);
  assert.equal(at('y', 'gone'), 'final');
  assert.equal(at('d', 'below'), 'final');
});

test('when a block becomes final those beside it and beside its ancestors are abandoned, its descendants are not', () => {
  const overlays = tree();
  const abandonedBy = (block: string) =>
    overlays
      .abandonedBy(overlays.get(id(block)) as Overlay)
      .map((one) => one.id)
      .join(' ');
  assert.equal(abandonedBy('a'), 'x y');
  assert.equal(abandonedBy('b'), 'c x y');
  assert.equal(abandonedBy('y'), 'a b c d');
});
