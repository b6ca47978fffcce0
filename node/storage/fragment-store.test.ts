import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { type Hash, hashId } from '../../ledger/ids.ts';
import { FRAGMENT_BYTES, fragmentRoot } from '../../ledger/merkle.ts';
import { MarketError } from '../../market/errors.ts';
import { FragmentStore } from './fragment-store.ts';
import { LevelKeyValues } from './key-values.ts';

const base = mkdtempSync(join(tmpdir(), 'blocktree-fragments-'));
after(() => rmSync(base, { recursive: true, force: true }));

const fragment = () => {
  const bytes = new Uint8Array(randomBytes(FRAGMENT_BYTES));
  return { bytes, root: hashId<Hash>(fragmentRoot(bytes)) };
};
const refuses = (code: MarketError['code'], task: Promise<unknown>) =>
  assert.rejects(task, (error) => error instanceof MarketError && error.code === code);

async function open(name: string): Promise<{ store: FragmentStore; index: LevelKeyValues }> {
  const index = await LevelKeyValues.open(join(base, name, 'index'));
  return { index, store: await FragmentStore.open(index) };
}

test('what was stored is there after a restart; what was removed is gone from disk', async () => {
  const first = await open('restart');
  await first.store.addVolume(join(base, 'restart', 'a'), 10 * FRAGMENT_BYTES);
  const [one, two] = [fragment(), fragment()];
  await Promise.all([
    first.store.put(one.root, one.bytes),
    first.store.put(two.root, two.bytes),
    first.store.put(one.root, one.bytes),
  ]);
  await first.store.remove([two.root]);
  await first.index.close();
  const second = await open('restart');
  assert.deepEqual(await second.store.get(one.root), Buffer.from(one.bytes));
  assert.equal(await second.store.get(two.root), undefined);
  assert.equal(second.store.usedBytes, FRAGMENT_BYTES);
  assert(!existsSync(join(base, 'restart', 'a', two.root.slice(0, 2), two.root)));
  await second.index.close();
});

test('a fragment that is on its way to a volume that is removed goes with the rest to another', async () => {
  const disk = await LevelKeyValues.open(join(base, 'on-its-way', 'index'));
  let release = (): void => undefined;
  let reached = (): void => undefined;
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  const noting = new Promise<void>((resolve) => {
    reached = resolve;
  });
  const store = await FragmentStore.open({
    get: (key) => disk.get(key),
    range: (...asked) => disk.range(...asked),
    write: async (changes) => {
      if (changes.some(({ key }) => key.startsWith('fragment/'))) {
        reached();
        await held;
      }
      return disk.write(changes);
    },
  });
  const { id } = await store.addVolume(join(base, 'on-its-way', 'a'), 4 * FRAGMENT_BYTES);
  await store.addVolume(join(base, 'on-its-way', 'b'), 4 * FRAGMENT_BYTES);
  const { root, bytes } = fragment();
  const putting = store.put(root, bytes);
  await noting;
  const removing = store.removeVolume(id);
  release();
  await Promise.all([putting, removing]);
  assert.deepEqual(await store.get(root), Buffer.from(bytes));
  assert.equal(store.usedBytes, FRAGMENT_BYTES);
  assert.equal(store.volumes().length, 1);
  await disk.close();
});

test('a full host refuses new fragments and keeps the old', async () => {
  const { store, index } = await open('full');
  const { id } = await store.addVolume(join(base, 'full', 'a'), 2 * FRAGMENT_BYTES);
  const kept = [fragment(), fragment()];
  for (const { root, bytes } of kept) await store.put(root, bytes);
  const late = fragment();
  await refuses('no-room', store.put(late.root, late.bytes));
  for (const { root } of kept) assert.notEqual(await store.get(root), undefined);
  await store.resizeVolume(id, 3 * FRAGMENT_BYTES);
  await store.put(late.root, late.bytes);
  await index.close();
});

test('a volume is drained and removed with its fragments moved first', async () => {
  const { store, index } = await open('drain');
  const { id } = await store.addVolume(join(base, 'drain', 'a'), 10 * FRAGMENT_BYTES);
  const kept = [fragment(), fragment(), fragment()];
  for (const { root, bytes } of kept) await store.put(root, bytes);
  await refuses('no-room', store.removeVolume(id));
  for (const { root, bytes } of kept) assert.deepEqual(await store.get(root), Buffer.from(bytes));
  await store.addVolume(join(base, 'drain', 'b'), 10 * FRAGMENT_BYTES);
  await store.removeVolume(id);
  assert.equal(store.volumes().length, 1);
  for (const { root, bytes } of kept) assert.deepEqual(await store.get(root), Buffer.from(bytes));
  assert.equal(
    readdirSync(join(base, 'drain', 'a'), { recursive: true }).filter((name) => String(name).length > 60)
      .length,
    0,
  );
  await refuses('unknown-volume', store.resizeVolume(id, 1));
  await index.close();
});

test('kill -9 while storing loses nothing that was acknowledged', async () => {
  const folder = join(base, 'killed');
  const script = new URL('../../test/support/fragment-writer.ts', import.meta.url);
  const child = fork(script, [folder], { execArgv: ['--import', 'tsx'] });
  const acknowledged: Hash[] = [];
  child.on('message', (root) => acknowledged.push(root as Hash));
  while (acknowledged.length < 40) await once(child, 'message');
  child.kill('SIGKILL');
  await once(child, 'exit');
  const { store, index } = await open('killed');
  for (const root of acknowledged) {
    const bytes = await store.get(root);
    assert.equal(bytes && hashId<Hash>(fragmentRoot(bytes)), root);
  }
  assert(!existsSync(join(folder, 'a', 'arriving')));
  await index.close();
});

test('a volume with a lost fragment can be drained and removed; what is lost can be stored again', async () => {
  const { store, index } = await open('lost');
  const old = await store.addVolume(join(base, 'lost', 'a'), 3 * FRAGMENT_BYTES);
  const [kept, lost, again] = [fragment(), fragment(), fragment()];
  for (const { root, bytes } of [kept, lost, again]) await store.put(root, bytes);
  for (const { root } of [lost, again]) rmSync(join(base, 'lost', 'a', root.slice(0, 2), root));
  assert.equal(await store.get(lost.root), undefined);
  await store.put(again.root, again.bytes);
  assert.deepEqual(await store.get(again.root), Buffer.from(again.bytes));
  assert.equal(store.usedBytes, 3 * FRAGMENT_BYTES);
  await store.addVolume(join(base, 'lost', 'b'), 10 * FRAGMENT_BYTES);
  await store.removeVolume(old.id);
  assert.deepEqual(await store.get(kept.root), Buffer.from(kept.bytes));
  assert(!store.has(lost.root) && store.has(again.root));
  assert.equal(store.usedBytes, 2 * FRAGMENT_BYTES);
  assert.equal(store.roomBytes, 8 * FRAGMENT_BYTES);
  await index.close();
});

test('a volume that is drained takes nothing, and nothing of the room of others', async () => {
  const { store, index } = await open('drained');
  const { id } = await store.addVolume(join(base, 'drained', 'a'), 4 * FRAGMENT_BYTES);
  for (let i = 0; i < 3; i++) {
    const { root, bytes } = fragment();
    await store.put(root, bytes);
  }
  await store.addVolume(join(base, 'drained', 'b'), 2 * FRAGMENT_BYTES);
  await refuses('no-room', store.drainVolume(id));
  assert.equal(store.usedBytes, 3 * FRAGMENT_BYTES);
  assert.equal(store.roomBytes, 0);
  await index.close();
});
