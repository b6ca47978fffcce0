import type { Seat } from '../genesis.ts';
import type { BlockId, ChainId, NodeId } from '../ids.ts';
import { Committee, ecdsaVerifier, type Verifier } from './committee.ts';
import { EpochState, type Franchise } from './epoch-state.ts';
import type { ConsensusEvent, ConsensusOptions, Effect, FinalPoint, Self } from './events.ts';
import type { ConsensusMessage, LogRecord } from './messages.ts';
import { applyFinalizations, chase, finalizeVote, haltIfVouchedFor } from './rules/finalize.ts';
import { notarize } from './rules/notarize.ts';
import { nullifyIfDue } from './rules/nullify.ts';
import { ownVote, releaseOutbox } from './rules/own-votes.ts';
import { arm, propose, proposeBuilt } from './rules/propose.ts';
import { receive } from './rules/receive.ts';
import { doubt, regainAlone, restore } from './rules/recovery.ts';
import { gaps, repairGaps, retry, sayStatus, statusDueMs, statusOf } from './rules/repair.ts';
import { AHEAD_MS, EPOCH_REPLY_MS, FLUSH_MS, GAP_REPAIR_MS, RETRY_MS } from './timing.ts';

/**
 * Simplex consensus (Chan and Pass, "Simplex Consensus: A Simple and Fast Consensus Protocol", TCC 2023) as a state
 * machine: events in, effects out, no I/O, no clock, no randomness. One file a rule in `rules/`; rule numbers are those
 * of the design. An epoch ends with a boundary block; its Finalization begins the next with another committee at view 1.
 */

/** Nodes of other epochs of which it is remembered when they were answered. */
const REPLIES_MAX = 256;

export class Consensus {
  readonly #chainId: ChainId;
  readonly #self: Self;
  readonly #verifier: Verifier;
  readonly #replies = new Map<NodeId, { readonly ms: number; readonly epoch: number }>();
  /** What the log held of epochs to come: its ledger was lost and is fetched again. */
  #ahead: readonly LogRecord[];
  #state: EpochState;

