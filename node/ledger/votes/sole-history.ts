import type { Block } from '../../../ledger/block.ts';
import { blockIdOf } from '../../../ledger/block.ts';
import type { LogRecord } from '../../../ledger/consensus/messages.ts';
import type { Position } from '../../../ledger/consensus/votes.ts';
import type { BlockId, NodeId } from '../../../ledger/ids.ts';
import { NodeError } from '../../errors.ts';
import type { Chain } from '../chain/chain.ts';

/**
 * Where one node is the whole committee, what it made final stands nowhere but in its ledger and in those that follow it.
 * Should its ledger be lost or set back, its vote log still tells: going on would give heights that are taken to other blocks.
 */

/**
 * Refuses to go on from a ledger that lacks what this node alone made final. What the log holds of the way there is
 * executed again and is no loss. Throws NodeError `data-damaged`.
 */
export function demandOwnHistory(
  folder: string,
  chain: Chain,
  nodeId: NodeId,
  { records, blocks }: { readonly records: readonly LogRecord[]; readonly blocks: readonly Block[] },
): void {
  const { seats, final } = chain;
  if (seats.length !== 1 || seats[0]?.nodeId !== nodeId) return;
  const newest = newestFinalized(records);
  if (newest === undefined || newest.height <= final.height) return;
  const parents = new Map(blocks.map(({ header }) => [blockIdOf(header), header.parentId]));
  let id: BlockId | undefined = newest.blockId;
  while (id !== undefined && id !== final.id) id = parents.get(id);
  if (id === final.id) return;
  throw new NodeError(
    'data-damaged',
    `the ledger in ${folder} ends at block ${final.height}, and this node alone has made block ${newest.height} final: it would begin a second history of the network. Put the blocks back with "blocktree ledger import FILE", from a backup or from "blocktree ledger export FILE" of a node that followed this one. If nobody has them, the network ends here: move all of ${folder} away to begin another`,
  );
}

/** The highest position that was voted final. */
function newestFinalized(records: readonly LogRecord[]): Position | undefined {
  let newest: Position | undefined;
  for (const record of records) {
    const { type, position } = record.kind === 'vote' ? record.vote : record.certificate;
    if (type === 'finalize' && position !== undefined && position.height > (newest?.height ?? 0))
      newest = position;
  }
  return newest;
}
