import type { NodeId } from '../../../ledger/ids.ts';

/**
 * How peers that are asked for blocks do: who is bad, silent, slow or has not got what is wanted, and who is asked next.
 */

/** Requests to one peer at a time: on a link of 100 ms there and back two would be fewer blocks than a node can execute. */
const PER_PEER_MAX = 4;
/** A peer that did not answer rests this long, one that lacks a block is not asked for it again; twice as long each time. */
export const REST_MS = 250;
const REST_MAX_MS = 10_000;
/** When all peers are out of favour they are given another chance after this. */
const PARDON_MS = 5_000;
/** Who takes so many times as long as the fastest is not asked while others can be; nobody this fast is slow. */
const SLOW_TIMES = 4;
const SLOW_LEAST_MS = 400;
/** How long a peer was slow ago may be before it is given another try. */
const PACE_KEPT_MS = 10_000;

interface Rest {
  readonly untilMs: number;
  readonly times: number;
}

interface Standing {
  busy: number;
  bad: boolean;
  rest: Rest | undefined;
  /** What its last answer took, in ms, and when that was. */
  pace: { readonly ms: number; readonly atMs: number } | undefined;
  /** Blocks that it has not got, by place, and until when it is not asked for them again. */
  readonly lacking: Map<number, Rest>;
}

export class PeerStanding {
  readonly #standings = new Map<NodeId, Standing>();

  /** The one with the least to do that may have the block at a place; the order of `peers` decides between equals. */
  pick(peers: readonly NodeId[], place: number): NodeId | undefined {
    const nowMs = performance.now();
    // Nobody else is there: one of them may have been hit by bad luck.
    if (peers.length > 0 && peers.every((peer) => this.#of(peer).bad)) this.#pardon(peers);
    const usable = peers.filter((peer) => {
      const { bad, rest, lacking } = this.#of(peer);
      return !bad && !isResting(rest, nowMs) && !isResting(lacking.get(place), nowMs);
    });
    const slowMs = this.slowMs(peers);
    const fast = usable.filter((peer) => this.#paceMs(peer, nowMs) <= slowMs);
    const rank = (peer: NodeId): number => {
      const { busy, lacking } = this.#of(peer);
      return lacking.size > 0 ? busy + PER_PEER_MAX : busy;
    };
    return (fast.length > 0 ? fast : usable)
      .filter((peer) => this.#of(peer).busy < PER_PEER_MAX)
      .reduce<NodeId | undefined>(
        (best, peer) => (best === undefined || rank(peer) < rank(best) ? peer : best),
        undefined,
      );
  }

  /** What an answer may take before its peer counts as slow, in ms. */
  slowMs(peers: readonly NodeId[]): number {
    const nowMs = performance.now();
    const fastestMs = Math.min(...peers.map((peer) => this.#paceMs(peer, nowMs)).filter((ms) => ms > 0));
    return Math.max(SLOW_LEAST_MS, SLOW_TIMES * fastestMs);
  }

  asked(peer: NodeId): void {
    this.#of(peer).busy++;
  }

  /** It answered, whatever, or did not: its place is free again. */
  ended(peer: NodeId): void {
    this.#of(peer).busy--;
  }

  answered(peer: NodeId, tookMs: number): void {
    const standing = this.#of(peer);
    standing.rest = undefined;
    standing.pace = { ms: tookMs, atMs: performance.now() };
  }

  silent(peer: NodeId): void {
    const standing = this.#of(peer);
    standing.rest = longer(standing.rest);
  }

  /** What it gave was not what was asked for. */
  bad(peer: NodeId): void {
    this.#of(peer).bad = true;
  }

  /** It has not got the block at `place`; `next`: those before that place are wanted of nobody any more. */
  lacks(peer: NodeId, place: number, next: number): void {
    const { lacking } = this.#of(peer);
    for (const old of lacking.keys()) if (old < next) lacking.delete(old);
    lacking.set(place, longer(lacking.get(place)));
  }

  /** Whether all of them have said that they lack a block, or are bad. */
  nobodyHas(peers: readonly NodeId[], place: number): boolean {
    return peers.every((peer) => this.#of(peer).bad || this.#of(peer).lacking.has(place));
  }

  #paceMs(peer: NodeId, nowMs: number): number {
    const { pace } = this.#of(peer);
    return pace === undefined || nowMs - pace.atMs > PACE_KEPT_MS ? 0 : pace.ms;
  }

  #pardon(peers: readonly NodeId[]): void {
    for (const peer of peers) {
      const standing = this.#of(peer);
      standing.rest = longer(standing.rest, PARDON_MS);
      standing.bad = false;
    }
  }

  #of(peer: NodeId): Standing {
    let standing = this.#standings.get(peer);
    if (standing === undefined) {
      standing = { busy: 0, bad: false, rest: undefined, pace: undefined, lacking: new Map() };
      this.#standings.set(peer, standing);
    }
    return standing;
  }
}

function isResting(rest: Rest | undefined, nowMs: number): boolean {
  return rest !== undefined && rest.untilMs > nowMs;
}

/** From now on twice as long as the last time. */
function longer(last: Rest | undefined, leastMs = REST_MS): Rest {
  const times = (last?.times ?? 0) + 1;
  const restMs = Math.min(REST_MAX_MS, Math.max(leastMs, REST_MS * 2 ** (times - 1)));
  return { untilMs: performance.now() + restMs, times };
}
