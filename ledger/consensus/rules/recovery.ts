import type { NodeId } from '../../ids.ts';
import type { EpochState } from '../epoch-state.ts';
import { ECHOED_VOTES_MAX, type LogRecord } from '../messages.ts';
import { RECOVERY_STATUS_MS } from '../timing.ts';
import { positionKey, type Vote, type VoteType } from '../votes.ts';
import { accept, tally } from './certificates.ts';
import { ownVote, remember } from './own-votes.ts';

/**
 * A member that starts takes up its log, then asks the others what they heard from it. Only when a quorum answered, and
 * nobody knows a vote of it that its log does not, does it vote: a lost log or an old backup never makes it contradict itself.
 */

/** Takes up the log: no vote of before is ever contradicted. */
export function restore(state: EpochState, records: readonly LogRecord[]): void {
  const { epoch } = state.committee;
  let view = state.final.view + 1;
  const own: { view: number; type: VoteType }[] = [];
  for (const record of records) {
    if (record.kind === 'certificate') {
      const { certificate } = record;
      if (certificate.epoch !== epoch || certificate.view <= state.final.view) continue;
      accept(state, certificate, 'log');
      view = Math.max(view, certificate.view + 1);
      continue;
    }
    const { vote } = record;
    if (vote.epoch !== epoch || vote.view <= state.final.view || vote.signer !== state.self?.nodeId) continue;
    const slot = state.slot(vote.view);
    remember(slot, vote.type, vote.position, vote.signature);
    slot.durable.add(vote.type);
    own.push({ view: vote.view, type: vote.type });
    view = Math.max(view, vote.view);
  }
  if (state.seat !== undefined) {
    for (const { view: voted, type } of own) {
      const vote = ownVote(state, voted, state.slot(voted), type);
      tally(state, voted, type, vote.position, state.seat, vote.signature);
    }
  }
  state.enter(view, state.entry);
  state.blocks.forgetAsked();
  state.effects = [];
}

/** Answers a member that just started: its votes in open views, newest first, and how far this node is. */
export function echo(state: EpochState, to: NodeId): void {
  const seat = state.committee.indexOf(to);
  if (seat === undefined || state.seat === undefined) return;
  const { epoch } = state.committee;
  const votes: Vote[] = [];
  for (const [view, slot] of [...state.slots].sort(([a], [b]) => b - a)) {
    if (votes.length + 3 > ECHOED_VOTES_MAX) break;
    for (const type of ['notarize', 'finalize'] as const) {
      const vote = slot[type].voteOf(seat);
      if (vote !== undefined) votes.push({ type, epoch, view, signer: to, ...vote });
    }
    const signature = slot.nullify.get(seat);
    if (signature !== undefined)
      votes.push({ type: 'nullify', epoch, view, signer: to, position: undefined, signature });
  }
  state.send(to, {
    kind: 'echo',
    epoch,
    votes,
    finalization: state.final.certificate,
    entry: state.entry === state.final.certificate ? undefined : state.entry,
  });
}

/** Counts an answer whose votes and certificates were taken in; a quorum of answers gives the vote back. */
export function heardFrom(state: EpochState, from: NodeId): void {
  const seat = state.committee.indexOf(from);
  if (seat === undefined || state.franchise !== 'asking' || state.seat === undefined) return;
  if (state.nowMs < state.doubtedUntilMs) return;
  state.heard.add(seat);
  state.heard.add(state.seat);
  if (state.heard.size >= state.committee.quorum) state.franchise = 'voting';
}

/**
 * Another may sign with this node's key, or may have while nobody heard from this one: it asks anew what the others heard,
 * and takes no answer before `restMs` have passed without another doubt.
 */
export function doubt(state: EpochState, restMs: number): void {
  state.heard.clear();
  state.doubtedUntilMs = Math.max(state.doubtedUntilMs, state.nowMs + restMs);
  if (state.franchise === 'voting') state.franchise = 'asking';
  state.lastStatusMs = state.nowMs - RECOVERY_STATUS_MS;
}

/** A committee of one has nobody to ask. */
export function regainAlone(state: EpochState): void {
  const { franchise, committee, nowMs, doubtedUntilMs } = state;
  if (franchise === 'asking' && committee.quorum === 1 && nowMs >= doubtedUntilMs) state.franchise = 'voting';
}

/** A vote of this node's own key came in: if the log does not have it, this node signed what it cannot remember. */
export function meetOwnVote(state: EpochState, vote: Vote): void {
  if (state.franchise === 'abstaining') return;
  const { type, view, position } = vote;
  const mine = state.slots.get(view)?.mine;
  const known = {
    notarize: mine?.notarize,
    finalize: mine?.finalize,
    nullify: undefined,
  }[type];
  const remembered =
    type === 'nullify'
      ? mine?.nullify === true
      : known !== undefined && position !== undefined && positionKey(known) === positionKey(position);
  if (remembered) return;
  if (!state.verifier(vote.signature, state.committee.digest(type, view, position), vote.signer)) return;
  abstain(state, `others know a vote of this node in view ${view} that its log does not have`);
}

/** This node votes no more in this epoch. */
export function abstain(state: EpochState, reason: string): void {
  state.franchise = 'abstaining';
  state.effects.push({ kind: 'abstain', epoch: state.committee.epoch, reason });
}
