import type { FinalPoint } from '../../../ledger/consensus/events.ts';
import { invariant } from '../../../ledger/errors.ts';
import type { BlockId } from '../../../ledger/ids.ts';
import type { Chain, FinalBlock } from './chain.ts';

/** The view that made a block final, and what proves it; without a certificate a later block does. */
export type FinalizedBy = Pick<FinalPoint, 'epoch' | 'view' | 'certificate'>;

/**
 * Makes an executed block and its ancestors final, durably; gives those that were not final before, oldest first. One
 * that was proposed again may be final by more than one view, and the chain may have gone a long way past it.
 */
export async function commitUpTo(chain: Chain, id: BlockId, by: FinalizedBy): Promise<readonly FinalBlock[]> {
  const { final } = chain;
  const header = chain.header(id);
  if (header !== undefined && header.height <= final.height) {
    const known = chain.store.idAt(header.height);
    invariant(known === undefined || known === id, `two final blocks at height ${header.height}`);
    const { certificate } = by;
    if (id === final.id && certificate !== undefined) await chain.confirm({ ...by, certificate });
    return [];
  }
  const ids: BlockId[] = [];
  for (let next = id; next !== final.id; ) {
    ids.unshift(next);
    const parent = chain.header(next);
    invariant(parent !== undefined, 'a block with an unknown ancestor became final');
    next = parent.parentId;
  }
  return chain.commit(ids, by);
}