  constructor(options: ConsensusOptions) {
    this.#chainId = options.chainId;
    this.#self = options.self;
    this.#verifier = options.verifier ?? ecdsaVerifier;
    const committee = new Committee(options.chainId, options.epoch, options.seats);
    const franchise: Franchise =
      options.abstainEpoch === options.epoch ? 'abstaining' : committee.quorum === 1 ? 'voting' : 'asking';
    this.#state = this.#begin(committee, options.final, { ...options, sequence: 0, franchise });
    restore(this.#state, options.records);
    this.#ahead = options.records.filter((record) => epochOfRecord(record) > options.epoch);
  }

  #begin(
    committee: Committee,
    final: FinalPoint,
    start: { nowMs: number; salt: number; sequence: number; franchise: Franchise },
  ): EpochState {
    return new EpochState({ committee, final, self: this.#self, verifier: this.#verifier, ...start });
  }

  get committee(): Committee {
    return this.#state.committee;
  }

  get final(): FinalPoint {
    return this.#state.final;
  }

  get view(): number {
    return this.#state.view;
  }

  get isMember(): boolean {
    return this.#state.seat !== undefined;
  }

  /** Whether this member votes, waits for the others' word, or may not vote in this epoch. */
  get franchise(): Franchise {
    return this.#state.franchise;
  }

  get halted(): boolean {
    return this.#state.halted;
  }

  /** Bytes of memory matter little here; that the number of views stays bounded does. */
  get openViews(): number {
    return this.#state.slots.size;
  }

  /** The newest notarized block above the final one, or the final one: what the next block would extend. */
  get tipId(): BlockId {
    return this.#state.tip()?.blockId ?? this.#state.final.id;
  }

  /** Whether it still waits for a block that it asked for: finality elsewhere makes others needless. */
  awaits(blockId: BlockId): boolean {
    return this.#state.blocks.isAsked(blockId);
  }

  /** Notarized and not final, by block: for display. */
  notarized(): ReadonlySet<BlockId> {
    const ids = [...this.#state.slots.values()].map((slot) => slot.notarization?.position?.blockId);
    return new Set(ids.filter((id) => id !== undefined));
  }

  /** Records that a rewritten log must still hold. */
  liveRecords(): readonly LogRecord[] {
    const records: LogRecord[] = [];
    for (const [view, slot] of this.#state.slots) {
      if (view <= this.#state.final.view) continue;
      for (const certificate of [slot.notarization, slot.nullification, slot.finalization]) {
        if (certificate !== undefined) records.push({ kind: 'certificate', certificate });
      }
      for (const type of slot.mine.signatures.keys())
        records.push({ kind: 'vote', vote: ownVote(this.#state, view, slot, type) });
    }
    return records;
  }

  /** When `tick` is wanted next; nothing but the next status is while there is nothing to do. */
  nextWakeMs(): number | undefined {
    const state = this.#state;
    if (state.halted) return undefined;
    const wakes: number[] = [];
    if (state.armedMs !== undefined) {
      wakes.push(state.deadlineMs(), state.lastRetryMs + RETRY_MS);
      const slot = state.slots.get(state.view);
      const aheadMs = slot?.proposal?.header.timestampMs ?? 0;
      if (slot?.mine.notarize === undefined && aheadMs > state.nowMs + AHEAD_MS)
        wakes.push(aheadMs - AHEAD_MS);
    }
    if (state.tip() !== undefined) wakes.push(state.enteredMs + FLUSH_MS);
    if (gaps(state).length > 0 || state.blocks.waiting) wakes.push(state.lastRepairMs + GAP_REPAIR_MS);
    const next = Math.min(...wakes.filter((wake) => wake > state.nowMs), statusDueMs(state));
    return Math.max(state.nowMs + 1, next);
  }

  /** Takes one event; gives what is to be done, in order. */
  step(event: ConsensusEvent, nowMs: number): readonly Effect[] {
    if (this.#state.halted) return [];
    this.#state.effects = [];
    if (nowMs < this.#state.nowMs) this.#replies.clear();
    this.#state.tellTime(nowMs);
    this.#take(event);
    let effects = this.#settle();
    for (let next = this.#state.nextSeats; next !== undefined; next = this.#state.nextSeats) {
      this.#turn(next);
      effects = [...effects, ...this.#settle()];
    }
    return effects;
  }

  #take(event: ConsensusEvent): void {
    const state = this.#state;
    switch (event.kind) {
      case 'message':
        this.#receive(event.message, event.from);
        break;
      case 'tick':
        break;
      case 'work':
        if (event.work) state.nothingToBuild = undefined;
        state.work = event.work;
        break;
      case 'built':
        proposeBuilt(state, event);
        break;
      case 'verdict':
        state.blocks.settle(event.blockId, event.executed);
        if (event.executed === undefined) haltIfVouchedFor(state, event.blockId);
        break;
      case 'synced':
        releaseOutbox(state, event.sequence);
        break;
      case 'peer':
        state.send(event.nodeId, { kind: 'status', ...statusOf(state) });
        break;
      case 'doubt':
        doubt(state, event.restMs);
        break;
      default:
        event satisfies never;
    }
  }

  /** After every event: applies the rules until nothing moves. Gives the effects of the epoch so far. */
  #settle(): Effect[] {
    const state = this.#state;
    regainAlone(state);
    applyFinalizations(state);
    chase(state);
    repairGaps(state);
    sayStatus(state);
    if (state.seat !== undefined && state.nextSeats === undefined) {
      // Each of these may let the next one go on: a vote of a committee of one is a certificate.
      for (let before = ''; before !== this.#progress() && state.nextSeats === undefined; ) {
        before = this.#progress();
        if (state.halted) break;
        arm(state);
        propose(state);
        notarize(state);
        for (const view of [...state.slots.keys()]) finalizeVote(state, view);
        nullifyIfDue(state);
        applyFinalizations(state);
      }
      if (!state.halted) retry(state);
    }
    if (state.unsynced) {
      state.unsynced = false;
      state.effects.push({ kind: 'sync', sequence: state.sequence++ });
    }
    return state.effects;
  }

  #progress(): string {
    const { view, final, armedMs, slots, building } = this.#state;
    return `${view}.${final.view}.${armedMs}.${slots.get(view)?.mine.signatures.size}.${building}`;
  }

  /** Into the next epoch: its committee, view 1, nothing of the old one but what is final. */
  #turn(seats: readonly Seat[]): void {
    const { committee, final, nowMs, salt, sequence, franchise, work, doubtedUntilMs } = this.#state;
    const next = new Committee(this.#chainId, committee.epoch + 1, seats);
    // Who votes knows all that it signed; who abstained did so for that epoch only, and asks first.
    const begun: Franchise = franchise === 'voting' ? 'voting' : 'asking';
    this.#state = this.#begin(next, final, { nowMs, salt, sequence, franchise: begun });
    this.#state.work = work;
    this.#state.doubtedUntilMs = doubtedUntilMs;
    restore(this.#state, this.#ahead);
    this.#ahead = this.#ahead.filter((record) => epochOfRecord(record) > next.epoch);
    this.#state.enter(1, undefined);
    this.#state.effects.push({ kind: 'epoch', epoch: next.epoch, seats: next.seats });
    this.#state.send('all', { kind: 'status', ...statusOf(this.#state) });
  }

  /** Nodes of an older epoch get the certificate that ended it; one of a newer epoch is told where this node stands. */
  #receive(message: ConsensusMessage, from: NodeId): void {
    const state = this.#state;
    const epoch = epochOf(message);
    if (epoch === state.committee.epoch) {
      receive(state, message, from);
      return;
    }
    const isBehind = epoch < state.committee.epoch;
    const last = this.#replies.get(from);
    // Whoever got on since the last answer needs the next one at once: so it catches up from epoch to epoch.
    const gotOn = last !== undefined && isBehind && epoch > last.epoch;
    if (last !== undefined && !gotOn && state.nowMs < last.ms + EPOCH_REPLY_MS) return;
    if (this.#replies.size >= REPLIES_MAX) this.#replies.clear();
    this.#replies.set(from, { ms: state.nowMs, epoch });
    if (isBehind) state.effects.push({ kind: 'send-boundary', to: from, epoch });
    else state.send(from, { kind: 'status', ...statusOf(state) });
  }
}

function epochOf(message: ConsensusMessage): number {
  if (message.kind === 'vote') return message.vote.epoch;
  if (message.kind === 'certificate') return message.certificate.epoch;
  return message.epoch;
}

function epochOfRecord(record: LogRecord): number {
  return (record.kind === 'vote' ? record.vote : record.certificate).epoch;
}
