import type { NodeId } from '../../ledger/ids.ts';

/** A node that misbehaved is not spoken to for this long. */
const SHUN_MS = 60_000;
const SHUNNED_MAX = 1_024;

export class ShunList {
  /** Until when; the oldest first. */
  readonly #untilMs = new Map<NodeId, number>();

  /** `nowMs`: any clock that only goes forward. */
  add(peer: NodeId, nowMs: number): void {
    this.#untilMs.delete(peer);
    this.#untilMs.set(peer, nowMs + SHUN_MS);
    for (const [oldest] of this.#untilMs) {
      if (this.#untilMs.size <= SHUNNED_MAX) break;
      this.#untilMs.delete(oldest);
    }
  }

  has(peer: NodeId, nowMs: number): boolean {
    const untilMs = this.#untilMs.get(peer);
    if (untilMs === undefined) return false;
    if (nowMs < untilMs) return true;
    this.#untilMs.delete(peer);
    return false;
  }
}
