import type { Logger } from 'pino';
import type { AccountId, EkId, NodeId } from '../../ledger/ids.ts';
import { accountOf } from '../../ledger/state/draft.ts';
import { SEATS, TOMBSTONES, TPMS } from '../../ledger/state/entities.ts';
import type { TransactionBody } from '../../ledger/transaction.ts';
import type { Chain } from './chain/chain.ts';
import type { LedgerNode } from './ledger-node.ts';

/**
 * Keeps this node in the pool that committees are drawn from: takes a seat when its TPM is claimed and its owner can
 * lock the bond, and renews it at half its lifetime.
 */

/** Key of the note that the owner left the seat: the node does not enter again by itself. */
export const SEAT_LEFT = 'seat-left';

const CHECKS_PER_LIFETIME = 16;
const CHECK_LEAST_MS = 500;
const CHECK_MOST_MS = 10 * 60_000;

export interface SeatKeeperOptions {
  readonly chain: Chain;
  readonly ledger: LedgerNode;
  readonly accountId: AccountId;
  readonly nodeId: NodeId;
  readonly ekId: EkId;
  readonly submit: (body: TransactionBody) => Promise<unknown>;
  readonly logger: Logger;
}

/** Whether a seat should be taken or renewed now. `nowMs` is ledger time: the newest block's or later. */
export function seatIsDue(
  { chain, accountId, nodeId, ekId }: Pick<SeatKeeperOptions, 'chain' | 'accountId' | 'nodeId' | 'ekId'>,
  nowMs: number,
): boolean {
  const { state, rules } = chain;
  const tpm = state.read(TPMS, ekId);
  if (tpm?.ownerId !== accountId || tpm.nodeId !== nodeId) return false;
  if (state.read(TOMBSTONES, ekId) !== undefined) return false;
  const seat = state.read(SEATS, ekId);
  if (seat === undefined)
    return accountOf(state, accountId).balanceGrains >= 2n * rules.parameters.seatBondGrains;
  return seat.place === undefined || nowMs - seat.renewedMs > rules.parameters.seatLifetimeMs / 2;
}

/** Looks after the seat until the given function is called. */
export function keepSeat(options: SeatKeeperOptions & { wanted(): boolean }): () => void {
  const { chain, submit, logger } = options;
  let busy = false;
  const look = async (): Promise<void> => {
    if (busy || !options.wanted() || !seatIsDue(options, Date.now())) return;
    busy = true;
    try {
      await submit({ kind: 'seat', ekId: options.ekId, action: 'enter' });
    } catch (error) {
      logger.info({ reason: (error as Error).message }, 'the seat is asked for again later');
    } finally {
      busy = false;
    }
  };
  const { seatLifetimeMs } = chain.rules.parameters;
  const everyMs = Math.min(CHECK_MOST_MS, Math.max(CHECK_LEAST_MS, seatLifetimeMs / CHECKS_PER_LIFETIME));
  const timer = setInterval(() => void look(), everyMs);
  timer.unref();
  // The chip may have been claimed, or money have come, with any block.
  const off = options.ledger.onFinal(() => void look());
  void look();
  return () => {
    off();
    clearInterval(timer);
  };
}

/** Brings members to account that this node saw contradict themselves; who is first with it is enough. */
export function reportMisconduct({ ledger, submit, logger }: Omit<SeatKeeperOptions, 'ekId'>): () => void {
  return ledger.onEvidence((first, second) => {
    submit({ kind: 'misconduct', first, second }).then(
      () => logger.warn({ node: first.signer }, 'a member was convicted of contradicting votes'),
      (error: unknown) => logger.info({ reason: (error as Error).message }, 'evidence was not taken'),
    );
  });
}
