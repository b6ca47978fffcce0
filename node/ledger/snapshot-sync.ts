import { setTimeout as pause } from 'node:timers/promises';
import type { Logger } from 'pino';
import { blockIdOf } from '../../ledger/block.ts';
import type { KeyRange } from '../../ledger/commitment/range-proof.ts';
import { verifyChunk } from '../../ledger/commitment/state-chunk.ts';
import { Committee } from '../../ledger/consensus/committee.ts';
import { type Boundary, checkFinal, followBoundaries } from '../../ledger/consensus/trust-chain.ts';
import { demand, LedgerError } from '../../ledger/errors.ts';
import type { BlockId, NodeId } from '../../ledger/ids.ts';
import { KIND } from '../network/kinds.ts';
import type { Network } from '../network/network.ts';
import { NetworkError } from '../network/network-error.ts';
import { fetchHeaders } from './block-fetch.ts';
import type { Chain } from './chain.ts';
import type { CertifiedHeader } from './finality.ts';
import { decodeStates, encodeChunkRequest, encodeStatesRequest, type States } from './snapshot-messages.ts';
import { StagedState } from './staged-state.ts';
import { splitKeys } from './state-chunks.ts';

/**
 * How a node that is far behind gets the present state without executing the past: peers prove their states committee by
 * committee from the one that this node trusts, then give the state in chunks, each checked against the root on arrival.
 */

/** Whoever has a block this young is not far behind. */
const RECENT_MS = 10 * 60_000;
/** Time for more peers after the first. */
const SETTLE_MS = 300;
/** Peers that are asked for their states. */
const ASKED_MAX = 16;
const STATES_DEADLINE_MS = 5_000;
const CHUNK_DEADLINE_MS = 15_000;
/** Ranges of keys that are fetched side by side. */
const RANGES = 64;
const REQUESTS_MAX = 8;
const PER_PEER_MAX = 2;
/** A peer that fails this often in a row is not asked any more. */
const FAILURES_MAX = 3;
const REST_MS = 200;
const HEADERS_DEADLINE_MS = 60_000;
/** Headers of one request. */
const HEADERS_MAX = 4_096;
/** Answers with boundaries that one peer is asked for: 64 epochs each. */
const BOUNDARY_ROUNDS_MAX = 256;

export interface SnapshotSyncOptions {
  readonly chain: Chain;
  readonly network: Network;
  readonly logger: Logger;
  readonly signal: AbortSignal;
  /** Blocks that this node must be behind for a snapshot to be worth it; 0: it never is. */
  readonly behindMin: number;
  /** How long to wait for a first peer. */
  readonly waitMs: number;
}

/** A state that some peers have at hand. */
interface Offer {
  readonly newest: CertifiedHeader;
  readonly boundaries: readonly Boundary[];
  readonly peers: NodeId[];
}

