import type { Block } from '../../ledger/block.ts';
import { blockIdOf } from '../../ledger/block.ts';
import { LedgerError } from '../../ledger/errors.ts';
import type { BlockId, NodeId } from '../../ledger/ids.ts';
import { NetworkError } from '../network/network-error.ts';

/**
 * Many blocks by id, fetched from several peers at once and given out in order, so that whoever executes them never waits
 * for a round trip. A peer that answers with anything but what was asked for is not asked again.
 */

/** Ids of one request; peers cut their answer at about a MiB. */
export const ASKED_MAX = 64;
const PER_PEER_MAX = 2;
const REQUESTS_MAX = 8;
/** Blocks and bytes fetched ahead of the one that is wanted next. */
const AHEAD_BLOCKS_MAX = 1_024;
const AHEAD_BYTES_MAX = 24 * 1_048_576;
/** A peer that did not answer rests this long, one that lacks a block is not asked for it again; twice as long each time. */
const REST_MS = 250;
const REST_MAX_MS = 10_000;
/** When all peers are out of favour they are given another chance after this. */
const PARDON_MS = 5_000;

/** A block as a peer sent it. */
export interface FetchedBlock {
  readonly block: Block;
  readonly bytes: number;
}

export interface BodyStreamOptions {
  /** Oldest first. */
  readonly ids: readonly BlockId[];
  /** The peers that may be asked now, the best first. */
  peers(): readonly NodeId[];
  /** The first of the blocks, as many as the peer gives; throws LedgerError for what is no answer, or NetworkError. */
  ask(peer: NodeId, ids: readonly BlockId[]): Promise<readonly FetchedBlock[]>;
  readonly signal: AbortSignal;
  /** When the block that is wanted next takes longer than this, another peer is asked for it, too. */
  readonly slowMs: number;
  /** Hears of every block as it arrives, before its turn. */
  onArrived?(block: Block): void;
  /** Hears, again and again, that all peers have answered and none has the block that is wanted next. */
  onNobody?(): void;
  /** Hears of a peer that is not asked again, and why. */
  onBad?(peer: NodeId, error: LedgerError): void;
}

interface Range {
  readonly from: number;
  readonly to: number;
}
interface Rest {
  readonly untilMs: number;
  readonly times: number;
}
interface Asked extends Range {
  readonly sinceMs: number;
  doubled: boolean;
}

export class BodyStream {
  readonly #options: BodyStreamOptions;
  readonly #arrived = new Map<number, FetchedBlock>();
  readonly #again: Range[] = [];
  readonly #asked = new Set<Asked>();
  readonly #busy = new Map<NodeId, number>();
  readonly #bad = new Set<NodeId>();
  /** Which blocks a peer has not got, by place, and until when it is not asked for them again. */
  readonly #lacking = new Map<NodeId, Map<number, Rest>>();
  readonly #resting = new Map<NodeId, Rest>();
  #nextAsked = 0;
  #next = 0;
  #aheadBytes = 0;
  #wake: (() => void) | undefined;
  #closed = false;
  /** What nobody foresaw, for whoever waits. */
  #failure: unknown;

  constructor(options: BodyStreamOptions) {
    this.#options = options;
    this.#pump();
  }

