import { setTimeout as pause } from 'node:timers/promises';
import type { Logger } from 'pino';
import { type Block, blockIdOf, txRootOf } from '../../../ledger/block.ts';
import type { ExecutedBlock } from '../../../ledger/consensus/events.ts';
import type { Proposal } from '../../../ledger/consensus/messages.ts';
import { LedgerError } from '../../../ledger/errors.ts';
import type { BlockId, NodeId } from '../../../ledger/ids.ts';
import type { Mempool } from '../../../ledger/mempool.ts';
import { Breather } from '../../breather.ts';
import type { Network } from '../../network/network.ts';
import type { Chain } from '../chain/chain.ts';
import { fetchHeaders, streamBlocks } from './block-fetch.ts';

/**
 * Blocks that consensus wants: put together from the pool, taken from the log, or fetched with their ancestors, and
 * executed oldest first. What is far ahead and final is committed in stretches while it comes in.
 */

/** Headers that are asked for of a block whose height is not known yet. */
const HEADERS_FIRST = 8;
/** Missing ancestors up to this many are held as overlays; more are committed in stretches. */
const CATCH_UP_STRETCH = 64;
/** A stretch of full blocks ends with so many: overlays of thousands of transactions take megabytes each. */
const STRETCH_TRANSACTIONS = 4_096;
/** How soon a block far ahead that is not final is looked at again. */
const LONG_WAY_MS = 500;
/** Blocks that came in and wait for execution. */
const ARRIVED_MAX = 1_024;

export interface BlockIntakeOptions {
  readonly chain: Chain;
  readonly network: Network;
  readonly logger: Logger;
  readonly signal: AbortSignal;
  /** Runs something in the order of events. */
  inTurn<T>(run: () => Promise<T>): Promise<T>;
  /** A block was executed and is kept, not final. */
  executed(id: BlockId, block: Block): void;
  /** This block and its ancestors are final for certain. */
  commit(id: BlockId): Promise<void>;
  /** No peer has the body that is wanted next, of a block that is final for certain. */
  starved(): void;
  /** What became of a block that was to be obtained; `undefined`: it is invalid. */
  verdict(id: BlockId, executed: ExecutedBlock | undefined): void;
  failed(error: unknown): void;
}

/** What became of a path: `gone` when what it stands on is neither final nor kept any more. */
type Walked = 'valid' | 'invalid' | 'gone';

export class BlockIntake {
  /** The height it is catching up to, while it does. */
  catchUpHeight: number | undefined;
  readonly #options: BlockIntakeOptions;
  readonly #arrived = new Map<BlockId, Block>();
  /** Blocks that are being fetched; a proposal that nobody has is given up when another block is final. */
  readonly #obtaining = new Map<BlockId, AbortController>();
  /** The catch-up under way. */
  #longWay: Promise<void> | undefined;

  constructor(options: BlockIntakeOptions, blocks: readonly Block[]) {
    this.#options = options;
    for (const block of blocks) this.#arrived.set(blockIdOf(block.header), block);
  }

  /** A block that came in and waits for execution. */
  waiting(id: BlockId): Block | undefined {
    return this.#arrived.get(id);
  }

