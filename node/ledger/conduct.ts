import type { LedgerErrorCode } from '../../ledger/errors.ts';
import type { NodeId } from '../../ledger/ids.ts';
import { Budget } from '../network/budget.ts';

/**
 * How peers behave: what an honest node never sends ends the connection at once; what it sends now and then, because its
 * state is a little older or newer, ends it only when it goes on and on.
 */

/** Nobody relays these: every node checks them first. */
const NEVER_HONEST: ReadonlySet<LedgerErrorCode> = new Set([
  'malformed',
  'oversized',
  'wrong-chain',
  'bad-signature',
  'bad-certificate',
]);
/** Transactions that no state of late could take; so many at once, and a few a second, are forgiven. */
const UNPAYABLE: ReadonlySet<LedgerErrorCode> = new Set(['insufficient-balance']);
const UNPAYABLE_BURST = 256;
const UNPAYABLE_PER_SECOND = 4;
const PEERS_MAX = 512;
/** Transactions of a peer are not listened to for this long at most; its link stays, since honest ones relay such too. */
const MUTE_MOST_MS = 5_000;

export class Conduct {
  readonly #shun: (peer: NodeId, reason: string) => void;
  readonly #muted = new Map<NodeId, number>();
  readonly #budgets = new Map<NodeId, Budget>();

  constructor(shun: (peer: NodeId, reason: string) => void) {
    this.#shun = shun;
  }

  /** Notes that something of this peer's was refused. `nowMs`: any clock that only goes forward. */
  refused(peer: NodeId, code: LedgerErrorCode, nowMs: number): void {
    if (NEVER_HONEST.has(code)) {
      this.#shun(peer, code);
      return;
    }
    if (!UNPAYABLE.has(code)) return;
    let budget = this.#budgets.get(peer);
    if (budget === undefined) {
      if (this.#budgets.size >= PEERS_MAX) this.#budgets.clear();
      budget = new Budget(UNPAYABLE_PER_SECOND, UNPAYABLE_BURST, nowMs);
      this.#budgets.set(peer, budget);
    }
    const muteMs = budget.spend(1, nowMs);
    if (muteMs === 0) return;
    if (this.#muted.size >= PEERS_MAX) this.#muted.clear();
    this.#muted.set(peer, nowMs + Math.min(muteMs, MUTE_MOST_MS));
  }

  /** Whether transactions of a peer are taken: not for a while after too many that could not be paid. */
  hears(peer: NodeId, nowMs: number): boolean {
    return nowMs >= (this.#muted.get(peer) ?? 0);
  }
}
