import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { type Hash, hashId } from '../../ledger/ids.ts';
import { FRAGMENT_BYTES, fragmentRoot } from '../../ledger/merkle.ts';
import { FragmentStore } from '../../node/storage/fragment-store.ts';
import { LevelKeyValues } from '../../node/storage/key-values.ts';

/** Stores fragments for ever and tells its parent of each one that is acknowledged; meant to be killed. */

const folder = process.argv[2] as string;
const store = await FragmentStore.open(await LevelKeyValues.open(join(folder, 'index')));
await store.addVolume(join(folder, 'a'), 10_000 * FRAGMENT_BYTES);
const write = async (): Promise<void> => {
  for (;;) {
    const bytes = new Uint8Array(randomBytes(FRAGMENT_BYTES));
    const root = hashId<Hash>(fragmentRoot(bytes));
    await store.put(root, bytes);
    process.send?.(root);
  }
};
await Promise.all([write(), write(), write()]);
