import type { EpochState } from '../epoch-state.ts';
import { castVote } from './own-votes.ts';

/** Rule 5: gives the present view up when it is late, invalid, or enough others did. */
export function nullifyIfDue(state: EpochState): void {
  const slot = state.slot(state.view);
  if (slot.mine.nullify || slot.mine.finalize !== undefined || slot.notarization !== undefined) return;
  const late = state.armedMs !== undefined && state.nowMs >= state.deadlineMs();
  const joined = slot.nullify.size >= state.committee.faulty + 1;
  if (late || joined || slot.proposal?.invalid === true) castVote(state, state.view, 'nullify', undefined);
}
