import type { LedgerErrorCode } from '../../../ledger/errors.ts';
import type { NodeId } from '../../../ledger/ids.ts';
import { Budget } from '../../network/budget.ts';

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
/** Transactions that no state of late could pay for; so many at once, and a few a second, are forgiven. */
const UNPAYABLE = { perSecond: 4, burst: 256 };
/** Transactions of another time: honest nodes relay a late copy of each that became final meanwhile. */
const LATE = { perSecond: 5_000, burst: 20_000 };
const FORGIVEN: ReadonlyMap<LedgerErrorCode, { readonly perSecond: number; readonly burst: number }> =
  new Map([
    ['insufficient-balance', UNPAYABLE],
    ['bad-nonce', LATE],
    ['fee-too-low', LATE],
  ]);
const PEERS_MAX = 512;
/**
 * Consensus messages that are taken of a peer: a member votes some times a view, everybody else says where it stands every
 * few seconds and asks for certificates twice a second. Every begun 4 KiB counts as one.
 */
const MEMBER_PER_SECOND = 2_000;
const MEMBER_BURST = 8_000;
const OTHERS_PER_SECOND = 20;
const OTHERS_BURST = 400;
const COUNTED_BYTES = 4_096;
/** Whoever sent so many in vain never was an honest node; members that a node does not know yet do for a while. */
const DROPPED_MAX = 100_000;
/** Transactions of a peer are not listened to for this long at most; its link stays, since honest ones relay such too. */
const MUTE_MOST_MS = 5_000;

/** What is left of a link's shares. */
interface Shares {
  readonly member: Budget;
  readonly other: Budget;
  dropped: number;
}

export class Conduct {
  readonly #shun: (peer: NodeId, reason: string) => void;
  readonly #muted = new Map<NodeId, number>();
  readonly #budgets = new Map<string, Budget>();
  readonly #shares = new WeakMap<object, Shares>();

  constructor(shun: (peer: NodeId, reason: string) => void) {
    this.#shun = shun;
  }

  /** Notes that something of this peer's was refused. `nowMs`: any clock that only goes forward. */
  refused(peer: NodeId, code: LedgerErrorCode, nowMs: number): void {
    if (NEVER_HONEST.has(code)) {
      this.#shun(peer, code);
      return;
    }
    const forgiven = FORGIVEN.get(code);
    if (forgiven === undefined) return;
    const key = `${peer} ${code}`;
    let budget = this.#budgets.get(key);
    if (budget === undefined) {
      if (this.#budgets.size >= PEERS_MAX) this.#budgets.clear();
      budget = new Budget(forgiven.perSecond, forgiven.burst, nowMs);
      this.#budgets.set(key, budget);
    }
    const muteMs = budget.spend(1, nowMs);
    if (muteMs === 0) return;
    if (this.#muted.size >= PEERS_MAX) this.#muted.clear();
    this.#muted.set(peer, nowMs + Math.min(muteMs, MUTE_MOST_MS));
  }

  /**
   * Whether a consensus message of `bytes` is looked at. Beyond a peer's share it is dropped: what matters is said again,
   * and looking at it would take the time of those who are honest.
   */
  takes(peer: NodeId, link: object, isMember: boolean, bytes: number, nowMs: number): boolean {
    let shares = this.#shares.get(link);
    if (shares === undefined) {
      shares = {
        member: new Budget(MEMBER_PER_SECOND, MEMBER_BURST, nowMs),
        other: new Budget(OTHERS_PER_SECOND, OTHERS_BURST, nowMs),
        dropped: 0,
      };
      this.#shares.set(link, shares);
    }
    const share = isMember ? shares.member : shares.other;
    if (share.spend(0, nowMs) === 0) {
      share.spend(1 + Math.floor(bytes / COUNTED_BYTES), nowMs);
      return true;
    }
    if (++shares.dropped === DROPPED_MAX) this.#shun(peer, 'a flood of consensus messages');
    return false;
  }

  /** Whether transactions of a peer are taken: not for a while after too many that could not be paid. */
  hears(peer: NodeId, nowMs: number): boolean {
    return nowMs >= (this.#muted.get(peer) ?? 0);
  }
}
