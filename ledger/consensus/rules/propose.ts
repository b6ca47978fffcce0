import { type BlockHeader, blockIdOf } from '../../block.ts';
import type { BlockId, TransactionId } from '../../ids.ts';
import type { EpochState } from '../epoch-state.ts';
import type { ConsensusEvent } from '../events.ts';
import { NULLIFICATIONS_MAX } from '../messages.ts';
import { FLUSH_MS } from '../timing.ts';
import type { Certificate, Position } from '../votes.ts';
import { castVote } from './own-votes.ts';

/** Rules 2 and 3: when there is something to do, and what a leader proposes then. */

/** A notarized, unfinal tip wants another round: after a while, or at once where it ends the epoch. */
function flushDue(state: EpochState): boolean {
  const tip = state.tip();
  return (
    tip !== undefined && (state.nowMs >= state.enteredMs + FLUSH_MS || state.blocks.isBoundary(tip.blockId))
  );
}

function hasWork(state: EpochState): boolean {
  return state.work || flushDue(state);
}

/** Time runs in a view while there is work or an admitted proposal; else there are no timers and no proposals. */
export function arm(state: EpochState): void {
  const wanted = hasWork(state) || state.slots.get(state.view)?.proposal !== undefined;
  if (!wanted) state.armedMs = undefined;
  else state.armedMs ??= state.nowMs;
}

interface Parent {
  readonly view: number;
  readonly blockId: BlockId;
  readonly certificate: Certificate | undefined;
  readonly nullifications: readonly Certificate[];
}

/** The highest notarized view below the present one with every view between nullified, or the final block. */
function bestParent(state: EpochState): Parent | undefined {
  const nullifications: Certificate[] = [];
  for (let view = state.view - 1; view > state.final.view; view--) {
    const slot = state.slots.get(view);
    if (slot?.notarization?.position !== undefined) {
      const { blockId } = slot.notarization.position;
      return { view, blockId, certificate: slot.notarization, nullifications };
    }
    if (slot?.nullification === undefined) return undefined;
    nullifications.push(slot.nullification);
  }
  const { view, id, certificate } = state.final;
  return { view, blockId: id, certificate, nullifications };
}

/** Asks for a block, or proposes the parent again, where this node leads the view. */
export function propose(state: EpochState): void {
  const { view } = state;
  const { mine } = state.slot(view);
  if (state.committee.leader(view) !== state.self?.nodeId || !hasWork(state)) return;
  if (state.franchise !== 'voting' || mine.notarize !== undefined || mine.nullify) return;
  if (state.building === view || (state.nothingToBuild === view && !flushDue(state))) return;
  const parent = bestParent(state);
  if (parent === undefined) return;
  if (!state.blocks.isValid(parent.blockId)) {
    state.execute(parent.blockId, parent.certificate);
  } else if (state.blocks.isBoundary(parent.blockId)) {
    proposeAgain(state, parent);
  } else {
    state.building = view;
    state.effects.push({ kind: 'build', view, parentId: parent.blockId });
  }
}

/** Proposes the block that was built; without one the waiting tip again, when it is time. */
export function proposeBuilt(
  state: EpochState,
  { view, built }: Extract<ConsensusEvent, { kind: 'built' }>,
): void {
  if (built !== undefined) {
    const { block, nextSeats } = built;
    state.blocks.settle(blockIdOf(block.header), { header: block.header, nextSeats });
  }
  if (view !== state.view || state.building !== view) return;
  state.building = undefined;
  const { mine } = state.slot(view);
  const parent = bestParent(state);
  if (parent === undefined || mine.notarize !== undefined || mine.nullify) return;
  if (built === undefined) {
    // Nothing to include: only a tip that waits is worth a proposal.
    if (parent.blockId !== state.final.id && flushDue(state)) proposeAgain(state, parent);
    else state.nothingToBuild = view;
  } else if (built.block.header.parentId === parent.blockId) {
    sendProposal(state, parent, built.block.header, built.transactionIds);
  }
}

function proposeAgain(state: EpochState, parent: Parent): void {
  const header = state.blocks.executed(parent.blockId)?.header;
  if (header !== undefined) sendProposal(state, parent, header, []);
}

function sendProposal(
  state: EpochState,
  parent: Parent,
  header: BlockHeader,
  transactionIds: readonly TransactionId[],
): void {
  const { view, self } = state;
  if (self === undefined) return;
  const slot = state.slot(view);
  const position: Position = {
    view,
    parentView: parent.view,
    height: header.height,
    blockId: blockIdOf(header),
  };
  slot.proposal = { position, header, from: self.nodeId, invalid: false };
  castVote(state, view, 'notarize', position);
  const signature = slot.mine.signatures.get('notarize');
  if (signature === undefined) return;
  slot.own = {
    epoch: state.committee.epoch,
    position,
    header,
    transactionIds,
    parentCertificate: parent.certificate,
    // The nearest; who lacks older ones asks for them.
    nullifications: parent.nullifications.slice(0, NULLIFICATIONS_MAX),
    signature,
  };
}
