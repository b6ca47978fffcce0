import { type Block, blockIdOf } from '../../ledger/block.ts';
import { demand } from '../../ledger/errors.ts';
import type { BlockId } from '../../ledger/ids.ts';
import type { Chain } from './chain.ts';

/** What makes a block final: the encoded Finalization, and the view that it is of. */
export interface Finality {
  readonly epoch: number;
  readonly view: number;
  readonly certificate: Uint8Array;
}

/** Blocks of one durable batch where many follow each other that are known to be final. */
const STRETCH = 64;

/**
 * Executes blocks that are final for certain, each the child of the one before, and makes them so here, in stretches.
 * `finality` is kept with the last of them. Throws LedgerError for a block that is not what it should be.
 */
export async function replayBlocks(
  chain: Chain,
  blocks: AsyncIterable<Block>,
  onHeight: (height: number) => void = () => undefined,
  finality?: Finality,
): Promise<void> {
  let stretch: BlockId[] = [];
  let last: Block | undefined;
  const flush = async (isLast: boolean): Promise<void> => {
    if (last === undefined || stretch.length === 0) return;
    const { epoch, view, height } = last.header;
    await chain.commit(
      stretch,
      isLast && finality !== undefined ? finality : { epoch, view, certificate: undefined },
    );
    stretch = [];
    onHeight(height);
  };
  for await (const block of blocks) {
    if (stretch.length >= STRETCH) await flush(false);
    demand(
      block.header.parentId === (stretch.at(-1) ?? chain.final.id),
      'bad-block',
      `block ${block.header.height} does not follow the one before it`,
    );
    await chain.execute(block);
    stretch.push(blockIdOf(block.header));
    last = block;
  }
  await flush(true);
}
