import type { BlockId } from '../../ids.ts';
import type { EpochState } from '../epoch-state.ts';
import { type Certificate, positionKey } from '../votes.ts';
import { castVote } from './own-votes.ts';

/** Rule 6: votes to finalize what is notarized, in any view that it did not give up. */
export function finalizeVote(state: EpochState, view: number): void {
  const slot = state.slots.get(view);
  const position = slot?.notarization?.position;
  if (slot === undefined || position === undefined || view <= state.final.view) return;
  if (slot.mine.nullify || slot.mine.finalize !== undefined) return;
  if (slot.mine.notarize !== undefined && positionKey(slot.mine.notarize) !== positionKey(position)) return;
  if (state.blocks.isValid(position.blockId)) castVote(state, view, 'finalize', position);
  else state.execute(position.blockId, slot.notarization);
}

/** Makes the newest block final whose Finalization is known and whose ancestors are here. */
export function applyFinalizations(state: EpochState): void {
  let best: Certificate | undefined;
  for (const { finalization } of state.slots.values()) {
    if (finalization?.position === undefined || finalization.view <= (best?.view ?? state.final.view))
      continue;
    if (state.blocks.isValid(finalization.position.blockId)) best = finalization;
  }
  if (best?.position === undefined) return;
  const { position, view } = best;
  const executed = state.blocks.executed(position.blockId);
  state.nextSeats = executed?.nextSeats;
  state.final = {
    epoch: state.committee.epoch,
    view,
    height: position.height,
    id: position.blockId,
    timestampMs: executed?.header.timestampMs ?? state.final.timestampMs,
    certificate: best,
  };
  state.effects.push({ kind: 'commit', certificate: best, position });
  for (const open of [...state.slots.keys()]) if (open <= view) state.slots.delete(open);
  state.enter(view + 1, best);
  forgetBlocks(state);
}

function forgetBlocks(state: EpochState): void {
  const live = new Set<BlockId>([state.final.id]);
  for (const slot of state.slots.values()) {
    for (const position of [
      slot.proposal?.position,
      slot.notarization?.position,
      slot.finalization?.position,
    ]) {
      if (position !== undefined) live.add(position.blockId);
    }
  }
  state.blocks.keepOnly(live);
}

/** Certified blocks are wanted, whoever certified them. */
export function chase(state: EpochState): void {
  for (const slot of state.slots.values()) {
    for (const certificate of [slot.finalization, slot.notarization]) {
      if (certificate?.position !== undefined) state.execute(certificate.position.blockId, certificate);
    }
  }
}

/** A quorum vouches for a block that is invalid here: going on could only serve a wrong state. */
export function haltIfVouchedFor(state: EpochState, blockId: BlockId): void {
  for (const slot of state.slots.values()) {
    const certified = [slot.notarization, slot.finalization].some(
      (certificate) => certificate?.position?.blockId === blockId,
    );
    if (!certified) continue;
    state.halted = true;
    state.effects.push({
      kind: 'halt',
      reason: `a quorum vouches for block ${blockId}, which is invalid here`,
    });
    return;
  }
}
