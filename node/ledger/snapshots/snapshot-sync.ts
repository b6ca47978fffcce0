import { setTimeout as pause } from 'node:timers/promises';
import type { Logger } from 'pino';
import { type BlockHeader, blockIdOf } from '../../../ledger/block.ts';
import { demand, LedgerError } from '../../../ledger/errors.ts';
import type { BlockId, NodeId } from '../../../ledger/ids.ts';
import { Breather } from '../../breather.ts';
import type { Network } from '../../network/network.ts';
import { NetworkError } from '../../network/network-error.ts';
import type { Chain } from '../chain/chain.ts';
import { StagedState } from '../store/staged-state.ts';
import { splitKeys } from '../store/state-chunks.ts';
import { fetchHeaders } from '../sync/block-fetch.ts';
import { ChunkFetch } from './chunk-fetch.ts';
import { bestOf, type Offer, offersOf } from './snapshot-offers.ts';

/**
 * How a node that is far behind gets the present state without executing the past: peers prove their states committee by
 * committee from the one that this node trusts, then give the state in chunks, each checked against the root on arrival.
 */

/** Whoever has a block this young is not far behind. */
const RECENT_MS = 10 * 60_000;
/** Time for more peers after the first. */
const SETTLE_MS = 300;
/** Ranges of keys that are fetched side by side. */
const RANGES = 64;
const HEADERS_DEADLINE_MS = 60_000;
/** Headers of one request. */
const HEADERS_MAX = 4_096;

export interface SnapshotOptions {
  readonly chain: Chain;
  readonly network: Network;
  readonly logger: Logger;
  readonly signal: AbortSignal;
  /** Blocks that this node must be behind for a snapshot to be worth it; 0: it never is. */
  readonly behindMin: number;
}

/**
 * Before a node begins to execute blocks: takes over the newest state that peers prove when it is far enough ahead. True
 * when it did. `waitMs`: how long to wait for a first peer.
 */
export async function syncFromSnapshot(
  options: SnapshotOptions & { readonly waitMs: number },
): Promise<boolean> {
  const { chain, network, signal, behindMin, waitMs } = options;
  if (behindMin === 0 || Date.now() - chain.final.timestampMs < RECENT_MS) return false;
  await somePeer(network, waitMs, signal);
  return takeNewest(options, behindMin, (_, take) => take());
}

/**
 * Takes over the newest state that peers prove, if it is at least so many blocks ahead; what was begun and cut off before is
 * gone on with while somebody has it. `around` is given the height and what to do while nothing else moves the ledger.
 */
export async function takeNewest(
  options: SnapshotOptions,
  aheadMin: number,
  around: (height: number, take: () => Promise<void>) => Promise<void>,
): Promise<boolean> {
  const { chain, logger, signal } = options;
  const refused = new Set<BlockId>();
  for (;;) {
    signal.throwIfAborted();
    const offers = (await offersOf(options)).filter(({ newest }) => !refused.has(blockIdOf(newest.header)));
    const begun = StagedState.begun(chain.store);
    const offer = bestOf(offers, begun && blockIdOf(begun.target.header), options.behindMin);
    const behind = offer === undefined ? 0 : offer.newest.header.height - chain.final.height;
    if (offer === undefined || behind < aheadMin) return false;
    const { height } = offer.newest.header;
    logger.info({ height, behind, peers: offer.peers.length }, 'fetching a snapshot of the state');
    const startMs = performance.now();
    try {
      await around(height, () => take(options, offer));
      logger.info({ height, ms: Math.round(performance.now() - startMs) }, 'the snapshot is in force');
      return true;
    } catch (error) {
      if (!(error instanceof LedgerError) && !(error instanceof NetworkError)) throw error;
      // Nobody has it any more, or what they gave was bad: the next best.
      logger.warn({ height, reason: error.message }, 'a snapshot could not be fetched');
      refused.add(blockIdOf(offer.newest.header));
    }
  }
}

async function somePeer(network: Network, waitMs: number, signal: AbortSignal): Promise<void> {
  if (network.peers().length > 0) return;
  const waiting = new AbortController();
  const off = network.onPeer(() => waiting.abort());
  await pause(waitMs, undefined, { signal: AbortSignal.any([signal, waiting.signal]) }).catch(
    () => undefined,
  );
  off();
  // Where one is, others follow: a state comes faster from several.
  if (network.peers().length > 0) await pause(SETTLE_MS, undefined, { signal });
}

async function take(options: SnapshotOptions, offer: Offer): Promise<void> {
  const { chain, logger } = options;
  const begun = StagedState.begun(chain.store);
  const goesOn = begun !== undefined && blockIdOf(begun.target.header) === blockIdOf(offer.newest.header);
  if (goesOn) logger.info({ missing: begun.missing.length }, 'going on with what was fetched before');
  const staged = goesOn ? begun : await StagedState.begin(chain.store, offer.newest, splitKeys(RANGES));
  await fetchAncestors(options, offer, staged);
  await new ChunkFetch(options, offer.peers, staged).run();
  await chain.adopt(staged, offer.boundaries);
}

/** Headers from the offered block back to the newest one here: each vouched for by the one before it. */
async function fetchAncestors(
  { chain, network, signal }: SnapshotOptions,
  { newest, peers }: Offer,
  staged: StagedState,
): Promise<void> {
  const asked = (): readonly NodeId[] => {
    const connected = peers.filter((peer) => network.connected(peer));
    if (connected.length === 0) throw new NetworkError('gone', 'no peer is left that has the headers');
    return connected;
  };
  const { final } = chain;
  let { parentId: id, height } = newest.header;
  const breather = new Breather();
  for (height--; height > final.height; ) {
    const count = Math.min(HEADERS_MAX, height - final.height);
    const headers: BlockHeader[] = [];
    // Those that are here already, from an attempt before this one.
    for (let known = chain.header(id); known !== undefined && headers.length < count; ) {
      headers.push(known);
      known = chain.header(known.parentId);
      if (breather.due) await breather.breathe();
    }
    if (headers.length === 0) {
      const deadline = AbortSignal.timeout(HEADERS_DEADLINE_MS);
      const ended = AbortSignal.any([signal, deadline]);
      const fetched = await fetchHeaders(network, asked, id, count, ended).catch((error: unknown) => {
        if (!deadline.aborted || signal.aborted) throw error;
        throw new NetworkError('timeout', 'no peer gives the headers');
      });
      headers.push(...fetched);
    }
    await staged.addHeaders(headers);
    for (const header of headers)
      demand(header.height === height--, 'bad-block', 'a height that does not fit');
    id = headers.at(-1)?.parentId ?? id;
  }
  demand(id === final.id, 'bad-block', 'the offered block does not descend from the newest one here');
}
