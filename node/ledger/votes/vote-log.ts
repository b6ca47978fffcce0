import { join } from 'node:path';
import type { Logger } from 'pino';
import { type Block, blockIdOf, decodeBlock, encodeBlock } from '../../../ledger/block.ts';
import { concat } from '../../../ledger/bytes.ts';
import { decodeRecord, encodeRecord, type LogRecord } from '../../../ledger/consensus/messages.ts';
import type { BlockId, NodeId } from '../../../ledger/ids.ts';
import type { Chain } from '../chain/chain.ts';
import { demandOwnHistory } from './sole-history.ts';
import { type LogFrame, WriteAheadLog } from './write-ahead-log.ts';

/**
 * What this node voted, the certificates that it saw, and the blocks that it executed above the final one: in one log, so
 * that a vote for a block never outlives the block. A log has an id that the ledger remembers.
 */

const RECORD_TAG = Uint8Array.of(1);
const BLOCK_TAG = Uint8Array.of(2);
/** The log is rewritten to what is still needed when it is larger than this. */
const BYTES_MAX = 16 * 1_048_576;

export class VoteLog {
  /** What it held when it was opened. */
  readonly records: readonly LogRecord[];
  readonly blocks: readonly Block[];
  readonly #log: WriteAheadLog;
  readonly #logged: Set<BlockId>;

  private constructor(log: WriteAheadLog, records: readonly LogRecord[], blocks: readonly Block[]) {
    this.#log = log;
    this.records = records;
    this.blocks = blocks;
    this.#logged = new Set(blocks.map((block) => blockIdOf(block.header)));
  }

  /**
   * Opens the log of a data folder. One without the id that the ledger remembers is not the one this node voted with: it
   * may have signed what it does not know, and abstains until the epoch ends. A committee of one has nobody to contradict
   * but its own history. Throws NodeError `data-damaged`.
   */
  static async open(folder: string, chain: Chain, nodeId: NodeId, logger: Logger): Promise<VoteLog> {
    const { log, frames } = await WriteAheadLog.open(join(folder, 'consensus.log'));
    try {
      return await VoteLog.#takeUp(log, frames, { folder, chain, nodeId, logger });
    } catch (error) {
      await log.close();
      throw error;
    }
  }

  static async #takeUp(
    log: WriteAheadLog,
    frames: readonly LogFrame[],
    { folder, chain, nodeId, logger }: { folder: string; chain: Chain; nodeId: NodeId; logger: Logger },
  ): Promise<VoteLog> {
    const records: LogRecord[] = [];
    const blocks: Block[] = [];
    for (const { payload } of frames) {
      const content = payload.subarray(1);
      if (payload[0] === RECORD_TAG[0]) records.push(decodeRecord(content));
      else {
        const block = decodeBlock(content);
        if (block.header.height > chain.final.height) blocks.push(block);
      }
    }
    demandOwnHistory(folder, chain, nodeId, { records, blocks });
    const { voting } = chain.store;
    if (log.id !== voting.logId) {
      const lost = voting.logId !== undefined && chain.seats.length > 1;
      if (lost)
        logger.error('the vote log is not the one this node voted with: it abstains until the epoch ends');
      await chain.store.setVoting({ logId: log.id, abstainEpoch: lost ? chain.epoch : voting.abstainEpoch });
    }
    return new VoteLog(log, records, blocks);
  }

  addRecord(record: LogRecord): void {
    this.#log.append(concat(RECORD_TAG, encodeRecord(record)));
  }

  /** Adds an executed block, once. */
  addBlock(id: BlockId, block: Block): void {
    if (this.#logged.has(id)) return;
    this.#logged.add(id);
    this.#log.append(concat(BLOCK_TAG, encodeBlock(block)));
  }

  /** A block that became final is in the ledger. */
  forgetBlock(id: BlockId): void {
    this.#logged.delete(id);
  }

  /** Everything added so far is on disk when it resolves. */
  sync(): Promise<void> {
    return this.#log.sync();
  }

  /** Rewrites a log that grew large to what is still needed. */
  async compact(blocks: () => readonly Block[], records: () => readonly LogRecord[]): Promise<void> {
    if (this.#log.bytes <= BYTES_MAX) return;
    await this.#log.rewrite([
      ...blocks().map((block) => concat(BLOCK_TAG, encodeBlock(block))),
      ...records().map((record) => concat(RECORD_TAG, encodeRecord(record))),
    ]);
  }

  close(): Promise<void> {
    return this.#log.close();
  }
}
