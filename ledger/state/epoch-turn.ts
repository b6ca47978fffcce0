import { committeeHash } from '../block.ts';
import { utf8 } from '../bytes.ts';
import { safeU64 } from '../codec.ts';
import { sha256 } from '../crypto/sha256.ts';
import { invariant } from '../errors.ts';
import type { Parameters, Seat } from '../genesis.ts';
import { type BlockId, type EkId, type Hash, idBytes } from '../ids.ts';
import type { StateDraft, StateReader } from './draft.ts';
import { COMMITTEES, EPOCH, type Epoch, SEAT_PLACES, SEATS, TOMBSTONES, TPMS } from './entities.ts';
import { poolSize, removeFromPool } from './seat.ts';

/** Epochs: how long a committee sits and who sits in the next one. */

/** Committees that stay in the state, so that evidence against their members can be judged. */
const EPOCHS_KEPT = 16;
/** A committee of at least this many is never followed by a smaller one for lack of seats: dead seats must not crown one node. */
const COMMITTEE_LEAST = 4;

/** Where the ledger stands in the sequence of committees; there from genesis on. */
export function epochOf(state: StateReader): Epoch {
  const epoch = state.read(EPOCH, 'epoch');
  invariant(epoch !== undefined, 'the state has no epoch');
  return epoch;
}

/** Who votes on the next block. */
export function committeeOf(state: StateReader, epoch = epochOf(state).epoch): readonly Seat[] {
  const committee = state.read(COMMITTEES, String(epoch));
  invariant(committee !== undefined, `the state has no committee of epoch ${epoch}`);
  return committee.seats;
}

/** Of a pool of `count` places a different one each time, in an order that `beacon` decides: a Fisher-Yates shuffle. */
function* shuffled(beacon: Uint8Array, count: number): Generator<number> {
  const moved = new Map<number, number>();
  for (let left = count, k = 0; left > 0; left--, k++) {
    const draw = sha256(beacon, safeU64.encode(k));
    const at = Number(new DataView(draw.buffer, draw.byteOffset).getBigUint64(0) % BigInt(left));
    yield moved.get(at) ?? at;
    moved.set(at, moved.get(left - 1) ?? left - 1);
  }
}

/** Up to `seatsMax` fresh seats of the pool. Stale ones that the draw meets leave the pool. */
function drawSeats(state: StateDraft, beacon: Uint8Array, parameters: Parameters, nowMs: number): Seat[] {
  const drawn: Seat[] = [];
  const stale: EkId[] = [];
  for (const place of shuffled(beacon, poolSize(state))) {
    if (drawn.length === parameters.seatsMax) break;
    const ekId = state.read(SEAT_PLACES, String(place))?.ekId;
    const seat = ekId === undefined ? undefined : state.read(SEATS, ekId);
    const tpm = ekId === undefined ? undefined : state.read(TPMS, ekId);
    invariant(ekId !== undefined && seat !== undefined && tpm !== undefined, 'a place of the pool is empty');
    if (nowMs - seat.renewedMs > parameters.seatLifetimeMs) stale.push(ekId);
    else drawn.push({ seatId: ekId as string as Hash, nodeId: tpm.nodeId, accountId: tpm.ownerId });
  }
  for (const ekId of stale) removeFromPool(state, ekId, nowMs);
  return drawn;
}

/** The first 3f + 1 of them; two or three, where there are no more, must all agree. */
function trimmed(seats: readonly Seat[]): readonly Seat[] {
  return seats.length < COMMITTEE_LEAST ? seats : seats.slice(0, seats.length - ((seats.length - 1) % 3));
}

/**
 * Ends the epoch when its time is over and the draw changes the committee, or at once when a member was convicted
 * (`forced`). Gives the next committee when this block is a boundary. A draw that changes nothing begins the time anew.
 */
export function turnEpoch(
  state: StateDraft,
  block: { readonly parentId: BlockId; readonly timestampMs: number; readonly forced: boolean },
  parameters: Parameters,
): readonly Seat[] | undefined {
  const { epoch, startedMs } = epochOf(state);
  const { parentId, timestampMs, forced } = block;
  if (!forced && timestampMs - startedMs < parameters.epochMs) return undefined;
  const present = committeeOf(state, epoch);
  const beacon = sha256(utf8('committee'), idBytes(parentId), safeU64.encode(epoch + 1));
  const drawn = drawSeats(state, beacon, parameters, timestampMs);
  if (drawn.length < Math.min(COMMITTEE_LEAST, present.length)) {
    // Too few seats: whoever sits and was not convicted stays.
    const known = new Set<string>(drawn.flatMap((seat) => [seat.seatId, seat.nodeId]));
    for (const seat of present)
      if (
        !known.has(seat.seatId) &&
        !known.has(seat.nodeId) &&
        state.read(TOMBSTONES, seat.seatId as string as EkId) === undefined
      )
        drawn.push(seat);
  }
  const next = trimmed(drawn);
  if (next.length === 0 || committeeHash(next) === committeeHash(present)) {
    state.write(EPOCH, 'epoch', { epoch, startedMs: timestampMs });
    return undefined;
  }
  state.write(EPOCH, 'epoch', { epoch: epoch + 1, startedMs: timestampMs });
  state.write(COMMITTEES, String(epoch + 1), { seats: next });
  if (epoch + 1 >= EPOCHS_KEPT) state.write(COMMITTEES, String(epoch + 1 - EPOCHS_KEPT), undefined);
  return next;
}
