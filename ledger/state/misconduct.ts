import { Committee, ecdsaVerifier } from '../consensus/committee.ts';
import { conflicting, type Vote } from '../consensus/votes.ts';
import { demand } from '../errors.ts';
import type { EkId } from '../ids.ts';
import type { BodyOf } from '../transaction.ts';
import type { OperationContext } from './context.ts';
import { moveSupply, type StateDraft } from './draft.ts';
import { COMMITTEES, NODES, SEATS, TOMBSTONES, TPMS } from './entities.ts';
import { committeeOf, epochOf } from './epoch-turn.ts';
import { removeFromPool } from './seat.ts';

/**
 * Two contradicting votes of one member: its TPM takes part no more, its bond is burned, and where it sits the epoch
 * ends with this block.
 */
export function applyMisconduct(
  state: StateDraft,
  context: OperationContext,
  { first, second }: BodyOf<'misconduct'>,
): void {
  demand(conflicting(first, second), 'bad-evidence', 'expected two votes of one member that contradict');
  const seats = state.read(COMMITTEES, String(first.epoch))?.seats;
  demand(seats !== undefined, 'bad-evidence', `epoch ${first.epoch} is not at hand`);
  const committee = new Committee(context.chainId, first.epoch, seats);
  const seat = seats.find((member) => member.nodeId === first.signer);
  demand(seat !== undefined, 'bad-evidence', `the signer was no member in epoch ${first.epoch}`);
  const holds = ({ type, view, position, signer, signature }: Vote): boolean =>
    ecdsaVerifier(signature, committee.digest(type, view, position), signer);
  demand(holds(first) && holds(second), 'bad-evidence', 'both votes must be signed by the member');
  const ekId = seat.seatId as string as EkId;
  demand(state.read(TOMBSTONES, ekId) === undefined, 'tpm-tombstoned', 'this TPM was convicted before');

  state.write(TOMBSTONES, ekId, { height: context.height });
  removeFromPool(state, ekId, context.timestampMs);
  const locked = state.read(SEATS, ekId);
  if (locked !== undefined) {
    state.write(SEATS, ekId, undefined);
    moveSupply(state, { collateral: -locked.bondGrains, burned: locked.bondGrains });
    context.pay({ reason: 'bond-burned', from: seat.accountId, amountGrains: locked.bondGrains });
  }
  const nodeId = state.read(TPMS, ekId)?.nodeId;
  const node = nodeId === undefined ? undefined : state.read(NODES, nodeId);
  if (nodeId !== undefined && node !== undefined)
    state.write(NODES, nodeId, { ...node, storageOffer: undefined });
  context.emit({ kind: 'convicted', ekId, nodeId: first.signer });
  if (committeeOf(state, epochOf(state).epoch).some((member) => member.seatId === seat.seatId))
    context.endEpoch();
}
