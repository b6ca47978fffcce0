import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MemoryStore } from '../test/support/memory-storage.ts';
import type { KeyValues } from './interfaces.ts';
import { Tally } from './tally.ts';

test('a count is on disk when it resolves; many at once take few writes; a failed write is made up for', async () => {
  const disk = new MemoryStore();
  let writes = 0;
  let full = false;
  const store: KeyValues = {
    get: (key) => disk.get(key),
    range: (prefix) => disk.range(prefix),
    write: async (changes) => {
      writes++;
      await new Promise((resolve) => setImmediate(resolve));
      if (full) throw new Error('the disk is full');
      await disk.write(changes);
    },
  };
  const reopened = async (): Promise<Tally<string>> => {
    const tally = new Tally<string>(disk, 'count/');
    await tally.open();
    return tally;
  };
  const tally = new Tally<string>(store, 'count/');
  await Promise.all(
    Array.from({ length: 100 }, (_, i) => tally.set(`id ${i % 3}`, tally.get(`id ${i % 3}`) + 1)),
  );
  assert(writes <= 2, `${writes} writes`);
  assert.deepEqual(
    ['id 0', 'id 1', 'id 2', 'id 3'].map((id) => tally.get(id)),
    [34, 33, 33, 0],
  );
  assert.equal((await reopened()).get('id 0'), 34);

  full = true;
  await assert.rejects(tally.set('id 0', 35), /full/);
  full = false;
  await tally.set('id 1', undefined);
  const again = await reopened();
  assert.deepEqual([again.get('id 0'), again.get('id 1')], [35, 0]);
});
