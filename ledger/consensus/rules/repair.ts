import type { NodeId } from '../../ids.ts';
import type { EpochState } from '../epoch-state.ts';
import { type Status, VIEWS_ASKED_MAX } from '../messages.ts';
import { GAP_REPAIR_MS, RECOVERY_STATUS_MS, RETRY_MS, STATUS_MS } from '../timing.ts';
import { ownVote } from './own-votes.ts';

/** Rules 8, 9 and 10: what is lost on the way is said again, asked for again, and everybody says where it stands. */

const FINALIZE_RETRIES_MAX = 8;

/** Rule 8: repeats what is on disk, and only that; votes only while it is sure that nobody else signs with its key. */
export function retry(state: EpochState): void {
  if (state.armedMs === undefined || state.nowMs < state.lastRetryMs + RETRY_MS * state.backoff()) return;
  state.lastRetryMs = state.nowMs;
  const slot = state.slot(state.view);
  if (state.entry !== undefined) state.send('members', { kind: 'certificate', certificate: state.entry });
  if (state.franchise !== 'voting') return;
  if (slot.own !== undefined && slot.durable.has('notarize'))
    state.send('members', { kind: 'proposal', ...slot.own });
  for (const type of ['notarize', 'nullify'] as const) {
    if (slot.durable.has(type))
      state.send('members', { kind: 'vote', vote: ownVote(state, state.view, slot, type) });
  }
  let finalizes = 0;
  for (const [view, open] of state.slots) {
    if (view <= state.final.view || !open.durable.has('finalize')) continue;
    if (finalizes++ === FINALIZE_RETRIES_MAX) break;
    state.send('members', { kind: 'vote', vote: ownVote(state, view, open, 'finalize') });
  }
}

/** Views above the final one that are neither notarized nor nullified here. */
export function gaps(state: EpochState): readonly number[] {
  const missing: number[] = [];
  for (let view = state.view - 1; view > state.final.view && missing.length < VIEWS_ASKED_MAX; view--) {
    const slot = state.slots.get(view);
    if (slot?.notarization === undefined && slot?.nullification === undefined) missing.push(view);
  }
  return missing;
}

/** Rule 9: asks one member after another for what is missing. */
export function repairGaps(state: EpochState): void {
  if (state.nowMs < state.lastRepairMs + GAP_REPAIR_MS) return;
  state.lastRepairMs = state.nowMs;
  const views = gaps(state);
  const others = state.committee.seats.filter((seat) => seat.nodeId !== state.self?.nodeId);
  const peer = others[state.salt++ % Math.max(1, others.length)];
  if (views.length > 0 && peer !== undefined)
    state.send(peer.nodeId, { kind: 'get-certificates', epoch: state.committee.epoch, views });
}

/** Gives what is known of a view: its certificates, else this node's votes in it that are on disk. */
export function answerGap(state: EpochState, view: number, from: NodeId): void {
  const slot = state.slots.get(view);
  if (slot === undefined) return;
  const known = [slot.finalization ?? slot.notarization, slot.nullification].filter(
    (certificate) => certificate !== undefined,
  );
  for (const certificate of known) state.send(from, { kind: 'certificate', certificate });
  if (known.length > 0 || state.franchise !== 'voting') return;
  for (const type of slot.durable) state.send(from, { kind: 'vote', vote: ownVote(state, view, slot, type) });
}

function isAsking({ franchise, seat }: EpochState): boolean {
  return franchise === 'asking' && seat !== undefined;
}

/** When it says next where it stands, in ms of its clock. */
export function statusDueMs(state: EpochState): number {
  return state.lastStatusMs + (isAsking(state) ? RECOVERY_STATUS_MS : STATUS_MS);
}

/** Rule 10. */
export function sayStatus(state: EpochState): void {
  if (state.nowMs < statusDueMs(state)) return;
  state.lastStatusMs = state.nowMs;
  state.send('all', { kind: 'status', ...statusOf(state) });
}

/** Where this node stands, for others to tell what it lacks or what they do. */
export function statusOf(state: EpochState): Status {
  const { final, entry } = state;
  return {
    epoch: state.committee.epoch,
    finalView: final.view,
    finalization: final.certificate,
    entry: entry === final.certificate ? undefined : entry,
    recovering: isAsking(state),
  };
}
