import { setTimeout as pause } from 'node:timers/promises';
import { blockIdOf } from '../../../ledger/block.ts';
import type { KeyRange } from '../../../ledger/commitment/range-proof.ts';
import { verifyChunk } from '../../../ledger/commitment/state-chunk.ts';
import { demand, LedgerError } from '../../../ledger/errors.ts';
import type { NodeId } from '../../../ledger/ids.ts';
import { KIND } from '../../network/kinds.ts';
import type { Network } from '../../network/network.ts';
import { NetworkError } from '../../network/network-error.ts';
import type { StagedState } from '../store/staged-state.ts';
import { encodeChunkRequest } from './snapshot-messages.ts';

const CHUNK_DEADLINE_MS = 15_000;
const REQUESTS_MAX = 8;
const PER_PEER_MAX = 2;
/** A peer that fails this often in a row is not asked any more. */
const FAILURES_MAX = 3;
const REST_MS = 200;

/** Fetches what is missing of a state, several chunks at a time from all peers that have it. */
export class ChunkFetch {
  readonly #options: { readonly network: Network; readonly signal: AbortSignal };
  readonly #staged: StagedState;
  readonly #underWay = new Set<KeyRange>();
  readonly #failures = new Map<NodeId, number>();
  readonly #busy = new Map<NodeId, number>();
  #peers: readonly NodeId[];
  #ended: { readonly error: unknown } | undefined;

  constructor(
    options: { readonly network: Network; readonly signal: AbortSignal },
    peers: readonly NodeId[],
    staged: StagedState,
  ) {
    this.#options = options;
    this.#staged = staged;
    this.#peers = peers;
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
    while (this.#staged.missing.length > 0 && this.#ended === undefined) {
      signal.throwIfAborted();
      if (this.#peers.length === 0) throw new NetworkError('gone', 'no peer is left that gives this state');
      const peer = this.#pick();
      const range = this.#staged.missing.find((one) => !this.#underWay.has(one));
      if (peer === undefined || range === undefined) {
        await pause(REST_MS, undefined, { signal });
        continue;
      }
      this.#busy.set(peer, (this.#busy.get(peer) ?? 0) + 1);
      this.#underWay.add(range);
      try {
        await this.#fetch(peer, range);
        this.#underWay.delete(range);
        this.#failures.delete(peer);
      } catch (error) {
        this.#underWay.delete(range);
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

  /** One chunk from the beginning of the range. Throws LedgerError for a bad one, NetworkError. */
  async #fetch(peer: NodeId, range: KeyRange): Promise<void> {
    const { header } = this.#staged.target;
    const request = encodeChunkRequest({ ...range, blockId: blockIdOf(header) });
    const answer = await this.#options.network.request(peer, KIND.getChunk, request, {
      bulk: true,
      deadlineMs: CHUNK_DEADLINE_MS,
    });
    const { from, to, rows } = verifyChunk(header.stateRoot, answer);
    const fits = range.to === undefined || (to !== undefined && to <= range.to);
    demand(from === range.from && fits, 'bad-path', 'a chunk that was not asked for');
    await this.#staged.add(range, to, rows);
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