/** Takes over the newest state that peers prove when it is far enough ahead. True when it did. */
export async function syncFromSnapshot(options: SnapshotSyncOptions): Promise<boolean> {
  const { chain, logger, signal } = options;
  if (options.behindMin === 0 || Date.now() - chain.final.timestampMs < RECENT_MS) return false;
  await somePeer(options);
  const refused = new Set<BlockId>();
  for (;;) {
    signal.throwIfAborted();
    const offers = (await offersOf(options)).filter(({ newest }) => !refused.has(blockIdOf(newest.header)));
    const offer = bestOf(offers);
    const behind = offer === undefined ? 0 : offer.newest.header.height - chain.final.height;
    if (offer === undefined || behind < options.behindMin) return false;
    const { height } = offer.newest.header;
    logger.info({ height, behind, peers: offer.peers.length }, 'fetching a snapshot of the state');
    const startMs = performance.now();
    try {
      await take(options, offer);
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

async function somePeer({ network, signal, waitMs }: SnapshotSyncOptions): Promise<void> {
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

/** What peers have, checked; whoever proves it wrongly is shunned. */
async function offersOf(options: SnapshotSyncOptions): Promise<readonly Offer[]> {
  const { network } = options;
  const offers = new Map<BlockId, Offer>();
  const peers = network.peers().slice(0, ASKED_MAX);
  await Promise.all(
    peers.map(async ({ nodeId }) => {
      try {
        for (const { newest, boundaries } of await askForStates(options, nodeId)) {
          const id = blockIdOf(newest.header);
          const known = offers.get(id);
          if (known === undefined) offers.set(id, { newest, boundaries, peers: [nodeId] });
          else known.peers.push(nodeId);
        }
      } catch (error) {
        if (error instanceof LedgerError) network.shun(nodeId, `its states do not hold: ${error.message}`);
        else if (!(error instanceof NetworkError)) throw error;
      }
    }),
  );
  return [...offers.values()];
}

async function askForStates(
  { chain, network }: SnapshotSyncOptions,
  peer: NodeId,
): Promise<readonly Omit<Offer, 'peers'>[]> {
  const { chainId } = chain.rules;
  const committees = [new Committee(chainId, chain.epoch, chain.seats)];
  const boundaries: Boundary[] = [];
  let answer: States;
  for (let round = 0; ; round++) {
    const last = committees.at(-1) as Committee;
    const request = encodeStatesRequest(last.epoch);
    answer = decodeStates(
      await network.request(peer, KIND.getStates, request, { deadlineMs: STATES_DEADLINE_MS }),
    );
    for (const boundary of answer.boundaries) {
      committees.push(followBoundaries(chainId, committees.at(-1) as Committee, [boundary]));
      boundaries.push(boundary);
    }
    const known = (committees.at(-1) as Committee).epoch;
    if (answer.states.every(({ certificate }) => certificate.epoch <= known)) break;
    demand(
      answer.boundaries.length > 0 && round < BOUNDARY_ROUNDS_MAX,
      'bad-certificate',
      'a state without the way to its committee',
    );
  }
  return answer.states
    .filter(({ header }) => header.height > chain.final.height)
    .map((newest) => {
      const at = newest.certificate.epoch - chain.epoch;
      const committee = committees[at];
      demand(committee !== undefined, 'bad-certificate', 'a state of an epoch that is over here');
      checkFinal(committee, newest.header, newest.certificate);
      return { newest, boundaries: boundaries.slice(0, at) };
    });
}

/** What most peers have, of that the newest. */
function bestOf(offers: readonly Offer[]): Offer | undefined {
  return [...offers].sort(
    (a, b) => b.peers.length - a.peers.length || b.newest.header.height - a.newest.header.height,
  )[0];
}

async function take(options: SnapshotSyncOptions, offer: Offer): Promise<void> {
  const { chain } = options;
  const staged = await StagedState.begin(chain.store);
  await fetchAncestors(options, offer, staged);
  await new ChunkFetch(options, offer, staged).run();
  await chain.adopt(staged, offer.newest, offer.boundaries);
}

/** Headers from the offered block back to the newest one here: each vouched for by the one before it. */
async function fetchAncestors(
  { chain, network, signal }: SnapshotSyncOptions,
  { newest, peers }: Offer,
  staged: StagedState,
): Promise<void> {
  const asked = (): readonly NodeId[] => {
    const connected = peers.filter((peer) => network.connected(peer));
    if (connected.length === 0) throw new NetworkError('gone', 'no peer is left that has the headers');
    return connected;
  };
  let { parentId: id, height } = newest.header;
  for (height--; height > chain.final.height; ) {
    const count = Math.min(HEADERS_MAX, height - chain.final.height);
    const deadline = AbortSignal.timeout(HEADERS_DEADLINE_MS);
    const headers = await fetchHeaders(network, asked, id, count, AbortSignal.any([signal, deadline])).catch(
      (error: unknown) => {
        if (!deadline.aborted || signal.aborted) throw error;
        throw new NetworkError('timeout', 'no peer gives the headers');
      },
    );
    await staged.addHeaders(headers);
    for (const header of headers)
      demand(header.height === height--, 'bad-block', 'a height that does not fit');
    id = headers.at(-1)?.parentId ?? id;
  }
  demand(id === chain.final.id, 'bad-block', 'the offered block does not descend from the newest one here');
}

/** Fetches all chunks of a state, several at a time from all peers that have it. */
class ChunkFetch {
  readonly #options: SnapshotSyncOptions;
  readonly #offer: Offer;
  readonly #staged: StagedState;
  readonly #ranges: KeyRange[] = [...splitKeys(RANGES)];
  readonly #failures = new Map<NodeId, number>();
  readonly #busy = new Map<NodeId, number>();
  #peers: readonly NodeId[];
  #left = RANGES;
  #ended: { readonly error: unknown } | undefined;

  constructor(options: SnapshotSyncOptions, offer: Offer, staged: StagedState) {
    this.#options = options;
    this.#offer = offer;
    this.#staged = staged;
    this.#peers = offer.peers;
  }

  /** Throws NetworkError `gone` when no peer is left. */
  async run(): Promise<void> {
    const stop = (error: unknown): void => {
      this.#ended ??= { error };
    };
    // All of them have ended before it is said that one failed: nothing is added to the state behind anybody's back.
    await Promise.all(Array.from({ length: REQUESTS_MAX }, () => this.#work().catch(stop)));
    if (this.#ended !== undefined) throw this.#ended.error;
  }

  async #work(): Promise<void> {
    const { signal } = this.#options;
    while (this.#left > 0 && this.#ended === undefined) {
      signal.throwIfAborted();
      if (this.#peers.length === 0) throw new NetworkError('gone', 'no peer is left that gives this state');
      const peer = this.#pick();
      const range = peer === undefined ? undefined : this.#ranges.shift();
      if (peer === undefined || range === undefined) {
        await pause(REST_MS, undefined, { signal });
        continue;
      }
      this.#busy.set(peer, (this.#busy.get(peer) ?? 0) + 1);
      try {
        const to = await this.#fetch(peer, range);
        this.#failures.delete(peer);
        if (to === range.to) this.#left--;
        else this.#ranges.unshift({ from: to as string, to: range.to });
      } catch (error) {
        this.#ranges.unshift(range);
        if (!this.#failed(peer, error)) throw error;
        await pause(REST_MS, undefined, { signal });
      } finally {
        this.#busy.set(peer, (this.#busy.get(peer) ?? 1) - 1);
      }
    }
  }

  #pick(): NodeId | undefined {
    const free = this.#peers.filter((peer) => (this.#busy.get(peer) ?? 0) < PER_PEER_MAX);
    return free.sort((a, b) => (this.#busy.get(a) ?? 0) - (this.#busy.get(b) ?? 0))[0];
  }

  /** One chunk from the beginning of the range; gives where it ends. Throws LedgerError for a bad one, NetworkError. */
  async #fetch(peer: NodeId, range: KeyRange): Promise<string | undefined> {
    const { header } = this.#offer.newest;
    const request = encodeChunkRequest({ ...range, blockId: blockIdOf(header) });
    const answer = await this.#options.network.request(peer, KIND.getChunk, request, {
      bulk: true,
      deadlineMs: CHUNK_DEADLINE_MS,
    });
    const { from, to, rows } = verifyChunk(header.stateRoot, answer);
    const fits = range.to === undefined || (to !== undefined && to <= range.to);
    demand(from === range.from && fits, 'bad-path', 'a chunk that was not asked for');
    await this.#staged.add(rows);
    return to;
  }

  /** Whether it goes on without what this peer could not give. */
  #failed(peer: NodeId, error: unknown): boolean {
    const { network } = this.#options;
    const drop = (): void => {
      this.#peers = this.#peers.filter((other) => other !== peer);
    };
    if (error instanceof LedgerError) {
      network.shun(peer, `it gave a bad chunk of state: ${error.message}`);
      drop();
      return true;
    }
    if (!(error instanceof NetworkError)) return false;
    // One that has too much to do is asked again for a good while.
    const busy = error.remoteCode === 'overloaded';
    const failures = (this.#failures.get(peer) ?? 0) + (busy ? 0.02 : 1);
    this.#failures.set(peer, failures);
    if (error.remoteCode === 'gone' || failures >= FAILURES_MAX) drop();
    return true;
  }
}