  /** Puts a proposed block together from the pool, so that it need not be fetched; the header vouches for the result. */
  assemble({ header, transactionIds }: Proposal, mempool: Mempool): void {
    const pooled = transactionIds.map((id) => mempool.get(id));
    const id = blockIdOf(header);
    if (this.#options.chain.hasState(id) || !pooled.every((entry) => entry !== undefined)) return;
    if (txRootOf(pooled.map((entry) => entry.bytes)) !== header.txRoot) return;
    for (const oldest of this.#arrived.keys()) {
      if (this.#arrived.size < ARRIVED_MAX) break;
      this.#arrived.delete(oldest);
    }
    this.#arrived.set(id, { header, transactions: pooled.map((entry) => entry.transaction) });
  }

  /** Gives up blocks that nobody waits for any more. */
  giveUp(isWanted: (id: BlockId) => boolean): void {
    for (const [id, needless] of this.#obtaining) if (!isWanted(id)) needless.abort();
  }

  /** Gets a block and its missing ancestors from memory or peers and has them executed, oldest first. */
  async obtain(blockId: BlockId, from: readonly NodeId[], final: boolean): Promise<void> {
    const { network, chain } = this.#options;
    const needless = new AbortController();
    this.#obtaining.set(blockId, needless);
    const signal = AbortSignal.any([this.#options.signal, needless.signal]);
    const peers = (): readonly NodeId[] => {
      const connected = network.peers().map((peer) => peer.nodeId);
      return [...new Set([...from.filter((id) => connected.includes(id)), ...connected])];
    };
    try {
      // Ids from the wanted block back to one whose state is at hand, newest first.
      const path: BlockId[] = [];
      const breather = new Breather();
      let left = HEADERS_FIRST;
      for (let id = blockId; !chain.hasState(id); ) {
        if (breather.due) await breather.breathe();
        const known = this.#arrived.get(id)?.header ?? chain.header(id);
        const headers = known === undefined ? await fetchHeaders(network, peers, id, left, signal) : [known];
        for (const header of headers) {
          if (chain.hasState(id)) break;
          if (header.height <= chain.final.height) {
            const newest = path.findIndex((one) => chain.hasState(one));
            if (newest < 0) return; // Another branch: what is final wins.
            // The chain came this way while headers were fetched.
            id = path[newest] as BlockId;
            path.length = newest;
            break;
          }
          path.push(id);
          id = header.parentId;
          // No further than to what is final here: peers would send thousands beyond.
          left = Math.max(1, header.height - 1 - chain.final.height);
        }
      }
      path.reverse();
      if (path.length > CATCH_UP_STRETCH) {
        // One long way at a time, since another one mostly leads over the same blocks; and only to what is final, since
        // all of what is not is kept in memory.
        const before = this.#longWay;
        if (before !== undefined || !final) {
          await (before ?? pause(LONG_WAY_MS, undefined, { signal }));
          return await this.obtain(blockId, from, final);
        }
        this.catchUpHeight = chain.final.height + path.length;
      }
      const walk = this.#walk(path, peers, final, signal);
      if (path.length > CATCH_UP_STRETCH) {
        const ended = (): void => {
          this.#longWay = undefined;
          this.catchUpHeight = undefined;
        };
        this.#longWay = walk.then(ended, ended);
      }
      const walked = await walk;
      signal.throwIfAborted();
      if (walked === 'invalid') {
        this.#options.verdict(blockId, undefined);
        return;
      }
      // What it stood on was given up, or became final, on the way: look again from where the chain is now.
      if (walked === 'gone') return await this.obtain(blockId, from, final);
      const header = chain.header(blockId);
      if (header === undefined) return;
      // Another block is final at its height.
      if (header.height <= chain.final.height && chain.store.idAt(header.height) !== blockId) return;
      const nextSeats = chain.nextSeats(blockId);
      this.#options.verdict(blockId, { header, nextSeats });
    } catch (error) {
      if (!signal.aborted) this.#options.failed(error);
    } finally {
      if (this.#obtaining.get(blockId) === needless) this.#obtaining.delete(blockId);
      if (this.#arrived.size > ARRIVED_MAX) this.#arrived.clear();
    }
  }

  /** Executes the blocks of a path, oldest first, while those ahead are fetched. False when one is invalid. */
  async #walk(
    path: readonly BlockId[],
    peers: () => readonly NodeId[],
    final: boolean,
    signal: AbortSignal,
  ): Promise<Walked> {
    const blocks = new Map<BlockId, Block>();
    const near = path.length <= CATCH_UP_STRETCH;
    for (const id of path) {
      const known = this.#arrived.get(id) ?? (near ? this.#options.chain.stored(id) : undefined);
      if (known !== undefined) blocks.set(id, known);
    }
    const bodies = streamBlocks(this.#options.network, {
      ids: path.filter((id) => !blocks.has(id)),
      peers,
      signal,
      onArrived: (block) => void this.#options.chain.signatures.blockHolds(block),
      onNobody: () => {
        if (final) this.#options.starved();
      },
      onBad: (peer, { message }) => this.#options.network.shun(peer, `it gave bad blocks: ${message}`),
    });
    try {
      const left = path.values();
      let isLast = false;
      while (!isLast) {
        const ready: { id: BlockId; block: Block }[] = [];
        let transactions = 0;
        while (ready.length < CATCH_UP_STRETCH && transactions < STRETCH_TRANSACTIONS) {
          const { value: id, done } = left.next();
          if (done === true) break;
          const block = blocks.get(id) ?? (await bodies.next());
          if (block === undefined) return 'gone';
          ready.push({ id, block });
          blocks.delete(id);
          transactions += block.transactions.length;
        }
        isLast = ready.at(-1)?.id === path.at(-1);
        const walked = await this.#options.inTurn(() => this.#executeStretch(ready, final && !isLast));
        if (walked !== 'valid') return walked;
      }
      return 'valid';
    } finally {
      bodies.close();
    }
  }

  /** Executes blocks in order; `commit`: they are final for certain and become so now. False when one is invalid. */
  async #executeStretch(
    blocks: readonly { readonly id: BlockId; readonly block: Block }[],
    commit: boolean,
  ): Promise<Walked> {
    const { chain, logger, signal, executed, commit: makeFinal } = this.#options;
    signal.throwIfAborted();
    for (const [i, { id, block }] of blocks.entries()) {
      // What became final meanwhile needs no second execution.
      if (chain.hasState(id) || block.header.height <= chain.final.height) continue;
      const next = blocks[i + 1];
      if (next !== undefined) void chain.signatures.blockHolds(next.block);
      if (!chain.hasState(block.header.parentId)) return 'gone';
      try {
        await chain.execute(block);
      } catch (error) {
        if (!(error instanceof LedgerError)) throw error;
        logger.warn({ block: id, code: error.code, reason: error.message }, 'an invalid block');
        return 'invalid';
      }
      if (!commit) executed(id, block);
      this.#arrived.delete(id);
    }
    const last = blocks.at(-1)?.id;
    if (commit && last !== undefined && last !== chain.final.id) await makeFinal(last);
    return 'valid';
  }
}
