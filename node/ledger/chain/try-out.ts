import { LedgerError } from '../../../ledger/errors.ts';
import type { Seat } from '../../../ledger/genesis.ts';
import { beginBlock } from '../../../ledger/state/apply.ts';
import type { Transaction } from '../../../ledger/transaction.ts';
import type { Chain } from './chain.ts';

/**
 * Executes transactions in order on the newest final state, as the next block would, and keeps nothing of it. Gives what
 * each was refused for, `undefined` where it was taken.
 */
export function tryOut(
  chain: Chain,
  transactions: readonly Transaction[],
): readonly (LedgerError | undefined)[] {
  const execution = beginBlock(chain.state, chain.rules, {
    height: chain.final.height + 1,
    parentId: chain.final.id,
    timestampMs: Math.max(Date.now(), chain.final.timestampMs + 1),
    proposer: (chain.seats[0] as Seat).nodeId,
  });
  return transactions.map((transaction) => {
    try {
      execution.add(transaction);
      return undefined;
    } catch (error) {
      if (error instanceof LedgerError) return error;
      throw error;
    }
  });
}
