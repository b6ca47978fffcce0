import type { EpochState } from '../epoch-state.ts';
import { AHEAD_MS } from '../timing.ts';
import { castVote } from './own-votes.ts';

/** Rule 4: votes for the proposal of the present view when its parent is justified and it was executed. */
export function notarize(state: EpochState): void {
  const { view, final, committee } = state;
  const slot = state.slots.get(view);
  const proposal = slot?.proposal;
  if (slot === undefined || proposal === undefined || proposal.invalid) return;
  if (slot.mine.notarize !== undefined || slot.mine.nullify) return;
  const { position, header } = proposal;
  if (position.parentView >= view || position.parentView < final.view) return;
  const parentId =
    position.parentView === final.view
      ? final.id
      : state.slots.get(position.parentView)?.notarization?.position?.blockId;
  if (parentId === undefined) return;
  for (let between = position.parentView + 1; between < view; between++) {
    if (state.slots.get(between)?.nullification === undefined) return;
  }
  const again = position.blockId === parentId;
  if (again && parentId === final.id) {
    // Already final here: the proposer is told so instead of getting a vote.
    slot.proposal = undefined;
    if (final.certificate !== undefined)
      state.send(proposal.from, { kind: 'certificate', certificate: final.certificate });
    return;
  }
  const fits =
    again ||
    (header.parentId === parentId &&
      header.view === view &&
      header.epoch === committee.epoch &&
      header.proposer === proposal.from &&
      !state.blocks.isBoundary(parentId));
  if (!fits || state.blocks.isInvalid(position.blockId)) {
    proposal.invalid = true;
    return;
  }
  // A block that is barely later than its parent is never too early: should all clocks have been ahead, the ledger goes on.
  const parentMs =
    parentId === final.id ? final.timestampMs : (state.blocks.executed(parentId)?.header.timestampMs ?? 0);
  if (!again && header.timestampMs > Math.max(state.nowMs + AHEAD_MS, parentMs + 1)) return;
  if (state.blocks.isValid(position.blockId)) castVote(state, view, 'notarize', position);
  else state.execute(position.blockId, undefined, proposal.from);
}
