import { demand } from '../errors.ts';
import { formatAcorns } from '../grains.ts';
import type { BodyOf } from '../transaction.ts';
import type { OperationContext } from './context.ts';
import { accountOf, credit, debit, type StateDraft } from './draft.ts';

/** Moves grains from the sender to another account. */
export function applyTransfer(state: StateDraft, context: OperationContext, body: BodyOf<'transfer'>): void {
  const { balanceGrains } = accountOf(state, context.sender);
  demand(
    balanceGrains >= body.amountGrains,
    'insufficient-balance',
    () =>
      `expected at most the balance after the fee, ${formatAcorns(balanceGrains)} acorns, got ${formatAcorns(body.amountGrains)}`,
  );
  debit(state, context.sender, body.amountGrains);
  credit(state, body.to, body.amountGrains);
  context.pay({ reason: 'transfer', from: context.sender, to: body.to, amountGrains: body.amountGrains });
}
