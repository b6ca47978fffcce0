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

export class Conduct {
  readonly #shun: (peer: NodeId, reason: string) => void;
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
    if (budget.spend(1, nowMs) > 0) {
      this.#budgets.delete(peer);
      this.#shun(peer, code);
    }
  }
}
