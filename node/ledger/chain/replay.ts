import type { Block } from '../../../ledger/block.ts';
import type { Certificate } from '../../../ledger/consensus/votes.ts';
import { demand } from '../../../ledger/errors.ts';
import type { BlockId } from '../../../ledger/ids.ts';
import type { Chain } from './chain.ts';

/** Blocks of one durable batch where many follow each other that are known to be final. */
const STRETCH = 64;

/**
 * Executes blocks that are final for certain, each the child of the one before, and makes them so here, in stretches that
 * end with a block whose Finalization is at hand, so that it is kept. Throws LedgerError for a block that is not what it
 * should be.
 */
export async function replayBlocks(
  chain: Chain,
  blocks: AsyncIterable<Block>,
  options: {
    readonly certificateOf?: (id: BlockId) => Certificate | undefined;
    readonly onHeight?: (height: number) => void;
  },
): Promise<void> {
  let stretch: BlockId[] = [];
  let last: Block | undefined;
  const flush = async (): Promise<void> => {
    const id = stretch.at(-1);
    if (last === undefined || id === undefined) return;
    const { epoch, view, height } = last.header;
    const certificate = options.certificateOf?.(id);
    await chain.commit(stretch, {
      epoch,
      view: certificate?.view ?? view,
      certificate,
    });
    stretch = [];
    options.onHeight?.(height);
  };
  for await (const block of blocks) {
    demand(
      block.header.parentId === (stretch.at(-1) ?? chain.final.id),
      'bad-block',
      `block ${block.header.height} does not follow the one before it`,
    );
    const id = await chain.execute(block);
    stretch.push(id);
    last = block;
    if (stretch.length >= STRETCH || options.certificateOf?.(id) !== undefined) await flush();
  }
  await flush();
}
