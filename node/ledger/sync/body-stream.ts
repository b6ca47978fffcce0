import type { Block } from '../../../ledger/block.ts';
import { blockIdOf } from '../../../ledger/block.ts';
import { LedgerError } from '../../../ledger/errors.ts';
import type { BlockId, NodeId } from '../../../ledger/ids.ts';
import { NetworkError } from '../../network/network-error.ts';
import { PeerStanding, REST_MS } from './peer-standing.ts';

/**
 * Many blocks by id, fetched from several peers at once and given out in order, so that whoever executes them never waits
 * for a round trip. A peer that answers with anything but what was asked for is not asked again.
 */

/** Ids of one request; peers cut their answer at about a MiB. */
export const ASKED_MAX = 64;
const REQUESTS_MAX = 12;
/** Blocks and bytes fetched ahead of the one that is wanted next. */
const AHEAD_BLOCKS_MAX = 1_024;
const AHEAD_BYTES_MAX = 24 * 1_048_576;
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
  /** When the block that is wanted next takes longer than this, or than most, another peer is asked for it, too. */
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
interface Asked extends Range {
  readonly sinceMs: number;
  doubled: boolean;
}

export class BodyStream {
  readonly #options: BodyStreamOptions;
  readonly #arrived = new Map<number, FetchedBlock>();
  readonly #again: Range[] = [];
  readonly #asked = new Set<Asked>();
  readonly #standing = new PeerStanding();
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
      const peer = this.#standing.pick(this.#options.peers(), range.from);
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

  async #ask(peer: NodeId, range: Range): Promise<void> {
    const asked: Asked = { ...range, sinceMs: performance.now(), doubled: false };
    this.#asked.add(asked);
    this.#standing.asked(peer);
    let got = 0;
    try {
      const ids = this.#options.ids.slice(range.from, range.to);
      const found = await this.#options.ask(peer, ids);
      if (found.length > ids.length || found.some(({ block }, i) => blockIdOf(block.header) !== ids[i]))
        throw new LedgerError('bad-block', 'a block that was not asked for');
      got = found.length;
      this.#standing.answered(peer, performance.now() - asked.sinceMs);
      if (got === 0) this.#lacks(peer, range.from);
      for (const [i, fetched] of found.entries()) this.#keep(range.from + i, fetched);
    } catch (error) {
      if (error instanceof LedgerError) {
        this.#standing.bad(peer);
        this.#options.onBad?.(peer, error);
      } else if (error instanceof NetworkError) this.#standing.silent(peer);
      else this.#failure = error;
    } finally {
      this.#asked.delete(asked);
      this.#standing.ended(peer);
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

  #lacks(peer: NodeId, place: number): void {
    this.#standing.lacks(peer, place, this.#next);
    if (this.#standing.nobodyHas(this.#options.peers(), this.#next)) this.#options.onNobody?.();
  }

  /** Asks another peer for what is wanted next when the one that was asked keeps everybody waiting. */
  #askAnother(): void {
    const slowMs = Math.min(this.#options.slowMs, this.#standing.slowMs(this.#options.peers()));
    for (const asked of this.#asked) {
      if (asked.doubled || this.#next < asked.from || this.#next >= asked.to) continue;
      if (performance.now() - asked.sinceMs < slowMs) continue;
      asked.doubled = true;
      this.#again.unshift({ from: this.#next, to: asked.to });
    }
  }
}
