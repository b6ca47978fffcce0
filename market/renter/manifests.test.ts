import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Hash, NodeId } from '../../ledger/ids.ts';
import { FRAGMENT_BYTES } from '../../ledger/merkle.ts';
import { MemoryStore } from '../../test/support/memory-storage.ts';
import type { Manifest } from '../files/manifest.ts';
import type { KeyValues } from '../interfaces.ts';
import { Manifests } from './manifests.ts';

/** A disk that shows a write only when it is durable, as LevelDB does. */
function slow(disk: MemoryStore): KeyValues {
  return {
    get: (key) => disk.get(key),
    range: (...asked) => disk.range(...asked),
    write: async (changes) => {
      await new Promise((resolve) => setImmediate(resolve));
      await disk.write(changes);
    },
  };
}

const manifest = (name: string, createdMs: number, slabs = 1): Manifest => ({
  version: 1,
  ...{ name, createdMs, sizeBytes: 1, contentHash: '' },
  scheme: { data: 1, parity: 0 },
  slabs: Array.from({ length: slabs }, () => ({
    length: 1,
    key: '',
    fragments: [{ root: 'aa' as Hash, host: 'one' as NodeId }],
  })),
});

test('a change that begins while another is being written sees what that one wrote', async () => {
  const manifests = new Manifests(slow(new MemoryStore()));
  await manifests.change('a', () => manifest('a', 1));
  const replaced = manifests.change('a', () => manifest('a', 2));
  const repaired = manifests.change('a', (now) => now && { ...now, sizeBytes: 7 });
  await Promise.all([replaced, repaired]);
  assert.deepEqual(manifests.get('a'), { ...manifest('a', 2), sizeBytes: 7 });
  const removed = manifests.change('a', () => undefined);
  const late = manifests.change('a', (now) => now && { ...now, sizeBytes: 8 });
  await Promise.all([removed, late]);
  assert.equal(manifests.get('a'), undefined);
});

test('pages hold every file once, and the bytes at hosts are counted through changes and restarts', async () => {
  const disk = new MemoryStore();
  const manifests = new Manifests(disk);
  const names = Array.from({ length: 150 }, (_, i) => `${i % 2 === 0 ? '🎉' : 'file'} ${i}`);
  for (const name of names) await manifests.change(name, () => manifest(name, 1, 2));
  await manifests.change('file 1', () => manifest('file 1', 2, 1));
  await manifests.change('🎉 0', () => undefined);
  const seen: string[] = [];
  for await (const { name } of manifests.all()) seen.push(name);
  assert.deepEqual(new Set(seen), new Set(names.filter((name) => name !== '🎉 0')));
  assert.equal(seen.length, 149);
  const again = new Manifests(disk);
  await again.open();
  for (const one of [manifests, again]) {
    assert.equal(one.storedBytes, (148 * 2 + 1) * FRAGMENT_BYTES);
    assert.equal(one.count, 149);
  }
});
