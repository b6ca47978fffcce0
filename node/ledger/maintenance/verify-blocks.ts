import { setImmediate as nextTurn } from 'node:timers/promises';
import {
  type BlockHeader,
  blockIdOf,
  decodeBlock,
  decodeHeader,
  HEADER_BYTES,
} from '../../../ledger/block.ts';
import type { BlockId, ChainId } from '../../../ledger/ids.ts';
import type { FinalRecord } from '../store/final-record.ts';
import { type Database, readText, sortable } from '../store/ledger-database.ts';
import type { LedgerCheck } from './ledger-check.ts';

/** Checks blocks: that each is what its id says, and that the final ones are one chain. */

/** Blocks between two turns of the event loop. */
const STRETCH = 200;

/**
 * Final blocks by height from `from` on, each the child of the one before; then those beside them. Gives the newest final
 * header, when it can be read.
 */
export async function verifyBlocks(
  db: Database,
  check: LedgerCheck,
  { chainId, final, from }: { chainId: ChainId; final: FinalRecord; from: number },
): Promise<BlockHeader | undefined> {
  const { counts, onProgress } = check;
  let last: BlockHeader | undefined;
  let previous: { id: BlockId; header: BlockHeader } | undefined;
  const isFinal = new Set<BlockId>();
  for (let height = Math.min(from, final.height); height <= final.height; height++) {
    const where = `block ${height}`;
    const id = readText<BlockId>(db.getSync(`h/${sortable(height)}`));
    const header = id === undefined ? undefined : verifyBlock(db, check, id, where);
    if (id === undefined) check.add(where, 'which block is final at this height is not recorded');
    else isFinal.add(id);
    if (id !== undefined && header !== undefined) {
      if (header.height !== height) check.add(where, `its header says height ${header.height}`);
      if (header.chainId !== chainId) check.add(where, 'it is of another chain');
      if (previous !== undefined && header.parentId !== previous.id)
        check.add(where, 'it does not follow the block before it');
      if (previous !== undefined && header.timestampMs <= previous.header.timestampMs)
        check.add(where, 'it is not later than the block before it');
      if (db.getSync(`k/${sortable(height)}/${id}`) === undefined)
        check.add(where, 'it is missing in the list of blocks by height');
    }
    previous = id === undefined || header === undefined ? undefined : { id, header };
    last = header;
    counts.blocks++;
    if (height % STRETCH === 0) {
      await nextTurn();
      onProgress('blocks', height, final.height);
    }
  }
  if (previous === undefined || previous.id !== final.id)
    check.add(`block ${final.height}`, 'it is not the one that is recorded as the newest');
  for await (const key of db.keys({ gte: `k/${sortable(from)}`, lt: 'k0' })) {
    const id = key.slice(key.lastIndexOf('/') + 1) as BlockId;
    if (isFinal.has(id)) continue;
    counts.abandoned++;
    verifyBlock(db, check, id, `block ${id}, which is not final`);
  }
  return last;
}

/** That the bytes under an id are that block, body and all. */
function verifyBlock(db: Database, check: LedgerCheck, id: BlockId, where: string): BlockHeader | undefined {
  const bytes = db.getSync(`b/${id}`);
  if (bytes === undefined) {
    check.add(where, 'it is missing');
    return undefined;
  }
  const read = (): BlockHeader => {
    const header = decodeHeader(bytes.subarray(0, HEADER_BYTES));
    if (blockIdOf(header) !== id) check.add(where, 'its header was changed: it has another id');
    if (bytes.length === HEADER_BYTES) check.counts.pruned++;
    else decodeBlock(bytes);
    return header;
  };
  return check.read(where, read, (reason) => `it was changed: ${reason}`);
}
