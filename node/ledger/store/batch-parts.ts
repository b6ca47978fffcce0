import { type Block, blockIdOf, encodeBlock } from '../../../ledger/block.ts';
import { utf8 } from '../../../ledger/bytes.ts';
import type { Breather } from '../../breather.ts';
import { type Batch, sortable } from './ledger-database.ts';

/** What batches of the ledger are made of. */

/** Changes one after another as one: of what changes again and again only the last is written. */
export function merged<T>(changes: readonly ReadonlyMap<string, T>[]): ReadonlyMap<string, T> {
  const [first] = changes;
  return changes.length === 1 && first !== undefined ? first : new Map(changes.flatMap((map) => [...map]));
}

/** Puts changes under a prefix into a batch, in pieces. */
export async function addChanges(
  batch: Batch,
  prefix: string,
  changes: Iterable<readonly [key: string, value: Uint8Array | undefined]>,
  breather: Breather,
): Promise<void> {
  for (const [key, value] of changes) {
    if (breather.due) await breather.breathe();
    if (value === undefined) batch.del(prefix + key);
    else batch.put(prefix + key, value);
  }
}

/** Puts a block into a batch, and where it stands. */
export function addBlock(batch: Batch, block: Block, final: boolean): void {
  const id = blockIdOf(block.header);
  const height = sortable(block.header.height);
  batch.put(`b/${id}`, encodeBlock(block));
  batch.put(`k/${height}/${id}`, new Uint8Array(0));
  if (final) batch.put(`h/${height}`, utf8(id));
}
