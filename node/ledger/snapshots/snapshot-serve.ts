import { setImmediate as nextTurn } from 'node:timers/promises';
import type { BlockId } from '../../../ledger/ids.ts';
import { KIND } from '../../network/kinds.ts';
import type { Network } from '../../network/network.ts';
import { NetworkError } from '../../network/network-error.ts';
import { ServingSlots } from '../../network/serving-slots.ts';
import type { Chain } from '../chain/chain.ts';
import { type CertifiedHeader, newestCertified } from '../store/finality.ts';
import type { StateView } from '../store/ledger-database.ts';
import { cutChunk } from '../store/state-chunks.ts';
import {
  BOUNDARIES_MAX,
  CHUNK_REQUEST_BYTES_MAX,
  decodeChunkRequest,
  decodeStatesRequest,
  encodeStates,
  STATES_MAX,
  STATES_REQUEST_BYTES_MAX,
} from './snapshot-messages.ts';

/** A state is held at the first commit of so many blocks, so that several nodes have the same one. */
export const HOLD_EVERY_BLOCKS = 256;
/** How long a state that was held because somebody asked stays after it was last asked for. */
const HELD_MS = 10 * 60_000;
/** Chunks cut at the same time, for all peers and for one. */
const CUTTING_MAX = 4;
const CUTTING_PER_PEER_MAX = 2;

interface Held {
  readonly newest: CertifiedHeader;
  readonly view: StateView;
  usedMs: number;
}

/**
 * Hands the newest final states over to nodes that are far behind. A state is a snapshot of the database: it stays as it
 * was while blocks are committed, and costs only what is overwritten meanwhile.
 */
export class SnapshotServer {
  readonly #chain: Chain;
  readonly #held = new Map<BlockId, Held>();
  #heldHeight: number;

  constructor(network: Network, chain: Chain) {
    this.#chain = chain;
    this.#heldHeight = chain.final.height;
    const states = new ServingSlots(2, 1);
    network.handle(KIND.getStates, STATES_REQUEST_BYTES_MAX, (peer, body) =>
      states.answer(peer, () => this.#states(decodeStatesRequest(body))),
    );
    const chunks = new ServingSlots(CUTTING_MAX, CUTTING_PER_PEER_MAX);
    network.handle(KIND.getChunk, CHUNK_REQUEST_BYTES_MAX, (peer, body) =>
      chunks.answer(peer, () => this.#chunk(body)),
    );
  }

  /** To be called after commits. */
  committed(): void {
    const { height } = this.#chain.final;
    if (Math.floor(height / HOLD_EVERY_BLOCKS) === Math.floor(this.#heldHeight / HOLD_EVERY_BLOCKS)) return;
    this.#hold();
  }

  /** Holds the newest state, unless only a later block will prove it. The state that was longest not asked for makes room. */
  #hold(): void {
    const { store, final } = this.#chain;
    if (this.#held.has(final.id)) return;
    const newest = newestCertified(store);
    if (newest === undefined) return;
    this.#heldHeight = final.height;
    this.#held.set(final.id, { newest, view: store.view(), usedMs: performance.now() });
    for (const [id, held] of [...this.#held].sort(([, a], [, b]) => a.usedMs - b.usedMs)) {
      if (this.#held.size <= STATES_MAX && performance.now() - held.usedMs < HELD_MS) break;
      if (id === final.id) continue;
      this.#held.delete(id);
      void held.view.close();
    }
  }

  async #states(fromEpoch: number): Promise<Uint8Array> {
    const { store, final } = this.#chain;
    // One is enough for a while: peers ask many nodes, and each new one keeps more of the past from being cleared away.
    // Not one that bodies are missing behind: nobody could go on from there.
    const least = Math.max(store.prunedHeight, final.height - HOLD_EVERY_BLOCKS + 1);
    const recent = [...this.#held.values()].some(({ newest: { header } }) => header.height >= least);
    if (!recent) this.#hold();
    const states = [...this.#held.values()].map(({ newest }) => newest);
    const top = Math.max(fromEpoch, ...states.map(({ certificate }) => certificate.epoch));
    const boundaries = [];
    for (let epoch = fromEpoch; epoch < top && boundaries.length < BOUNDARIES_MAX; epoch++) {
      const boundary = store.boundary(epoch);
      if (boundary === undefined) break;
      boundaries.push(boundary);
      await nextTurn();
    }
    return encodeStates({ boundaries, states });
  }

  async #chunk(body: Uint8Array): Promise<Uint8Array> {
    const { blockId, ...range } = decodeChunkRequest(body);
    const held = this.#held.get(blockId);
    if (held === undefined) throw new NetworkError('gone', 'this state is not at hand here');
    held.usedMs = performance.now();
    return (await cutChunk(held.view, range)).bytes;
  }
}
