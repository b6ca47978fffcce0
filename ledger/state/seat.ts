import { demand } from '../errors.ts';
import { formatAcorns } from '../grains.ts';
import type { EkId } from '../ids.ts';
import type { BodyOf } from '../transaction.ts';
import type { OperationContext } from './context.ts';
import { accountOf, credit, debit, moveSupply, type StateDraft, type StateReader } from './draft.ts';
import { COMMITTEES, EPOCH, SEAT_PLACES, SEAT_POOL, SEATS, TOMBSTONES, TPMS } from './entities.ts';

/**
 * The pool that committees are drawn from: claimed TPMs whose owners said lately that they take part. It is dense (place
 * 0 to count − 1), so that a draw reads a few places and never the whole pool.
 */

/** How many TPMs are in the pool. */
export function poolSize(state: StateReader): number {
  return state.read(SEAT_POOL, 'pool')?.count ?? 0;
}

function addToPool(state: StateDraft, ekId: EkId): number {
  const place = poolSize(state);
  state.write(SEAT_PLACES, String(place), { ekId });
  state.write(SEAT_POOL, 'pool', { count: place + 1 });
  return place;
}

/** Takes a seat out of the pool; the last one moves to its place. */
export function removeFromPool(state: StateDraft, ekId: EkId, leftMs: number): void {
  const seat = state.read(SEATS, ekId);
  if (seat?.place === undefined) return;
  const last = poolSize(state) - 1;
  const mover = state.read(SEAT_PLACES, String(last));
  state.write(SEAT_PLACES, String(last), undefined);
  state.write(SEAT_POOL, 'pool', { count: last });
  if (mover !== undefined && mover.ekId !== ekId) {
    const moved = state.read(SEATS, mover.ekId);
    state.write(SEAT_PLACES, String(seat.place), mover);
    if (moved !== undefined) state.write(SEATS, mover.ekId, { ...moved, place: seat.place });
  }
  state.write(SEATS, ekId, { ...seat, place: undefined, leftMs });
}

/**
 * Enters or renews a seat, or leaves. Entering locks a bond. Leaving takes two steps: out of the pool at once, and the
 * bond back after a seat's lifetime, so that nobody runs from evidence.
 */
export function applySeat(state: StateDraft, context: OperationContext, body: BodyOf<'seat'>): void {
  const { sender, timestampMs, parameters } = context;
  const tpm = state.read(TPMS, body.ekId);
  demand(tpm !== undefined, 'tpm-unknown', 'a seat needs a claimed TPM');
  demand(tpm.ownerId === sender, 'not-owner', 'only the owner of a TPM takes its seat');
  demand(
    state.read(TOMBSTONES, body.ekId) === undefined,
    'tpm-tombstoned',
    'this TPM signed contradicting votes and takes part no more',
  );
  const seat = state.read(SEATS, body.ekId);
  if (body.action === 'enter') {
    const bondGrains = seat?.bondGrains ?? parameters.seatBondGrains;
    if (seat === undefined) {
      demand(
        accountOf(state, sender).balanceGrains >= bondGrains,
        'insufficient-balance',
        `a seat needs a bond of ${formatAcorns(bondGrains)} acorns`,
      );
      debit(state, sender, bondGrains);
      moveSupply(state, { collateral: bondGrains });
      context.pay({ reason: 'bond', from: sender, amountGrains: bondGrains });
    }
    const place = seat?.place ?? addToPool(state, body.ekId);
    state.write(SEATS, body.ekId, { bondGrains, renewedMs: timestampMs, place, leftMs: undefined });
    return;
  }
  demand(seat !== undefined, 'seat-unknown', 'this TPM has no seat to leave');
  if (seat.leftMs === undefined) {
    removeFromPool(state, body.ekId, timestampMs);
    return;
  }
  const epoch = state.read(EPOCH, 'epoch');
  const present = epoch === undefined ? undefined : state.read(COMMITTEES, String(epoch.epoch));
  demand(
    timestampMs >= seat.leftMs + parameters.seatLifetimeMs &&
      present?.seats.some((member) => (member.seatId as string) === body.ekId) !== true,
    'seat-bound',
    `the bond is returned ${parameters.seatLifetimeMs} ms after the seat was left, and not to a sitting member`,
  );
  state.write(SEATS, body.ekId, undefined);
  credit(state, sender, seat.bondGrains);
  moveSupply(state, { collateral: -seat.bondGrains });
  context.pay({ reason: 'bond-return', to: sender, amountGrains: seat.bondGrains });
}
