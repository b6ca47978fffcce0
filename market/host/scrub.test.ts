import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Hash, hashId } from '../../ledger/ids.ts';
import { FRAGMENT_BYTES, fragmentRoot } from '../../ledger/merkle.ts';
import { bytesOf } from '../../test/support/content.ts';
import { MemoryShelf, MemoryStore } from '../../test/support/memory-storage.ts';
import { damagedRoots, scrub } from './scrub.ts';

const PERIODS = 30;
const running = new AbortController().signal;

async function shelfWith(count: number): Promise<{ shelf: MemoryShelf; store: MemoryStore; roots: Hash[] }> {
  const [shelf, store] = [new MemoryShelf(() => 0), new MemoryStore()];
  const roots: Hash[] = [];
  for (let i = 0; i < count; i++) {
    const bytes = new Uint8Array(bytesOf(`fragment ${i}`, FRAGMENT_BYTES));
    const root = hashId<Hash>(fragmentRoot(bytes));
    await shelf.put(root, bytes);
    roots.push(root);
  }
  return { shelf, store, roots };
}

test('everything is read once in a round; what changed, is missing or cannot be read is noted until it is whole', async () => {
  const { shelf, store, roots } = await shelfWith(9);
  const [changed, missing, unreadable] = roots as [Hash, Hash, Hash];
  const original = shelf.kept.get(changed) as Uint8Array;
  shelf.kept.set(
    changed,
    original.map((byte, i) => (i === 77 ? byte ^ 1 : byte)),
  );
  const get = shelf.get.bind(shelf);
  let mounted = false;
  shelf.get = async (root) => {
    if (root === missing && !mounted) return undefined;
    if (root === unreadable && !mounted) throw new Error('EIO');
    return get(root);
  };
  const round = async (): Promise<number> => {
    let checked = 0;
    for (let period = 0; period < PERIODS; period++)
      checked += (await scrub({ shelf, store, now: () => 5 }, period, running)).checked;
    return checked;
  };
  assert((await round()) >= roots.length);
  assert.deepEqual(new Set(await damagedRoots(store)), new Set([changed, missing, unreadable]));
  assert.equal([...shelf.roots()].length, roots.length, 'a scrub deletes nothing');
  mounted = true;
  shelf.kept.set(changed, original);
  await scrub({ shelf, store, now: () => 6 }, 0, running);
  assert.equal((await damagedRoots(store)).size, 0);
});

test('a scrub stops when it is told to', async () => {
  const { shelf, store } = await shelfWith(3);
  assert.equal((await scrub({ shelf, store, now: () => 0 }, 0, AbortSignal.abort())).checked, 0);
});
