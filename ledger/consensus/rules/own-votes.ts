import { invariant } from '../../errors.ts';
import type { EpochState } from '../epoch-state.ts';
import type { Slot } from '../slot.ts';
import type { Position, Vote, VoteType } from '../votes.ts';
import { tally } from './certificates.ts';

/** Votes of this node: remembered at once, sent and counted when they are on disk. */

/** Signs a vote, where this node is a member that may vote: into the log now, to the others when it is on disk. */
export function castVote(
  state: EpochState,
  view: number,
  type: VoteType,
  position: Position | undefined,
): void {
  const { self, seat, committee } = state;
  if (self === undefined || seat === undefined || state.franchise !== 'voting') return;
  const slot = state.slot(view);
  const signature = self.sign(committee.digest(type, view, position));
  remember(slot, type, position, signature);
  state.effects.push({ kind: 'append', record: { kind: 'vote', vote: ownVote(state, view, slot, type) } });
  state.unsynced = true;
  const sends = state.outbox.get(state.sequence) ?? [];
  state.outbox.set(state.sequence, sends);
  sends.push(() => {
    if (view <= state.final.view || state.slots.get(view) !== slot) return;
    slot.durable.add(type);
    // Doubted since it was cast: it is said when the vote is given back.
    if (state.franchise !== 'voting') return tally(state, view, type, position, seat, signature);
    if (type === 'notarize' && slot.own !== undefined)
      state.send('members', { kind: 'proposal', ...slot.own });
    else state.send('members', { kind: 'vote', vote: ownVote(state, view, slot, type) });
    tally(state, view, type, position, seat, signature);
  });
}

/** Notes what this node signed in a view: it binds it from now on. */
export function remember(
  { mine }: Slot,
  type: VoteType,
  position: Position | undefined,
  signature: Uint8Array,
): void {
  mine.signatures.set(type, signature);
  if (type === 'notarize') mine.notarize = position;
  else if (type === 'nullify') mine.nullify = true;
  else mine.finalize = position;
}

/** A vote that this node cast in a view. */
export function ownVote({ committee, self }: EpochState, view: number, { mine }: Slot, type: VoteType): Vote {
  const position = type === 'notarize' ? mine.notarize : type === 'finalize' ? mine.finalize : undefined;
  const signature = mine.signatures.get(type);
  invariant(signature !== undefined && self !== undefined, 'a vote that was never signed');
  return { type, epoch: committee.epoch, view, position, signer: self.nodeId, signature };
}

/** Releases what waited for records that are on disk now. */
export function releaseOutbox(state: EpochState, sequence: number): void {
  for (const [waiting, sends] of [...state.outbox]) {
    if (waiting > sequence) continue;
    state.outbox.delete(waiting);
    for (const send of sends) send();
  }
}
