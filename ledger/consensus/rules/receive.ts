import { blockIdOf } from '../../block.ts';
import { LedgerError } from '../../errors.ts';
import type { NodeId } from '../../ids.ts';
import type { EpochState } from '../epoch-state.ts';
import type { ConsensusMessage, Proposal } from '../messages.ts';
import { type Certificate, conflicting, type Vote } from '../votes.ts';
import { accept, tally } from './certificates.ts';
import { echo, heardFrom, meetOwnVote } from './recovery.ts';
import { answerGap } from './repair.ts';

/** What peers say, checked: members' votes only, in a window of views, the first of each kind, with a signature that holds. */

/** Votes are taken this many views ahead. */
const WINDOW = 8;

/** Takes a message of this epoch. */
export function receive(state: EpochState, message: ConsensusMessage, from: NodeId): void {
  switch (message.kind) {
    case 'proposal':
      receiveProposal(state, message, from);
      break;
    case 'vote':
      receiveVote(state, message.vote, from);
      break;
    case 'certificate':
      receiveCertificate(state, message.certificate, from);
      break;
    case 'status':
      receiveCertificates(state, [message.finalization, message.entry], from);
      if (message.recovering) echo(state, from);
      else if (message.finalView < state.final.view && state.final.certificate !== undefined)
        state.send(from, { kind: 'certificate', certificate: state.final.certificate });
      break;
    case 'echo':
      receiveCertificates(state, [message.finalization, message.entry], from);
      for (const vote of message.votes) receiveVote(state, vote, from);
      heardFrom(state, from);
      break;
    case 'get-certificates':
      for (const view of new Set(message.views)) answerGap(state, view, from);
      break;
    default:
      message satisfies never;
  }
}

function receiveCertificates(
  state: EpochState,
  certificates: readonly (Certificate | undefined)[],
  from: NodeId,
): void {
  for (const certificate of certificates)
    if (certificate !== undefined) receiveCertificate(state, certificate, from);
}

function receiveCertificate(state: EpochState, certificate: Certificate, from: NodeId): void {
  if (certificate.epoch !== state.committee.epoch || certificate.view <= state.final.view) return;
  const slot = state.slots.get(certificate.view);
  const known = {
    notarize: slot?.notarization,
    nullify: slot?.nullification,
    finalize: slot?.finalization,
  }[certificate.type];
  if (known !== undefined) return;
  try {
    state.committee.check(certificate, state.verifier);
  } catch (error) {
    if (!(error instanceof LedgerError)) throw error;
    blame(state, from, error.message);
    return;
  }
  accept(state, certificate, 'peer');
}

function receiveProposal(state: EpochState, message: Proposal, from: NodeId): void {
  const { position, header, signature } = message;
  const { view } = position;
  const { committee } = state;
  if (view <= state.final.view || view < state.view || view > state.view + WINDOW) {
    // Its certificates may still bring this node forward.
    if (view > state.view + WINDOW) receiveCertificates(state, [message.parentCertificate], from);
    return;
  }
  const leader = committee.leader(view);
  if (leader === state.self?.nodeId) return;
  if (blockIdOf(header) !== position.blockId || header.height !== position.height) return;
  const vote: Vote = { type: 'notarize', epoch: committee.epoch, view, position, signer: leader, signature };
  if (state.slots.get(view)?.proposal !== undefined) {
    receiveVote(state, vote, from);
    return;
  }
  if (!state.verifier(signature, committee.digest('notarize', view, position), leader))
    return blame(state, from, 'a proposal that its leader did not sign');
  receiveCertificates(state, [...message.nullifications, message.parentCertificate], from);
  if (view <= state.final.view || view < state.view) return;
  state.slot(view).proposal = { position, header, from: leader, invalid: false };
  const seat = committee.indexOf(leader) as number;
  if (state.slot(view).notarize.has(seat)) accuse(state, vote, seat, from);
  else tally(state, view, 'notarize', position, seat, signature);
}

function receiveVote(state: EpochState, vote: Vote, from: NodeId): void {
  const { view, type, position, signer, signature, epoch } = vote;
  const { committee } = state;
  const seat = committee.indexOf(signer);
  if (seat === undefined || epoch !== committee.epoch) return;
  if (view <= state.final.view) return;
  if (seat === state.seat) return meetOwnVote(state, vote);
  if (view > state.view + WINDOW) return;
  const slot = state.slot(view);
  const known = type === 'nullify' ? slot.nullify.has(seat) : slot[type].has(seat);
  if (known && type === 'nullify') return;
  if (known) return accuse(state, vote, seat, from);
  if (!state.verifier(signature, committee.digest(type, view, position), signer))
    return blame(state, from, 'a vote that its member did not sign');
  accuse(state, vote, seat, from);
  tally(state, view, type, position, seat, signature);
}

/** Says that a peer sent what no honest node sends: everybody checks before passing on. */
function blame(state: EpochState, peer: NodeId, reason: string): void {
  state.effects.push({ kind: 'blame', peer, reason });
}

/** Reports a member whose vote contradicts one that was taken before; once a member and epoch. */
function accuse(state: EpochState, second: Vote, seat: number, from: NodeId): void {
  if (state.accused.has(seat)) return;
  const { view, signer, epoch } = second;
  const slot = state.slot(view);
  const nullify = slot.nullify.get(seat);
  const before = (['notarize', 'finalize'] as const).map((type) => ({
    type,
    known: slot[type].voteOf(seat),
  }));
  const votes: Vote[] = before.flatMap(({ type, known }) =>
    known === undefined ? [] : [{ type, epoch, view, signer, ...known }],
  );
  if (nullify !== undefined)
    votes.push({ type: 'nullify', epoch, view, signer, position: undefined, signature: nullify });
  const first = votes.find((vote) => conflicting(vote, second));
  if (first === undefined) return;
  if (!state.verifier(second.signature, state.committee.digest(second.type, view, second.position), signer))
    return blame(state, from, 'a vote that its member did not sign');
  state.accused.add(seat);
  state.effects.push({ kind: 'evidence', first, second });
}
