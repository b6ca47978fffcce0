import type { EpochState } from '../epoch-state.ts';
import type { Slot } from '../slot.ts';
import type { Certificate, Position, VoteType } from '../votes.ts';

/** Rule 7: a quorum of votes makes a certificate; a certificate opens the next view. */

/** Counts a vote whose signature holds. */
export function tally(
  state: EpochState,
  view: number,
  type: VoteType,
  position: Position | undefined,
  seat: number,
  signature: Uint8Array,
): void {
  const { committee } = state;
  const slot = state.slot(view);
  if (type === 'nullify') {
    if (!slot.nullify.has(seat)) slot.nullify.set(seat, signature);
    if (slot.nullification === undefined && slot.nullify.size >= committee.quorum)
      accept(state, committee.certificate(type, view, undefined, slot.nullify), 'own');
    return;
  }
  if (position !== undefined) slot[type].add(position, seat, signature);
  const known = type === 'notarize' ? slot.notarization : slot.finalization;
  const reached = known === undefined ? slot[type].reached(committee.quorum) : undefined;
  if (reached !== undefined)
    accept(state, committee.certificate(type, view, reached.position, reached.votes), 'own');
}

/** Takes a certificate that holds: one that was checked, or that this node put together from checked votes. */
export function accept(state: EpochState, certificate: Certificate, origin: 'own' | 'peer' | 'log'): void {
  const { view, type } = certificate;
  if (view <= state.final.view) return;
  const slot = state.slot(view);
  if (type === 'notarize') {
    if (slot.notarization !== undefined) return;
    slot.notarization = certificate;
  } else if (type === 'nullify') {
    if (slot.nullification !== undefined) return;
    slot.nullification = certificate;
    letGo(state, slot);
  } else {
    if (slot.finalization !== undefined) return;
    slot.finalization = certificate;
    // Who finalized had a Notarization: as the parent of a proposal this one says as much.
    slot.notarization ??= certificate;
  }
  if (origin !== 'log') state.effects.push({ kind: 'append', record: { kind: 'certificate', certificate } });
  if (origin === 'own') spread(state, certificate);
  state.enter(view + 1, certificate);
}

/** A view without finality leaves its block behind; so many of them would fill the memory of whoever executed them all. */
function letGo(state: EpochState, { proposal, notarization }: Slot): void {
  const id = proposal?.position.blockId;
  if (id === undefined || notarization !== undefined || id === state.final.id) return;
  for (const other of state.slots.values())
    if (other.notarization?.position?.blockId === id || other.finalization?.position?.blockId === id) return;
  if (state.blocks.release(id)) state.effects.push({ kind: 'release', blockId: id });
}

/** Followers learn what is final from the leaders of a view and the next; everybody else from their status. */
function spread(state: EpochState, certificate: Certificate): void {
  if (state.self === undefined) return;
  const { nodeId } = state.self;
  const { view, type } = certificate;
  const next = state.committee.leader(view + 1);
  if (type === 'finalize' && (state.committee.leader(view) === nodeId || next === nodeId))
    state.send('all', { kind: 'certificate', certificate });
  else if (next !== nodeId) state.send(next, { kind: 'certificate', certificate });
}