  /** The next block; `undefined` after the last. Throws the signal's reason when that ends it. */
  async next(): Promise<Block | undefined> {
    for (;;) {
      this.#options.signal.throwIfAborted();
      if (this.#failure !== undefined) throw this.#failure;
      if (this.#next === this.#options.ids.length || this.#closed) return undefined;
      const found = this.#arrived.get(this.#next);
      if (found !== undefined) {
        this.#arrived.delete(this.#next++);
        this.#aheadBytes -= found.bytes;
        this.#pump();
        return found.block;
      }
      this.#askAnother();
      this.#pump();
      await this.#change();
    }
  }

  /** Ends it; answers that still come are dropped. */
  close(): void {
    this.#closed = true;
    this.#wake?.();
  }

  /** Until an answer comes, or it is time to look again. */
  #change(): Promise<void> {
    const { signal } = this.#options;
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', done);
        this.#wake = undefined;
        resolve();
      };
      const timer = setTimeout(done, REST_MS);
      signal.addEventListener('abort', done, { once: true });
      this.#wake = done;
    });
  }

  #pump(): void {
    const later: Range[] = [];
    while (!this.#closed && !this.#options.signal.aborted && this.#asked.size < REQUESTS_MAX) {
      const range = this.#take();
      if (range === undefined) break;
      const peer = this.#pick(range.from);
      if (peer === undefined) later.push(range);
      else void this.#ask(peer, range);
    }
    this.#again.unshift(...later);
  }

  /** What is to be asked for next: what failed before, then further ahead while there is room. */
  #take(): Range | undefined {
    for (let again = this.#again.shift(); again !== undefined; again = this.#again.shift()) {
      let { from } = again;
      while (from < again.to && (from < this.#next || this.#arrived.has(from))) from++;
      if (from < again.to) return { from, to: again.to };
    }
    const { ids } = this.#options;
    const from = this.#nextAsked;
    if (from >= ids.length || this.#aheadBytes >= AHEAD_BYTES_MAX) return undefined;
    if (from - this.#next >= AHEAD_BLOCKS_MAX) return undefined;
    this.#nextAsked = Math.min(ids.length, from + ASKED_MAX);
    return { from, to: this.#nextAsked };
  }

  /** The peer with the least to do that may have the block; the order of `peers` decides between equals. */
  #pick(from: number): NodeId | undefined {
    const nowMs = performance.now();
    const all = this.#options.peers();
    if (all.length > 0 && all.every((peer) => this.#bad.has(peer))) {
      // Nobody else is there: one of them may have been hit by bad luck.
      for (const peer of all) this.#rest(peer, PARDON_MS);
      this.#bad.clear();
    }
    let best: NodeId | undefined;
    for (const peer of all) {
      if (this.#bad.has(peer) || rests(this.#resting.get(peer), nowMs)) continue;
      if (rests(this.#lacking.get(peer)?.get(from), nowMs)) continue;
      if ((this.#busy.get(peer) ?? 0) >= PER_PEER_MAX) continue;
      if (best === undefined || this.#rank(peer) < this.#rank(best)) best = peer;
    }
    return best;
  }

  /** Who has nothing else to do comes first, who lacked a block last. */
  #rank(peer: NodeId): number {
    return (this.#busy.get(peer) ?? 0) + (this.#lacking.has(peer) ? PER_PEER_MAX : 0);
  }

  async #ask(peer: NodeId, range: Range): Promise<void> {
    const asked: Asked = { ...range, sinceMs: performance.now(), doubled: false };
    this.#asked.add(asked);
    this.#busy.set(peer, (this.#busy.get(peer) ?? 0) + 1);
    let got = 0;
    try {
      const ids = this.#options.ids.slice(range.from, range.to);
      const found = await this.#options.ask(peer, ids);
      if (found.length > ids.length || found.some(({ block }, i) => blockIdOf(block.header) !== ids[i]))
        throw new LedgerError('bad-block', 'a block that was not asked for');
      got = found.length;
      this.#resting.delete(peer);
      if (got === 0) this.#lacks(peer, range.from);
      for (const [i, fetched] of found.entries()) this.#keep(range.from + i, fetched);
    } catch (error) {
      if (error instanceof LedgerError) {
        this.#bad.add(peer);
        this.#options.onBad?.(peer, error);
      } else if (error instanceof NetworkError) this.#rest(peer);
      else this.#failure = error;
    } finally {
      this.#asked.delete(asked);
      this.#busy.set(peer, (this.#busy.get(peer) ?? 1) - 1);
      if (range.from + got < range.to) this.#again.unshift({ from: range.from + got, to: range.to });
      this.#pump();
      this.#wake?.();
    }
  }

  #keep(at: number, fetched: FetchedBlock): void {
    if (at < this.#next || this.#arrived.has(at) || this.#closed) return;
    this.#arrived.set(at, fetched);
    this.#aheadBytes += fetched.bytes;
    this.#options.onArrived?.(fetched.block);
  }

  #lacks(peer: NodeId, from: number): void {
    const lacking = this.#lacking.get(peer) ?? new Map<number, Rest>();
    for (const old of lacking.keys()) if (old < this.#next) lacking.delete(old);
    lacking.set(from, longer(lacking.get(from)));
    this.#lacking.set(peer, lacking);
    const others = this.#options.peers();
    if (others.every((other) => this.#bad.has(other) || this.#lacking.get(other)?.has(this.#next)))
      this.#options.onNobody?.();
  }

  #rest(peer: NodeId, leastMs = REST_MS): void {
    this.#resting.set(peer, longer(this.#resting.get(peer), leastMs));
  }

  /** Asks another peer for what is wanted next when the one that was asked keeps everybody waiting. */
  #askAnother(): void {
    for (const asked of this.#asked) {
      if (asked.doubled || this.#next < asked.from || this.#next >= asked.to) continue;
      if (performance.now() - asked.sinceMs < this.#options.slowMs) continue;
      asked.doubled = true;
      this.#again.unshift({ from: this.#next, to: asked.to });
    }
  }
}

function rests(rest: Rest | undefined, nowMs: number): boolean {
  return rest !== undefined && rest.untilMs > nowMs;
}

/** From now on twice as long as the last time. */
function longer(last: Rest | undefined, leastMs = REST_MS): Rest {
  const times = (last?.times ?? 0) + 1;
  const restMs = Math.min(REST_MAX_MS, Math.max(leastMs, REST_MS * 2 ** (times - 1)));
  return { untilMs: performance.now() + restMs, times };
}
